// SPDX-License-Identifier: Apache-2.0
// `serve` as a process, peers that mean it no good, and its lines about them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <charconv>

#include "props/cli_process.h"
#include "props/laws/test_credentials.h"
#include "transport/wire/header.h"

namespace twinwire::props {

using namespace std::chrono_literals;

class BadInput : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto& known = laws::test_certificates();
    write("ca", known.authority.certificates);
    write("strange-ca", known.stranger.certificates);
    for (const auto& [name, identity] : {std::pair{"server", &known.server},
                                         {"client", &known.client},
                                         {"expired", &known.expired},
                                         {"forged", &known.forged}}) {
      write(std::string(name) + ".cert", identity->certificates);
      write(std::string(name) + ".key", identity->key);
    }
  }
  void write(const std::string& name, const std::string& text) {
    write_file(folder_.path() / name, text);
    ::chmod((folder_.path() / name).c_str(), 0600);
  }

  void serve(const std::string& transport, const std::string& arguments) {
    std::vector<std::string> command =
        words("serve --listen 127.0.0.1:0 --transport " + transport + " " + arguments);
    command.insert(command.begin(), tool_path());
    server_ = std::make_unique<Process>(folder_.path(), command);
    ASSERT_TRUE(server_->says("serving " + transport + " on 127.0.0.1:")) << server_->err();
    const std::string line = server_->out();
    port_ = line.substr(line.rfind(':') + 1);
    port_.pop_back();
  }
  Ended load(const std::string& arguments) {
    return run_tool_in(folder_.path(), tool_path(),
                       "load --connect 127.0.0.1:" + port_ +
                           " --connections 1 --messages 20 --batch 5 " + arguments);
  }

  // Exactly one line more on the server's standard error, and these words in it.
  void expect_line(const std::string& part) {
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (lines().size() == lines_ && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(5ms);
    const auto all = lines();
    ASSERT_EQ(all.size(), lines_ + 1) << server_->err();
    lines_ = all.size();
    EXPECT_TRUE(all.back().starts_with("twinwire: connection from 127.0.0.1:")) << all.back();
    EXPECT_NE(all.back().find(part), std::string::npos) << all.back() << "\nwanted: " << part;
  }
  std::vector<std::string> lines() const { return lines_with(server_->err(), ""); }

  int connect() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    std::uint16_t port = 0;
    std::from_chars(port_.data(), port_.data() + port_.size(), port);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0)
      return socket;
    ::close(socket);
    return -1;
  }
  // Sends it, and reads until the server has had enough.
  void send_and_wait(const std::string& bytes) {
    const int socket = connect();
    ASSERT_GE(socket, 0);
    const timeval patience{10, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    char buffer[4096];
    while (::recv(socket, buffer, sizeof buffer, 0) > 0) {}
    ::close(socket);
  }
  // How many newcomers the server has said it refused: one by one, or in a sum.
  std::uint64_t refused() const {
    std::uint64_t count = 0;
    for (const std::string& line : lines()) {
      if (line.find(" refused: ") == std::string::npos) continue;
      std::string digits = "1";
      if (line.starts_with("twinwire: ... and ")) {
        digits.clear();
        for (std::size_t at = 18; line[at] == ',' || std::isdigit(line[at]) != 0; ++at)
          if (line[at] != ',') digits += line[at];
      }
      count += std::stoull(digits);
    }
    return count;
  }
  void flood(const std::string& honest, const std::string& opening = {});

  TemporaryFolder folder_;
  std::unique_ptr<Process> server_;
  std::string port_;
  std::size_t lines_ = 0;  // of the server's standard error, seen so far
};

inline std::string frame_of_size(std::uint32_t size) {
  std::string header(header_size, '\0');
  header.replace(offset::size, sizeof size, reinterpret_cast<const char*>(&size), sizeof size);
  header[offset::command] = 5;
  return header;
}

// Descriptors for this process and those that it starts from now on: all that it may have.
inline std::size_t descriptors() {
  rlimit limit{};
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

// Ten thousand connections that begin with `opening` and say no more, held until all are there.
inline void BadInput::flood(const std::string& honest, const std::string& opening) {
  constexpr std::uint64_t many = 10'000;
  // As many at a time as descriptors allow.
  const std::size_t at_once = std::min<std::size_t>(many, descriptors() - 200);
  std::vector<int> open;
  for (std::uint64_t i = 0; i < many; ++i) {
    const int socket = connect();
    ASSERT_GE(socket, 0) << "after " << i << ": " << std::strerror(errno);
    if (!opening.empty()) (void)::send(socket, opening.data(), opening.size(), MSG_NOSIGNAL);
    open.push_back(socket);
    if (open.size() == at_once) {
      for (const int old : open) ::close(old);
      open.clear();
    }
  }
  const Ended during = load(honest);
  EXPECT_EQ(during.exit_code, 0) << during.out << during.err;
  for (const int socket : open) ::close(socket);
  const auto until = std::chrono::steady_clock::now() + 15s;
  while (refused() < many && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(20ms);
  EXPECT_EQ(refused(), many) << server_->err();
  EXPECT_LE(lines().size(), 150U) << server_->err();
  const Ended after = load(honest);
  EXPECT_EQ(after.exit_code, 0) << after.out << after.err;
  server_->signal(SIGINT);
  const Ended server = server_->wait();
  EXPECT_EQ(server.exit_code, 0) << server.out << server.err;
  EXPECT_NE(server.out.find("2 ended well, 0 were stopped, 0 broke"), std::string::npos)
      << server.out;
  EXPECT_NE(server.out.find("refused    10,000 newcomers"), std::string::npos) << server.out;
}

}  // namespace twinwire::props
