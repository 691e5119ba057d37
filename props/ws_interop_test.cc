// SPDX-License-Identifier: Apache-2.0
// WebSocket with a peer that we did not write: python3-websockets in both roles, over ws and wss, over real sockets. A
// thousand messages of 256 B to 1 MiB each way, every one verified at both ends, with fragments and pings of theirs.
// ctest: timeout=240 real_time no_tsan
#include "props/cli_process.h"
#include "props/interop/conversation.h"
#include "props/laws/test_credentials.h"
#include "props/ring_fixture.h"
#include "transport/ws/ws.h"
#include "transport/wss/wss.h"

namespace twinwire::real {
namespace {

using props::Process;

constexpr const char* python = "/usr/bin/python3";  // Debian's own: the package is for no other

class WsInterop : public RingTest {
 protected:
  void SetUp() override {
    Process probe(folder.path(), {python, "-c", "import websockets"});
    if (probe.wait().exit_code != 0)
      GTEST_SKIP() << "Debian's package python3-websockets is not installed";
    const auto& known = laws::test_certificates();
    props::write_file(folder.path() / "ca", known.authority.certificates);
    props::write_file(folder.path() / "cert", known.server.certificates);
    props::write_file(folder.path() / "key", known.server.key);
  }
  std::vector<std::string> script(const char* name, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {python, "-B", (scripts / name).string()});
    return arguments;
  }

  // Their client and `serve`.
  void their_client(const std::string& transport, const std::string& serve_with,
                    std::vector<std::string> trust) {
    std::vector<std::string> command =
        props::words("serve --listen 127.0.0.1:0 --transport " + transport + " " + serve_with);
    command.insert(command.begin(), props::tool_path());
    Process server(folder.path(), command);
    ASSERT_TRUE(server.says("serving " + transport + " on 127.0.0.1:")) << server.err();
    std::string port = server.out().substr(server.out().rfind(':') + 1);
    port.pop_back();
    trust.insert(trust.begin(), transport + "://127.0.0.1:" + port + "/");
    const props::Ended client =
        Process(folder.path(), script("ws_client.py", std::move(trust))).wait();
    EXPECT_EQ(client.exit_code, 0) << client.out << client.err;
    EXPECT_NE(client.out.find("1000 echoes"), std::string::npos) << client.out;
    server.signal(SIGINT);
    const props::Ended served = server.wait();
    EXPECT_EQ(served.exit_code, 0) << served.out << served.err;
    EXPECT_NE(served.out.find("1 ended well, 0 were stopped, 0 broke"), std::string::npos)
        << served.out;
  }

  // Our client and their server.
  template <class T>
  void their_server(std::vector<std::string> files, const typename T::Options& options) {
    Process server(folder.path(), script("ws_echo_server.py", std::move(files)));
    ASSERT_TRUE(server.says("\n")) << server.err();
    const auto port = static_cast<std::uint16_t>(std::stoi(server.out().substr(5)));
    std::size_t bytes = 0;
    run({}, [&](RingNetwork& network, Scope&) {
      auto conn = T::dial(network, Address::v4(127, 0, 0, 1, port), options, soon());
      ASSERT_TRUE(conn.has_value()) << to_string(conn.error()) << server.err();
      bytes = props::converse_with_echo(network, std::move(*conn));
    });
    ASSERT_TRUE(server.says("closed with")) << server.err();
    EXPECT_EQ(props::lines_with(server.out(), "messages"),
              std::vector{"1000 messages, " + std::to_string(bytes) +
                          " bytes, 0 damaged, closed with 1000"});
    EXPECT_EQ(server.wait().exit_code, 0);
  }

  props::TemporaryFolder folder;
  std::filesystem::path scripts = std::filesystem::absolute("props/interop");
};

TEST_F(WsInterop, their_client_over_ws) { their_client("ws", "", {}); }
TEST_F(WsInterop, their_client_over_wss) {
  their_client("wss", "--cert cert --key key", {(folder.path() / "ca").string()});
}
TEST_F(WsInterop, their_server_over_ws) { their_server<Ws>({}, {}); }
TEST_F(WsInterop, their_server_over_wss) {
  WssOptions options;
  options.tls.credentials = laws::test_credentials().client->share();
  options.tls.server_name = laws::test_server_name;
  their_server<Wss>({(folder.path() / "cert").string(), (folder.path() / "key").string()}, options);
}

}  // namespace
}  // namespace twinwire::real
