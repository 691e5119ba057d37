// SPDX-License-Identifier: Apache-2.0
// --key-log of serve and load: what a packet analyser wants, readable by nobody else; and nothing ever in the file that
// the environment names.
// ctest: timeout=120 no_tsan
#include <sys/stat.h>

#include <regex>
#include <set>

#include "props/cli_process.h"

namespace twinwire::props {
namespace {

class KeyLog : public ::testing::TestWithParam<const char*> {
 protected:
  std::string path(const char* name) const { return (folder_.path() / name).string(); }
  TemporaryFolder folder_;
};

TEST_P(KeyLog, both_sides_write_the_same_secrets_each_to_its_file) {
  const std::string transport = GetParam();
  const std::vector<std::pair<std::string, std::string>> environment = {
      {"SSLKEYLOGFILE", path("environment")}};
  write_file(path("client"), "# what was there before\n");
  ::chmod(path("client").c_str(), 0600);
  Process server(folder_.path(),
                 {tool_path(), "serve", "--listen", "127.0.0.1:0", "--transport", transport,
                  "--self-signed", "--key-log", "server"},
                 environment);
  ASSERT_TRUE(server.says("serving")) << server.err();
  std::string address = server.out();
  address = address.substr(address.find("127.0.0.1:"));
  address.pop_back();
  const Ended load =
      run_tool_in(folder_.path(), tool_path(),
                  "load --connect " + address + " --transport " + transport +
                      " --self-signed --messages 30 --connections 3 --key-log client",
                  environment);
  EXPECT_EQ(load.exit_code, 0) << load.out << load.err;
  server.signal(SIGINT);
  EXPECT_EQ(server.wait().exit_code, 0);

  const std::string of_client = read_file(path("client"));
  EXPECT_TRUE(of_client.starts_with("# what was there before\n"));
  std::set<std::string> client;
  for (const std::string& line : lines_with(of_client, "_")) client.insert(line);
  std::set<std::string> server_lines;
  for (const std::string& line : lines_with(read_file(path("server")), ""))
    server_lines.insert(line);
  EXPECT_EQ(client, server_lines);
  // NSS Key Log Format: label, the client's random, the secret.
  const std::regex format("(CLIENT|SERVER|EXPORTER)_[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]{64}");
  std::set<std::string> sessions;
  for (const std::string& line : client) {
    EXPECT_TRUE(std::regex_match(line, format)) << line;
    sessions.insert(line.substr(line.find(' ') + 1, 64));
  }
  EXPECT_EQ(sessions.size(), 3U);
  for (const char* label : {"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                            "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"})
    EXPECT_EQ(lines_with(of_client, label).size(), 3U) << label;

  struct stat file{};
  ASSERT_EQ(::stat(path("server").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
  EXPECT_FALSE(std::filesystem::exists(path("environment")));
}

INSTANTIATE_TEST_SUITE_P(Over, KeyLog, ::testing::Values("tls", "wss", "quic"),
                         [](const auto& instance) { return std::string(instance.param); });

TEST(KeyLogFile, what_cannot_be_kept_is_one_sentence) {
  const TemporaryFolder folder;
  const auto serve = [&](const std::string& arguments) {
    return run_tool_in(folder.path(), tool_path(), "serve --listen 127.0.0.1:0 " + arguments);
  };
  expect_one_sentence(serve("--transport tls --self-signed --key-log no/such/folder"), 2,
                      "cannot keep a key log in no/such/folder: No such file");
  write_file(folder.path() / "open", "");
  ::chmod((folder.path() / "open").c_str(), 0644);
  expect_one_sentence(serve("--transport tls --self-signed --key-log open"), 2,
                      "others may read it");
  EXPECT_EQ(read_file(folder.path() / "open"), "");
  expect_one_sentence(serve("--transport tcp --key-log x"), 2, "does not encrypt");
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "x"));
}

}  // namespace
}  // namespace twinwire::props
