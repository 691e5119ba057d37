// SPDX-License-Identifier: Apache-2.0
// --keepalive, --user-timeout, --device ...: the options of sockets that `serve` and `load` share. What they mean is in
// transport/net/network.h.
#pragma once

#include <string>
#include <string_view>

#include "transport/conn_options.h"

namespace CLI {
class App;
}

namespace twinwire::cli {

struct SocketOptionsText {
  std::string keepalive;
  std::string keepalive_interval;
  int keepalive_probes = 0;
  std::string user_timeout;
  std::size_t send_buffer = 0;
  std::size_t receive_buffer = 0;
  std::string congestion;
  std::string device;
  std::string bind;  // of a dialer
  bool nagle = false;
  int backlog = 1024;  // these three of a listener
  bool v6_only = false;
  bool reuse_port = false;
};

void add_listener_socket_options(CLI::App& verb, SocketOptionsText& text);
void add_dialer_socket_options(CLI::App& verb, SocketOptionsText& text);

// Puts what was given into `options`, which points into `text` from then on. Throws Failure(bad_usage) with one
// sentence where it makes no sense. Where the kernel gives less than what was asked for, a line on standard error
// says so.
void apply(const SocketOptionsText& text, ConnOptions& options);
// Throws where an option was given that means nothing to a transport over datagrams.
void refuse_stream_options(const SocketOptionsText& text, std::string_view transport);

// to_string(error), and where an option is to blame, which one and what to do about it.
std::string explain(const SocketOptionsText& text, const Error& error);

}  // namespace twinwire::cli
