// SPDX-License-Identifier: Apache-2.0
// run_in_world: one scenario, one seed, one verdict. What hunt, run, replay and the properties all call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "props/laws/registry.h"
#include "sim/world.h"

namespace twinwire::laws {

struct WorldRun {
  const ScenarioEntry* scenario = nullptr;
  std::size_t transport = 0;  // index into Transports
  std::vector<Knob> knobs;
  std::function<void(const Shape&)> on_shape;  // Env::on_shape
  bool outcome = false;                        // keep what the program sees (Verdict::outcome)
  sim::WorldOptions options;                   // seed, faults, edits, trace ...
};

enum class VerdictKind : std::uint8_t {
  pass,
  law_broken,   // a law reported a violation; `law` names it
  no_progress,  // deadlock, or a limit of time or steps; `law` names the ending
};

struct Verdict {
  VerdictKind kind = VerdictKind::pass;
  std::string law;     // with the kind: the failure key
  std::string detail;  // for a person; several lines where fibers are stuck
  sim::RunReport report;
  std::vector<Knob> knobs_read;
  std::vector<std::string> knobs_unread;
  std::vector<sim::Decision> decisions;  // where options.record was on: every choice other than 0
  std::size_t edits_used = 0;
  std::string course;  // Env::went
  // Where it was to be kept: what the program saw (Env::saw), and the verdict.
  std::uint64_t outcome = 0;

  // What broke, in terms that survive minimising: "law_broken:prefix".
  std::string failure_key() const;
};

// Its plan as its World has it: without what the scenario or the transport takes out.
sim::FaultPlan plan_of(const WorldRun& run);

// Runs it in a fresh World. Leaks, stuck fibers and an exception that left the scenario are violations, too.
Verdict run_in_world(const WorldRun& run, StackPool& stacks);

}  // namespace twinwire::laws
