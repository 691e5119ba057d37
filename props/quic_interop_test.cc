// SPDX-License-Identifier: Apache-2.0
// QUIC with a peer that we did not write: quic-go in both roles, over real sockets, certificates verified. A thousand
// messages of 256 B to 1 MiB each way, every one verified at both ends; and what each refuses of the other.
//
// props/interop/CMakeLists.txt builds the peer. Under AddressSanitizer too; a thread of its own it has none.
// ctest: timeout=240 real_time no_tsan
#include "cli/load_protocol.h"
#include "props/cli_process.h"
#include "props/interop/conversation.h"
#include "props/laws/test_credentials.h"
#include "props/ring_fixture.h"
#include "transport/quic/quic.h"

namespace twinwire::real {
namespace {

using props::Process;

const std::string requests = "1000 echoes, 24239460 bytes, sums verified";

class QuicInterop : public RingTest {
 protected:
  void SetUp() override {
    const char* built = std::getenv("TWINWIRE_QUIC_PEER");
    if (built == nullptr)
      GTEST_SKIP() << "Debian's packages golang-go and golang-github-lucas-clemente-quic-go-dev "
                      "were not there when the build was configured";
    peer = built;
    const auto& known = laws::test_certificates();
    write("ca", known.authority.certificates);
    write("stranger", known.stranger.certificates);
    write("cert", known.server.certificates);
    write("key", known.server.key);
  }
  void write(const char* name, const std::string& text) const {
    props::write_file(folder.path() / name, text);
  }
  std::vector<std::string> their(const std::string& arguments) const {
    std::vector<std::string> command = props::words(arguments);
    command.insert(command.begin(), peer);
    return command;
  }

  // `serve`, while `body` has its clients come and go; then one ended well, and so many were refused.
  template <class F>
  void serve(std::size_t refused, F&& body) {
    std::vector<std::string> command =
        props::words("serve --listen 127.0.0.1:0 --transport quic --cert cert --key key");
    command.insert(command.begin(), props::tool_path());
    Process server(folder.path(), command);
    ASSERT_TRUE(server.says("serving quic on 127.0.0.1:")) << server.err();
    std::string address = server.out().substr(server.out().find("127.0.0.1:"));
    address.pop_back();
    body(address);
    server.signal(SIGINT);
    const props::Ended served = server.wait();
    EXPECT_EQ(served.exit_code, 0) << served.out << served.err;
    EXPECT_NE(served.out.find("1 ended well, 0 were stopped, 0 broke"), std::string::npos)
        << served.out;
    EXPECT_EQ(props::lines_with(served.err, "refused:").size(), refused) << served.err;
    server_log = served.out + served.err;
  }
  props::Ended their_client(const std::string& options, const std::string& address) const {
    return Process(folder.path(), their(options + " -name " + std::string(laws::test_server_name) +
                                        " client " + address))
        .wait();
  }
  void expect_echoes(const props::Ended& client, const std::string& lines) const {
    EXPECT_EQ(client.exit_code, 0) << client.err;
    EXPECT_EQ(client.out, lines);
  }

  // Their server, which serves one client; `body` gets its address.
  template <class F>
  void their_server(const std::string& options, F&& body) {
    Process server(folder.path(), their(options + " -cert cert -key key server"));
    ASSERT_TRUE(server.says("\n")) << server.err();
    const auto port = static_cast<std::uint16_t>(std::stoi(server.out().substr(5)));
    std::size_t bytes = 0;
    run({}, [&](RingNetwork& network, Scope&) {
      body(network, Address::v4(127, 0, 0, 1, port), bytes);
    });
    const props::Ended served = server.wait();
    EXPECT_EQ(served.exit_code, 0) << served.err;
    EXPECT_EQ(props::lines_with(served.out, "messages"),
              std::vector{"1000 messages, " + std::to_string(bytes) +
                          " bytes, 0 damaged, closed with 0"});
  }
  static QuicOptions dialing() {
    QuicOptions options;
    options.tls.credentials = laws::test_credentials().client->share();
    options.tls.server_name = laws::test_server_name;
    return options;
  }
  void dial_and_converse(RingNetwork& network, const Address& address, std::size_t& bytes) {
    auto conn = Quic::dial(network, address, dialing(), soon());
    ASSERT_TRUE(conn.has_value()) << to_string(conn.error());
    bytes = props::converse_with_echo(network, std::move(*conn));
  }

  props::TemporaryFolder folder;
  std::string peer;
  std::string server_log;
};

// It begins with version 2, is told of version 1, and goes on with that.
TEST_F(QuicInterop, their_client) {
  serve(0, [&](const std::string& address) {
    expect_echoes(their_client("-newest -ca ca", address),
                  requests + "\n0 retries, 1 versions refused, 0 key updates\n");
  });
  EXPECT_NE(server_log.find("received   1,000 messages, 24,239,460 bytes; sums verified"),
            std::string::npos)
      << server_log;
}

// After 100,000 packets it renews the keys, after 10,000 it takes another connection id of ours.
TEST_F(QuicInterop, their_client_for_so_long_that_it_renews_its_keys) {
  serve(0, [&](const std::string& address) {
    const props::Ended client = their_client("-ca ca -extra 150", address);
    EXPECT_EQ(client.exit_code, 0) << client.err;
    EXPECT_EQ(props::lines_with(client.out, "1150 echoes, 181525860 bytes, sums verified").size(),
              1U)
        << client.out;
    EXPECT_EQ(client.out.find(" 0 key updates"), std::string::npos) << client.out;
  });
}

TEST_F(QuicInterop, their_clients_that_are_refused_or_refuse_us_cost_nobody_else) {
  serve(2, [&](const std::string& address) {
    const props::Ended distrust = their_client("-ca stranger", address);
    EXPECT_EQ(distrust.exit_code, 1);
    EXPECT_NE(distrust.err.find("x509: certificate signed by unknown authority"), std::string::npos)
        << distrust.err;
    const props::Ended stranger = their_client("-ca ca -alpn another", address);
    EXPECT_EQ(stranger.exit_code, 1);
    EXPECT_NE(stranger.err.find("no application protocol"), std::string::npos) << stranger.err;
    expect_echoes(their_client("-ca ca", address),
                  requests + "\n0 retries, 0 versions refused, 0 key updates\n");
  });
  EXPECT_NE(server_log.find("refused: the peer refused: "), std::string::npos) << server_log;
  EXPECT_NE(server_log.find("refused: no common application protocol"), std::string::npos)
      << server_log;
}

// A listener of our own, which asks for the proof of an address that `serve` asks for under pressure alone.
TEST_F(QuicInterop, their_client_proves_its_address) {
  run({}, [&](RingNetwork& network, Scope&) {
    run_scope(network.scheduler(), [&](Scope& background) {
      QuicOptions options;
      options.tls.credentials = laws::test_credentials().server->share();
      options.retry_from = 0;
      auto listener = Quic::listen(network, background, loopback, options);
      ASSERT_TRUE(listener.has_value());
      Process client(folder.path(), their("-ca ca -name " + std::string(laws::test_server_name) +
                                          " client " + to_string(listener->local())));
      auto accepted = listener->accept(soon());
      ASSERT_TRUE(accepted.has_value()) << client.err();
      auto [reader, writer] = split(std::move(accepted->first));
      Batch batch(1);
      cli::LoadTotals seen;
      for (;;) {
        auto message = reader.read_message(default_max_message, soon());
        if (!message) {
          EXPECT_EQ(message.error(), Errc::closed);
          break;
        }
        if (cli::is_ping(*message)) {
          batch.push(*cli::make_pong(network.buffers(), seen));
        } else {
          ASSERT_TRUE(cli::is_request(*message, seen.messages));
          ++seen.messages;
          seen.bytes += message->size();
          batch.push(std::move(*message));
        }
        ASSERT_TRUE(writer.send_batch(batch, soon()).has_value());
      }
      const auto closed = writer.close(seconds(10));
      EXPECT_TRUE(closed.has_value()) << to_string(closed.error());
      expect_echoes(client.wait(), requests + "\n1 retries, 0 versions refused, 0 key updates\n");
      background.cancel();
    });
  });
}

TEST_F(QuicInterop, their_server) {
  their_server("", [&](RingNetwork& network, const Address& address, std::size_t& bytes) {
    dial_and_converse(network, address, bytes);
  });
}
TEST_F(QuicInterop, their_server_that_wants_our_address_proved) {
  their_server("-retry", [&](RingNetwork& network, const Address& address, std::size_t& bytes) {
    dial_and_converse(network, address, bytes);
  });
}
TEST_F(QuicInterop, we_and_their_server_refuse_what_does_not_fit_and_it_goes_on) {
  their_server("", [&](RingNetwork& network, const Address& address, std::size_t& bytes) {
    QuicOptions other_name = dialing();
    other_name.tls.server_name = "somewhere.else";
    QuicOptions other_protocol = dialing();
    other_protocol.tls.alpn = {"another"};
    for (const QuicOptions& wrong : {other_name, other_protocol}) {
      const auto conn = Quic::dial(network, address, wrong, soon());
      ASSERT_FALSE(conn.has_value());
      EXPECT_EQ(conn.error(), Errc::handshake);
    }
    dial_and_converse(network, address, bytes);
  });
}

}  // namespace
}  // namespace twinwire::real
