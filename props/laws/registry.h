// SPDX-License-Identifier: Apache-2.0
// Registry: which scenarios there are, each compiled for every transport. Plain values; nothing registers itself.
//
// A scenario is a type:
//
//   struct PingPong {
//     static constexpr std::string_view name = "ping_pong";
//     static constexpr std::string_view summary = "one connection, one message at a time";
//     template <Transport T>
//     static void run(laws::Env& env);
//   };
//
// It may also have `static void limit_faults(sim::FaultPlan&)`; `static constexpr bool starts_nodes`, true where it
// runs programs on nodes; the same of `plays_kernel`, true where it plays the kernel of a ring, and of `has_shards`,
// true where its nodes have several shards; and
// `template <class T> static constexpr bool runs_over`, false for the transports that cannot do what it is about.
// `registry.add<PingPong>()` makes it known to every verb of the tool.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "props/laws/env.h"
#include "sim/fault_plan.h"
#include "transport/quic/quic.h"
#include "transport/tcp/tcp.h"
#include "transport/tls/tls.h"
#include "transport/ws/ws.h"
#include "transport/wss/wss.h"

namespace twinwire::laws {

// Every transport that there is, in the order of --transport's list.
using Transports = std::tuple<Tcp, Tls, Ws, Wss, Quic>;
inline constexpr std::size_t transport_count = std::tuple_size_v<Transports>;

constexpr std::array<std::string_view, transport_count> transport_names() noexcept {
  return []<std::size_t... i>(std::index_sequence<i...>) {
    return std::array<std::string_view, transport_count>{
        std::tuple_element_t<i, Transports>::name...};
  }(std::make_index_sequence<transport_count>{});
}

template <class T>
inline constexpr bool encrypts = requires(typename T::Options options) { options.tls; };
// The same by its place among Transports.
constexpr bool transport_encrypts(std::size_t transport) noexcept {
  return []<std::size_t... i>(std::index_sequence<i...>) {
    return std::array<bool, transport_count>{encrypts<std::tuple_element_t<i, Transports>>...};
  }(std::make_index_sequence<transport_count>{})[transport];
}

using ScenarioBody = void (*)(Env&);

struct ScenarioEntry {
  std::string_view name;
  std::string_view summary;
  std::array<ScenarioBody, transport_count> bodies;  // by transport; nullptr where it does not run
  // Takes out of a plan the faults under which the scenario's own law would not hold; nullptr: it bears them all.
  void (*limit_faults)(sim::FaultPlan&) = nullptr;
  bool starts_nodes = false;  // it runs programs on nodes (Env::run_node), which may crash
  bool plays_kernel = false;  // it meets the faults of a ring's kernel, and no others
  bool has_shards = false;    // its nodes have several shards, whose mail may be late
};

class Registry {
 public:
  template <class S>
  void add() {
    ScenarioEntry entry;
    entry.name = S::name;
    entry.summary = S::summary;
    [&]<std::size_t... i>(std::index_sequence<i...>) {
      entry.bodies = {body_over<S, std::tuple_element_t<i, Transports>>()...};
    }(std::make_index_sequence<transport_count>{});
    if constexpr (requires(sim::FaultPlan& plan) { S::limit_faults(plan); })
      entry.limit_faults = &S::limit_faults;
    if constexpr (requires { S::starts_nodes; }) entry.starts_nodes = S::starts_nodes;
    if constexpr (requires { S::plays_kernel; }) entry.plays_kernel = S::plays_kernel;
    if constexpr (requires { S::has_shards; }) entry.has_shards = S::has_shards;
    add_entry(entry);
  }

  const ScenarioEntry* find(std::string_view name) const noexcept;
  const std::vector<ScenarioEntry>& entries() const noexcept { return entries_; }

 private:
  template <class S, class T>
  static constexpr ScenarioBody body_over() {
    if constexpr (requires { requires !S::template runs_over<T>; })
      return nullptr;
    else
      return &S::template run<T>;
  }
  void add_entry(ScenarioEntry entry);  // aborts on a name that is taken

  std::vector<ScenarioEntry> entries_;
};

// The scenarios that twinwire ships: `traffic` (the default of hunt), `ping_pong`, and those for single laws.
Registry built_in_scenarios();

}  // namespace twinwire::laws
