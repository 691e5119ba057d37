// SPDX-License-Identifier: Apache-2.0
// WsOptions: what can be set on a WebSocket listener or connection beyond ConnOptions.
#pragma once

#include <string>
#include <vector>

#include "transport/conn_options.h"

namespace twinwire {

struct WsOptions : ConnOptions {
  std::string path = "/";

  // A client's request. An empty host is the dialled address.
  std::string host;
  std::string origin;

  // Whom a listener lets in; empty: anybody. A request without an Origin comes from no browser and passes.
  std::vector<std::string> hosts;
  std::vector<std::string> origins;

  // A ping whenever the peer was silent for so long; 0: none. Without any sign of life for ping_timeout after it the
  // connection is dropped, and reads as broken.
  Duration ping_interval{0};
  Duration ping_timeout = std::chrono::seconds(20);
};

}  // namespace twinwire
