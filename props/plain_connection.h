// SPDX-License-Identifier: Apache-2.0
// What a stranger with a bare socket sees of `--metrics`.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "props/metrics_text.h"
#include "real/socket_address.h"

namespace twinwire::props {

// A connection to a port of this machine, from below.
class Plain {
 public:
  explicit Plain(const Address& to) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{20, 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const real::SocketAddress address(to);
    connected_ = ::connect(fd_, &address.any, address.length) == 0;
  }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  ~Plain() { ::close(fd_); }

  bool connected() const { return connected_; }
  bool send(const std::string& text) const {
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }
  // Until the other side ends; `reset` where it ended otherwise.
  std::string rest(bool* reset = nullptr) const {
    std::string text;
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (reset != nullptr) *reset = n < 0;
      if (n <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_;
  bool connected_ = false;
};

inline constexpr const char* get_metrics = "GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n";

// Sends that, and gives back all that is answered.
inline std::string ask_plainly(const Address& where, const std::string& request) {
  const Plain connection(where);
  EXPECT_TRUE(connection.connected());
  EXPECT_TRUE(connection.send(request));
  bool reset = false;
  std::string answer = connection.rest(&reset);
  EXPECT_FALSE(reset) << "the answer ended with a reset";
  return answer;
}

// Where a server that has said so answers for its metrics.
inline Address metrics_address(const std::string& out) {
  const std::size_t at = out.find("http://") + 7;
  return *parse_address(out.substr(at, out.find("/metrics") - at));
}

// The metrics in a whole answer. What is wrong with it fails the test.
inline MetricsText metrics_in(const std::string& answer) {
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer.substr(0, 300);
  EXPECT_NE(answer.find("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
            std::string::npos);
  const std::size_t end = answer.find("\r\n\r\n");
  const std::string body = answer.substr(end + 4);
  EXPECT_NE(answer.find("\r\nContent-Length: " + std::to_string(body.size()) + "\r\n"),
            std::string::npos);
  MetricsText text(body);
  for (const std::string& error : text.errors()) ADD_FAILURE() << error;
  return text;
}

}  // namespace twinwire::props
