// SPDX-License-Identifier: Apache-2.0
// Runs a script through the byte seam: in the World, and on the Ring.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "props/oracle/progress.h"
#include "transport/net/network.h"

namespace twinwire::oracle {

// How long what a script calls a moment takes in this network.
struct Pace {
  Duration moment;   // what a call is given that should not wait
  Duration turn;     // until whoever can go on has done so
  Duration hop;      // 0: cannot be had
  Duration connect;  // an answer takes two hops
  Duration settle;
  Duration
      patience;  // for bytes that are known to be on their way: a closed window may have to be probed
};

// A call that gives up takes a nanosecond: far less than a hop, however many there are.
inline constexpr Pace world_pace = {.moment = Duration(1),
                                    .turn = Duration(1),
                                    .hop = std::chrono::microseconds(50),
                                    .connect = std::chrono::microseconds(100) + Duration(1),
                                    .settle = std::chrono::seconds(2),
                                    .patience = std::chrono::seconds(2)};
// Loopback answers within the call that sends; what these leave is for the scheduler of a busy machine.
inline constexpr Pace ring_pace = {.moment = std::chrono::milliseconds(2),
                                   .turn = std::chrono::microseconds(300),
                                   .hop = Duration(0),
                                   .connect = std::chrono::milliseconds(10),
                                   .settle = std::chrono::microseconds(200),
                                   .patience = std::chrono::milliseconds(1500)};

class SeamRunner {
 public:
  // `dialer` and `listener` may be the same network.
  SeamRunner(const Script& script, Network& dialer, Network& listener, const Address& listens_on,
             const Pace& pace)
      : script_(script),
        dialer_(dialer),
        listener_(listener),
        listens_on_(listens_on),
        pace_(pace) {}

  // In a fiber; `scope` is for those who wait.
  Outcomes run(Scope& scope);

 private:
  using Stream = std::unique_ptr<ByteStream>;
  // Somebody who reads or writes while the script goes on.
  struct Waiting {
    bool active = false;  // begun and not yet awaited
    bool done = false;
    FiberHandle fiber;
    Outcome outcome;
  };
  enum Way : unsigned { reading, writing };

  Outcome begin(ByteStream& stream, const Step& step);
  Outcome await(const Step& step);
  void stop(Waiting& waiting);
  Waiting& waiting(const Step& step, Way way) { return waiting_[step.connection][step.side][way]; }
  bool anybody_waits() const;

  Outcome step(const Step& step);
  Outcome listen();
  Outcome connect(std::size_t connection);
  Outcome accept();
  Outcome write(ByteStream& stream, const Step& step, bool waits = false);
  Outcome read(ByteStream& stream, const Step& step, std::size_t size, bool once,
               bool waits = false);
  Outcome drain(ByteStream& stream, const Step& step);
  Deadline in(Duration time) { return dialer_.clock().in(time); }
  void pause(Duration time) { (void)dialer_.scheduler().sleep_for(time); }

  const Script& script_;
  Network& dialer_;
  Network& listener_;
  Address listens_on_;
  Pace pace_;
  Progress progress_;
  Scope* scope_ = nullptr;
  std::unique_ptr<Acceptor> acceptor_;
  std::array<std::array<Stream, 2>, connections_max> streams_;
  std::array<std::uint16_t, connections_max> dialed_from_{};  // ports
  std::array<std::array<std::array<Waiting, 2>, 2>, connections_max> waiting_;
};

Outcomes run_in_world(const Script& script);
// Errors     unsupported, and what else Ring::create says
Result<Outcomes> run_on_ring(const Script& script);

}  // namespace twinwire::oracle
