// SPDX-License-Identifier: Apache-2.0
// `serve` and peers that mean it no good, over real sockets: each costs its own connection, and one line; an honest
// client is served after each of them, and in the middle of ten thousand half-open handshakes.
// ctest: timeout=120 serial
#include "props/bad_input_rig.h"

namespace twinwire::props {
namespace {

TEST_F(BadInput, over_tcp_each_costs_its_own_connection) {
  serve("tcp", "");
  const auto honest = [&] {
    const Ended ended = load("");
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  };
  honest();
  send_and_wait(std::string(5000, 'g'));  // garbage
  expect_line("refused: it sent what is no frame");
  send_and_wait(frame_of_size(default_max_message + 1));
  expect_line("refused: it sent what is no frame, or one that is too large");
  send_and_wait(frame_of_size(header_size - 1));
  expect_line("refused: it sent what is no frame");
  // In the middle of a connection that began well.
  send_and_wait(frame_of_size(header_size) + std::string(300, 'x'));
  expect_line("lost after");
  honest();
  // A hello that is shorter than a header: nobody can know yet what it is.
  const Ended tls = load("--transport tls --ca ca --patience 500ms");
  EXPECT_EQ(tls.exit_code, 6) << tls.out << tls.err;
  expect_line("refused: it ended the connection before its first message was whole");
  honest();
  EXPECT_EQ(lines().size(), lines_) << server_->err();
}

TEST_F(BadInput, over_tls_each_costs_its_own_connection) {
  serve("tls", "--cert server.cert --key server.key --ca ca");
  const std::string name = "--transport tls --server-name " + std::string(laws::test_server_name);
  const auto honest = [&] {
    const Ended ended = load(name + " --ca ca --cert client.cert --key client.key");
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  };
  const auto refused = [&](const std::string& arguments, const std::string& part) {
    const Ended ended = load(arguments);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    expect_line("refused: " + part);
  };
  honest();
  send_and_wait(std::string(5000, 'g'));
  expect_line("refused: not a TLS record");
  std::string huge_record("\x16\x03\x01\xff\xff", 5);
  huge_record.append(70'000, 'x');
  send_and_wait(huge_record);
  expect_line("refused: ");
  refused("--transport tcp", "not a TLS record");
  refused("--transport ws", "not a TLS record");
  honest();
  refused(name + " --ca ca --cert expired.cert --key expired.key", "certificate expired");
  refused(name + " --ca ca --cert forged.cert --key forged.key",
          "certificate with a wrong signature");
  refused(name + " --ca ca", "no certificate shown");
  refused(name + " --ca strange-ca", "the peer refused: CA is unknown");
  refused("--transport tls --ca ca --server-name other.test",
          "the peer refused: Certificate is bad");
  honest();
  EXPECT_EQ(lines().size(), lines_) << server_->err();
  server_->signal(SIGINT);
  const Ended server = server_->wait();
  EXPECT_EQ(server.exit_code, 0) << server.out << server.err;
  EXPECT_NE(server.out.find("3 ended well, 0 were stopped, 0 broke"), std::string::npos)
      << server.out;
  EXPECT_NE(server.out.find("refused    9 newcomers"), std::string::npos) << server.out;
}

TEST_F(BadInput, a_server_with_an_expired_certificate_says_why_nobody_comes) {
  serve("tls", "--cert expired.cert --key expired.key");
  const Ended ended =
      load("--transport tls --ca ca --server-name " + std::string(laws::test_server_name));
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  expect_line("refused: the peer refused: Certificate is expired");
}

// A crowd that comes at one time and means well is not a flood: nobody is turned away to make room.
TEST_F(BadInput, an_honest_crowd_is_served_whole) {
  const std::size_t crowd = std::min<std::size_t>(1200, descriptors() - 200);
  serve("tcp", "");
  const Ended ended =
      run_tool_in(folder_.path(), tool_path(),
                  "load --connect 127.0.0.1:" + port_ +
                      " --patience 60s --messages 2400 --connections " + std::to_string(crowd));
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_EQ(refused(), 0U) << server_->err();
}

TEST_F(BadInput, ten_thousand_half_open_connections_over_tcp) {
  serve("tcp", "");
  flood("");
}

TEST_F(BadInput, ten_thousand_half_open_handshakes_over_tls) {
  serve("tls", "--cert server.cert --key server.key");
  flood("--transport tls --ca ca --server-name " + std::string(laws::test_server_name));
}

TEST_F(BadInput, over_ws_each_costs_its_own_connection) {
  serve("ws", "");
  const auto honest = [&] {
    const Ended ended = load("--transport ws");
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  };
  honest();
  send_and_wait(std::string(5000, 'g'));
  expect_line("refused: its upgrade was answered 400 Bad Request");
  send_and_wait("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_line("refused: its upgrade was answered ");
  send_and_wait("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(100'000, 'h') + "\r\n\r\n");
  expect_line("refused: its upgrade was answered ");
  send_and_wait(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) +
                std::string(506, 't'));  // a TLS client's hello
  expect_line("refused: its upgrade was answered 400 Bad Request");
  honest();
  EXPECT_EQ(lines().size(), lines_) << server_->err();
}

TEST_F(BadInput, over_wss_each_costs_its_own_connection) {
  serve("wss", "--cert server.cert --key server.key");
  const std::string name = "--transport wss --server-name " + std::string(laws::test_server_name);
  const auto honest = [&] {
    const Ended ended = load(name + " --ca ca");
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  };
  const auto refused = [&](const std::string& arguments, const std::string& part) {
    const Ended ended = load(arguments);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    expect_line("refused: " + part);
  };
  honest();
  send_and_wait(std::string(5000, 'g'));
  expect_line("refused: not a TLS record");
  send_and_wait("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_line("refused: not a TLS record");
  refused("--transport ws", "not a TLS record");
  refused(name + " --ca strange-ca", "the peer refused: CA is unknown");
  refused("--transport wss --ca ca --server-name other.test",
          "the peer refused: Certificate is bad");
  honest();
  EXPECT_EQ(lines().size(), lines_) << server_->err();
}

TEST_F(BadInput, ten_thousand_half_open_upgrades_over_ws) {
  serve("ws", "");
  flood("--transport ws", "GET / HTTP/1.1\r\nHost: ");
}

TEST_F(BadInput, ten_thousand_half_open_handshakes_over_wss) {
  serve("wss", "--cert server.cert --key server.key");
  flood("--transport wss --ca ca --server-name " + std::string(laws::test_server_name),
        std::string("\x16\x03\x01", 3));
}

}  // namespace
}  // namespace twinwire::props
