// SPDX-License-Identifier: Apache-2.0
// serve and load over Unix-domain sockets, and with options of sockets: as an operator meets them.
// ctest: timeout=300
#include <unistd.h>

#include <sys/stat.h>

#include "props/cli_process.h"

namespace twinwire::props {
namespace {

class CliUnix : public ::testing::Test {
 protected:
  std::unique_ptr<Process> serve(const std::vector<std::string>& arguments) {
    std::vector<std::string> command{tool_path(), "serve"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    auto server = std::make_unique<Process>(folder_.path(), command);
    EXPECT_TRUE(server->says("serving")) << server->err();
    return server;
  }
  Ended tool(const std::string& arguments) {
    return run_tool_in(folder_.path(), tool_path(), arguments);
  }
  bool there(const char* name = "it.sock") const {
    struct stat file{};
    return ::lstat((folder_.path() / name).c_str(), &file) == 0;
  }
  static Ended stop(Process& server) {
    server.signal(SIGINT);
    return server.wait();
  }

  TemporaryFolder folder_;
};

TEST_F(CliUnix, every_transport_over_streams_runs_over_it) {
  for (const std::string_view transport : {"tcp", "tls", "ws", "wss"}) {
    SCOPED_TRACE(transport);
    const bool secret = transport == "tls" || transport == "wss";
    for (const std::string& name :
         {std::string("unix:it.sock"), "unix:@twinwire-test-" + std::to_string(::getpid())}) {
      SCOPED_TRACE(name);
      std::vector<std::string> arguments{"--listen", name, "--transport", std::string(transport)};
      if (secret) arguments.push_back("--self-signed");
      const auto server = serve(arguments);
      EXPECT_NE(server->out().find(name), std::string::npos) << server->out();
      const Ended load =
          tool("load --messages 5000 --connections 2 --connect " + name + " --transport " +
               std::string(transport) + (secret ? " --self-signed" : ""));
      EXPECT_EQ(load.exit_code, 0) << load.out << load.err;
      EXPECT_NE(load.out.find("sums verified"), std::string::npos) << load.out;
      const Ended ended = stop(*server);
      EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
      EXPECT_NE(ended.out.find("5,000 messages"), std::string::npos) << ended.out;
      EXPECT_FALSE(there());
    }
  }
}

TEST_F(CliUnix, a_server_that_was_killed_leaves_a_file_that_the_next_one_replaces) {
  {
    const auto server = serve({"--listen", "unix:it.sock"});
    server->signal(SIGKILL);
    (void)server->wait();
  }
  ASSERT_TRUE(there());
  // The kernel gives up a killed process's ring, and the sockets that it works on, some time after the process is gone.
  Ended nobody = tool("load --connect unix:it.sock --connections 1");
  for (int i = 0; i < 100 && nobody.err.find("nobody listens") == std::string::npos; ++i) {
    ::usleep(20'000);
    nobody = tool("load --connect unix:it.sock --connections 1");
  }
  expect_one_sentence(nobody, 6, "nobody listens on it.sock");
  const auto server = serve({"--listen", "unix:it.sock"});
  EXPECT_EQ(tool("load --messages 100 --connect unix:it.sock").exit_code, 0);
  EXPECT_EQ(stop(*server).exit_code, 0);
  EXPECT_FALSE(there());
}

TEST_F(CliUnix, each_mistake_gets_one_sentence) {
  const auto server = serve({"--listen", "unix:it.sock"});
  write_file(folder_.path() / "file", "precious");
  struct Case {
    std::string arguments;
    int code;
    const char* sentence;
  };
  const Case cases[] = {
      {"serve --listen unix:it.sock", 6, "another process listens on it.sock"},
      {"serve --listen unix:file", 6, "file is a file and no socket; it was left alone"},
      {"serve --listen unix:no/it.sock", 6, "no/it.sock does not exist, or its folder does not"},
      {"serve --listen unix:" + std::string(108, 'x'), 2, "is too long"},
      {"serve --listen unix:", 2, "names no socket"},
      {"serve --listen unix:@", 2, "names no socket"},
      {"serve --listen unix:a.sock --transport quic", 2, "quic runs over datagrams"},
      {"serve --listen unix:a.sock --keepalive 5s", 2, "Unix-domain sockets have no --keepalive"},
      {"serve --listen unix:a.sock --device lo", 2, "Unix-domain sockets have no"},
      {"load --connect unix:it.sock --bind 127.0.0.1:0", 2, "Unix-domain sockets have no"},
      {"load --connect unix:it.sock --transport tls --ca file", 2, "give --server-name"},
      {"serve --listen 127.0.0.1:0 --transport quic --user-timeout 5s", 2,
       "quic runs over datagrams"},
      {"serve --keepalive 0s", 2, "--keepalive takes a duration from"},
      {"serve --keepalive soon", 2, "--keepalive takes a duration from"},
      {"serve --keepalive 10h", 2, "--keepalive takes a duration from"},
      {"serve --keepalive-probes 3", 2, "--keepalive"},
      {"serve --keepalive 5s --keepalive-probes 128", 2, "no whole number from 1 to 127"},
      {"serve --user-timeout 0", 2, "--user-timeout takes a duration from"},
      {"serve --backlog -1", 2, "no whole number from 0"},
      {"load --bind here", 2, "'here' is no address"},
      {"serve --listen 127.0.0.1:0 --device nosuchdevice", 6,
       "there is no network device named 'nosuchdevice'"},
      {"serve --listen 127.0.0.1:0 --congestion nosuch", 6,
       "this kernel has no congestion control named 'nosuch'"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.arguments);
    expect_one_sentence(tool(one.arguments), one.code, one.sentence);
  }
  EXPECT_EQ(read_file(folder_.path() / "file"), "precious");
  const Ended load = tool("load --connect 127.0.0.1:1 --connections 1 --device nosuchdevice");
  EXPECT_EQ(load.exit_code, 6);
  EXPECT_NE(load.err.find("there is no network device named"), std::string::npos) << load.err;
  EXPECT_EQ(tool("load --messages 100 --connect unix:it.sock").exit_code, 0);
}

TEST_F(CliUnix, the_options_of_sockets_work_together) {
  const auto server = serve({"--listen",
                             "127.0.0.1:0",
                             "--keepalive",
                             "30s",
                             "--keepalive-interval",
                             "5s",
                             "--keepalive-probes",
                             "3",
                             "--user-timeout",
                             "10s",
                             "--send-buffer",
                             "65536",
                             "--receive-buffer",
                             "65536",
                             "--device",
                             "lo",
                             "--congestion",
                             "reno",
                             "--backlog",
                             "16",
                             "--reuse-port"});
  const std::string out = server->out();
  const std::size_t at = out.find("127.0.0.1:");
  const std::string address = out.substr(at, out.find('\n', at) - at);
  const Ended load = tool("load --messages 5000 --connect " + address +
                          " --keepalive 30s --user-timeout 10s --send-buffer 65536 --device lo "
                          "--congestion reno --bind 127.0.0.2:0 --nagle");
  EXPECT_EQ(load.exit_code, 0) << load.out << load.err;
  const auto second = serve({"--listen", address, "--reuse-port"});
  EXPECT_EQ(stop(*second).exit_code, 0);
  EXPECT_EQ(stop(*server).exit_code, 0);
}

TEST_F(CliUnix, a_server_of_ipv6_alone_leaves_the_port_to_ipv4) {
  const auto server = serve({"--listen", "[::]:0", "--v6-only"});
  const std::string out = server->out();
  const std::string port = out.substr(out.rfind(':') + 1, out.size() - out.rfind(':') - 2);
  EXPECT_EQ(tool("load --connections 1 --connect 127.0.0.1:" + port).exit_code, 6);
  EXPECT_EQ(tool("load --messages 100 --connect [::1]:" + port).exit_code, 0);
  const auto beside = serve({"--listen", "0.0.0.0:" + port});
  EXPECT_EQ(tool("load --messages 100 --connect 127.0.0.1:" + port).exit_code, 0);
}

TEST_F(CliUnix, what_the_kernel_cuts_is_told) {
  const auto server = serve({"--listen", "127.0.0.1:0", "--receive-buffer", "1073741824"});
  const Ended ended = stop(*server);
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_NE(ended.err.find("of --receive-buffer 1073741824 the kernel gives"), std::string::npos)
      << ended.err;
  const auto another = serve({"--listen", "127.0.0.1:0", "--backlog", "1000000"});
  EXPECT_NE(stop(*another).err.find("of --backlog 1000000 the kernel gives"), std::string::npos);
}

}  // namespace
}  // namespace twinwire::props
