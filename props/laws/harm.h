// SPDX-License-Identifier: Apache-2.0
// Harm: what was done to the connections of a run, so that each failure can be held against it. A call fails only where
// it was told to stop, or where its connection was dropped for such a reason; everything else goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "props/laws/judge.h"
#include "props/laws/witness.h"
#include "transport/base/error.h"

namespace twinwire::laws {

// One connection that a client tried to have: from the dial to the end of both sides.
struct Attempt {
  Attempt(Judge& judge, std::uint64_t index, std::string name, bool any_order)
      : label(std::move(name)),
        up(judge, label + ", client to server", 2 * index, any_order),
        down(judge, label + ", server to client", 2 * index + 1, any_order) {}

  std::string label;
  Witness up;
  Witness down;
  bool harmed = false;       // who used it was told to stop where that ends a connection
  bool unexplained = false;  // it failed though nobody there was told to stop
  bool dialed = false;
  bool requests_told = false;  // a request was told to stop: its reply may meet nobody
  bool replies_told = false;   // a reply was: its request is refused
  bool closing[2] = {};        // close() was called: by the client, by the server
  bool closed[2] = {};         // and returned ok
};

class Harm {
 public:
  // `allowance`: how many connections may fail without a reason that can be seen from outside, since what was hit is
  // inside of the transport, or was an allocation.
  Harm(Judge& judge, std::size_t allowance) noexcept : judge_(&judge), allowance_(allowance) {}

  Attempt& begin(std::string name, bool any_order);
  // The attempt that a message from a client belongs to; nullptr: none.
  Attempt* of(const Message& message) noexcept;

  // A call on a connection ended with `error`; `told`: its fiber had been told to stop. `connection`: nullptr where the
  // server does not know yet whose it is.
  void failed(Attempt* connection, std::string_view call, Error error, bool told);
  // accept() did.
  void accept_failed(Error error, bool told);
  // The server dropped a connection of which it did not know whose it was.
  void dropped_a_stranger() noexcept { ++strangers_; }
  // Nobody accepts any more, or all is over.
  void server_goes() noexcept { server_gone_ = true; }
  bool server_gone() const noexcept { return server_gone_; }
  bool expects_shortage() const noexcept { return allowance_ > 0; }

  // At the end, in a word: "dropped" (a connection), "canceled" (a call alone), "short" (of memory, a call alone) or
  // "went on".
  std::string_view outcome() const noexcept;

  // At the end: whatever was not harmed is complete.
  void judge_all(bool over_datagrams);

 private:
  void note(Error error) noexcept;
  void judge_one(const Attempt& attempt);
  bool any_harm() const noexcept;

  Judge* judge_;
  std::size_t allowance_;
  std::size_t strangers_ = 0;
  std::size_t unexplained_ = 0;
  bool server_gone_ = false;
  bool canceled_ = false;
  bool short_ = false;
  std::vector<std::unique_ptr<Attempt>> attempts_;
};

}  // namespace twinwire::laws
