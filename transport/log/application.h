// SPDX-License-Identifier: Apache-2.0
// Application: what the entries of a log are for: a state machine that every replica has, and that does the same on
// each.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transport/bus/ids.h"
#include "transport/log/entry.h"
#include "transport/net/address.h"

namespace twinwire::log {

class Application {
 public:
  // The next entry. On every replica the same ones come in the same order, each once in the life of this object; after
  // a restart from the first on. What it does and answers depends on nothing but what came so far: no clock, no chance.
  // `answer`: empty; what the client is told. Sent by the primary only, and again to a client that asks again.
  // Suspends   It must not.
  // Errors     what it throws ends the replica, which answers nobody any more: Replica::failed()
  virtual void apply(Op op, std::span<const std::byte> body, std::vector<std::byte>& answer) = 0;

  // For the operator's log. Neither suspends. Of refusals peers choose how many there are: whoever prints must bound
  // it.
  virtual void on_note(const std::string& /*sentence*/) noexcept {}
  // `peer`: all zero where nobody can tell.
  virtual void on_refused(bus::Plane, const Address& /*peer*/, std::string_view /*what*/,
                          Error) noexcept {}

 protected:
  ~Application() = default;
};

}  // namespace twinwire::log
