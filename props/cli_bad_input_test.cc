// SPDX-License-Identifier: Apache-2.0
// `serve` over tcp and tls, and peers that mean it no good: each costs its own connection, and one line; honest clients
// that were there before and that come after are served to their end. docs/bad_input.md has the whole table.
// ctest: timeout=120 real_time no_tsan
#include "props/bad_input_rig.h"

namespace twinwire::props {
namespace {

TEST_F(BadInput, over_tcp_each_costs_its_own_connection) {
  serve("tcp");
  begin();
  send_and_wait(std::string(5000, 'g'));  // garbage
  expect_refused("it sent what is no frame");
  send_and_wait(frame_of_size(default_max_message + 1));
  expect_refused("it sent what is no frame, or one that is too large");
  send_and_wait(frame_of_size(header_size - 1));
  expect_refused("it sent what is no frame");
  send_and_wait(std::string(http_request) + std::string(header_size, ' '));
  expect_refused("it sent what is no frame");
  honest();
  // In the middle of a connection that began well.
  send_and_wait(good_request() + std::string(300, 'x'));
  expect_line("lost after 1 messages: it sent what is no frame, or one that is too large");
  send_and_wait(good_request() + frame_of_size(default_max_message + 1));
  expect_line("lost after 1 messages: it sent what is no frame, or one that is too large");
  send_and_wait(frame_of_size(header_size));
  expect_line("lost after 0 messages: it sent a message that is damaged or out of turn");
  // A hello that is shorter than a header: nobody can know yet what it is.
  const Ended tls = load("--transport tls --ca ca --patience 500ms");
  EXPECT_EQ(tls.exit_code, 6) << tls.out << tls.err;
  expect_refused("it ended the connection before its first message was whole");
  finish(5, 3, 1);
}

TEST_F(BadInput, over_tls_each_costs_its_own_connection) {
  mutual_ = true;
  serve("tls", "--cert server.cert --key server.key --ca ca");
  begin();
  send_and_wait(std::string(5000, 'g'));
  expect_refused("not a TLS record");
  std::string huge_record("\x16\x03\x01\xff\xff", 5);
  huge_record.append(70'000, 'x');
  send_and_wait(huge_record);
  expect_refused("");
  send_and_wait(std::string(http_request));
  expect_refused("not a TLS record");
  dishonest("--transport tcp", "not a TLS record");
  dishonest("--transport ws", "not a TLS record");
  honest();
  strangers();
  finish(10);
}

TEST_F(BadInput, over_tls_frames_that_are_none) {
  serve("tls");
  begin();
  send_inside(std::string(5000, 'g'));
  expect_refused("it sent what is no frame");
  send_inside(frame_of_size(default_max_message + 1));
  expect_refused("it sent what is no frame, or one that is too large");
  send_inside(good_request() + frame_of_size(default_max_message + 1));
  expect_line("lost after 1 messages: it sent what is no frame, or one that is too large");
  finish(2, 1);
}

class ExpiredServer : public BadInput, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(BadInput, ExpiredServer, ::testing::Values("tls", "wss", "quic"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(ExpiredServer, says_why_nobody_comes) {
  serve(GetParam(), "--cert expired.cert --key expired.key");
  const Ended ended = load(honest_options());
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  expect_refused("the peer refused: Certificate is expired");
}

class Protocols : public BadInput, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(BadInput, Protocols, ::testing::Values("tls", "wss", "quic"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(Protocols, another_name_is_refused) {
  alpn_ = {"ours"};
  serve(GetParam(), "--cert server.cert --key server.key --alpn older,ours");
  begin();
  const std::string good = "--transport " + transport_ + " --ca ca --server-name " + server_name();
  dishonest(good + " --alpn theirs,h2", "no common application protocol");
  dishonest(good, "no common application protocol");  // names none, over quic our own
  finish(2);
}

TEST_F(BadInput, over_ws_each_costs_its_own_connection) {
  serve("ws");
  begin();
  send_and_wait(std::string(5000, 'g'));
  expect_refused("its upgrade was answered 400 Bad Request");
  send_and_wait(std::string(http_request));
  expect_refused("its upgrade was answered ");
  send_and_wait("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(100'000, 'h') + "\r\n\r\n");
  expect_refused("its upgrade was answered ");
  send_and_wait(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) +
                std::string(506, 't'));  // a TLS client's hello
  expect_refused("its upgrade was answered 400 Bad Request");
  finish(4);
}

TEST_F(BadInput, over_wss_each_costs_its_own_connection) {
  serve("wss");
  begin();
  const auto turned_away = [&](const std::string& arguments, const std::string& part) {
    const Ended ended = load(arguments);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    expect_refused(part);
  };
  send_and_wait(std::string(5000, 'g'));
  expect_refused("not a TLS record");
  send_and_wait(std::string(http_request));
  expect_refused("not a TLS record");
  send_inside("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  expect_refused("its upgrade was answered ");
  turned_away("--transport ws", "not a TLS record");
  turned_away("--transport wss --ca strange-ca --server-name " + server_name(),
              "the peer refused: CA is unknown");
  turned_away("--transport wss --ca ca --server-name other.test",
              "the peer refused: Certificate is bad");
  finish(6);
}

// A crowd that comes at one time and means well is not a flood: nobody is turned away to make room.
TEST_F(BadInput, an_honest_crowd_is_served_whole) {
  const std::size_t crowd = std::min<std::size_t>(1200, descriptors() - 200);
  serve("tcp");
  const Ended ended =
      run_tool_in(folder_.path(), tool_path(),
                  "load --connect 127.0.0.1:" + port_ +
                      " --patience 60s --messages 2400 --connections " + std::to_string(crowd));
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_EQ(refused(), 0U) << server_->err();
}

}  // namespace
}  // namespace twinwire::props
