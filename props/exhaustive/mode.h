// SPDX-License-Identifier: Apache-2.0
// Exhaustive modes: not a sample of what can go wrong in a small run, but all of it. Start here.
//
// A mode learns from benign runs where something could go wrong, and lists every case: a benign world of a registered
// scenario, with the decisions that put one fault into it. So a case is replayed, minimised and told as any other run.
// A case holds where every law holds and where its fault bit: a fault that changes nothing proves nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "props/laws/run_in_world.h"

namespace twinwire::exhaustive {

// A benign world that cases put their fault into.
struct Base {
  std::string name;  // "TLS 1.2"; empty where there is only one
  std::string scenario;
  std::uint64_t seed = 1;
  std::vector<laws::Knob> knobs;
};

// A row of the table.
struct Kind {
  std::string name;
  bool must_bite =
      true;  // false: the table says how often it bit, and docs/exhaustive.md why not always
};

struct Case {
  std::uint16_t base = 0;  // of Plan::bases
  std::uint16_t kind = 0;  // of Plan::kinds
  // The last is the fault that is to bite; those before it make room for it. None: the benign run itself.
  std::vector<sim::Decision> edits;
};

struct Plan {
  std::vector<Base> bases;
  std::vector<Kind> kinds;  // at most kinds_max
  std::vector<Case> cases;
  // What Verdict::course may say, where the mode counts it; at most outcomes_max.
  std::vector<std::string> outcomes;
  // A line each below the table: what was learned, what was left out and why.
  std::vector<std::string> notes;
  // Why nothing could be learned; else empty. A benign run that fails is better told as a case without edits.
  std::string complaint;
};
inline constexpr std::size_t kinds_max = 64;
inline constexpr std::size_t outcomes_max = 4;

struct Mode {
  std::string_view name;
  std::string_view summary;
  // Every case over that transport; none where the mode is not about it.
  Plan (*plan)(const laws::Registry& registry, std::size_t transport, StackPool& stacks);
};

// In the order in which they are run.
std::span<const Mode> modes() noexcept;

// The run of a case. Its options may be added to (progress, record, trace).
laws::WorldRun run_of(const laws::Registry& registry, std::size_t transport, const Plan& plan,
                      const Case& one);
// A benign world, without a fault.
laws::WorldRun run_of(const laws::Registry& registry, std::size_t transport, const Base& base);

struct Judgement {
  std::string key;  // "pass", a failure key of the run, or "no_bite"
  std::string detail;
  bool bit = false;
  std::size_t outcome = 0;  // index into Plan::outcomes, or their number
  bool passed() const noexcept { return key == "pass"; }
};
Judgement judge(const Plan& plan, const Case& one, const laws::Verdict& verdict);

}  // namespace twinwire::exhaustive
