// SPDX-License-Identifier: Apache-2.0
// The processes of the benchmarks over loopback: a server and a client, ours or a peer's program, whose lines are read.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/child.h"
#include "cli/shared.h"
#include "real/ring.h"
#include "real/ring_network.h"

namespace twinwire::cli {

// A paced congestion control, which a system may have as its default (bbr), would measure its pace.
inline constexpr const char* bench_congestion = "reno";

// A child whose lines we read. What it says on standard error is thrown as Failure where it fails.
class Talker {
 public:
  using Body = std::function<void(int out)>;

  explicit Talker(const Body& body);
  Talker(const Talker&) = delete;
  Talker& operator=(const Talker&) = delete;
  ~Talker();

  // One line, or, past its end, nothing where `may_end`; throws what the child said where none comes.
  std::string line(Duration takes, bool may_end = false);
  // To its end.
  void finish();

 private:
  [[noreturn]] void throw_death();

  Shared<Pulse> pulse_;
  std::optional<Child> child_;
  int in_ = -1;
};

using BenchServer = std::function<void(int out)>;                      // prints "port N"
using BenchClient = std::function<void(int out, std::uint16_t port)>;  // prints what was measured

// Two processes, each to its end: the client's line.
std::string bench_both(Duration takes, const BenchServer& server, const BenchClient& client);

// Runs `body(ring, network, background)` in a fiber of a ring.
void in_bench_ring(
    const std::function<void(real::Ring&, real::RingNetwork&, Scope& background)>& body);

// This process becomes `program`, whose standard output is `out`.
[[noreturn]] void become_peer(const std::string& program, int out,
                              std::vector<std::string> arguments);

// twinwire-peers, which stands beside this tool; one sentence where it does not.
std::string peers_beside_us();

}  // namespace twinwire::cli
