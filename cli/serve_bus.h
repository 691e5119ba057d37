// SPDX-License-Identifier: Apache-2.0
// serve --bus: one process of a cluster with a replicated log.
#pragma once

#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "cli/socket_options.h"
#include "cli/tls_options.h"

namespace CLI {
class App;
}

namespace twinwire::cli {

// Of its options, in the help.
inline constexpr const char* serve_bus_group =
    "With --bus: one process of a cluster with a replicated log";
// The largest that --body-max may be.
inline constexpr std::size_t bus_body_max = std::size_t{16} << 20;

struct ServeBusArguments {
  bool on = false;
  unsigned replica = 0;
  std::vector<std::string> members;  // ID=ADDRESS
  std::vector<std::string> clients;  // TRANSPORT=ADDRESS
  std::string replica_transport = "tcp";
  std::string log;
  std::string key;
  std::string other_key;
  std::string cluster = "1";
  std::string redial_every = "5s";
  std::string silence_max = "5s";
  std::string drain_limit = "2s";
  std::string freshness = "30s";
  std::size_t queue_max = 256;
  std::size_t uncommitted_max = 1024;
  std::size_t sessions_max = 10'000;
  std::size_t body_max = std::size_t{64} * 1024;
};

void add_serve_bus_options(CLI::App& verb, ServeBusArguments& arguments);

// Until SIGINT or SIGTERM, or until it cannot go on; then prints its state.
// `metrics`: where GET /metrics is answered; empty: nowhere.
ExitCode serve_bus(const ServeBusArguments& arguments, const TlsOptionsText& tls,
                   const SocketOptionsText& sockets, const std::string& metrics);

}  // namespace twinwire::cli
