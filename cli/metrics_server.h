// SPDX-License-Identifier: Apache-2.0
// MetricsServer: GET /metrics on an address of its own, answered by fibers of the ring that does the work.
//
// Whoever asks may be broken or hostile, and the service must not notice: each conversation is one handshake of an
// AcceptStage, so it is bounded in time, and their number too, where the oldest makes room.
#pragma once

#include <functional>
#include <string>
#include <variant>

#include "transport/accept_stage.h"

namespace twinwire::cli {

class MetricsServer {
 public:
  static constexpr Duration time_max = std::chrono::seconds(5);  // from the connection to its end
  static constexpr std::size_t at_once_max = 16;

  // Answers in fibers of `background` until that is canceled or this is gone. `metrics` makes the text; it is called
  // in a fiber, and may suspend.
  // Errors     as Network::listen
  static Result<MetricsServer> start(Network& network, Scope& background, const Address& address,
                                     std::function<Result<std::string>()> metrics);

  Address local() const noexcept { return stage_.local(); }

 private:
  // No connection ever comes of it: each conversation is over when its handshake is.
  using Stage = AcceptStage<std::monostate>;

  explicit MetricsServer(Stage stage) noexcept : stage_(std::move(stage)) {}

  Stage stage_;
};

}  // namespace twinwire::cli
