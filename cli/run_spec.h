// SPDX-License-Identifier: Apache-2.0
// RunSpec: everything that decides a run, as the user gave it. Equal specs and seeds run alike, to the byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cli/tool.h"
#include "props/laws/run_in_world.h"
#include "sim/fault_plan.h"

namespace twinwire::cli {

struct RunSpec {
  enum class Base : std::uint8_t { swarm, none, all };

  std::string scenario = "traffic";
  std::string transport = "tcp";
  Base base = Base::swarm;          // what the faults start from
  std::vector<std::string> faults;  // "short_write=0.1:20", on top of `base`
  std::vector<laws::Knob> knobs;
  std::string plant;

  // The plan for a seed. Requires that the faults were checked.
  sim::FaultPlan plan(std::uint64_t seed) const;
  // One run of it. Requires that the names were checked.
  laws::WorldRun world_run(const Tool& tool, std::uint64_t seed) const;
  // "--scenario traffic --transport tcp --fault ...": what makes the same spec again, without the seed.
  std::string arguments() const;
  // The line that runs this seed again.
  std::string replay_line(const Tool& tool, std::uint64_t seed) const;
};

// Each throws Failure with one sentence where there is no such thing.
const laws::ScenarioEntry& scenario_named(const Tool& tool, std::string_view name);
std::size_t transport_named(std::string_view name);
// Throws as well where the scenario does not run over that transport.
void require_body(const laws::ScenarioEntry& scenario, std::size_t transport);
void check_fault(std::string_view text);            // "name=probability[:bound]"
laws::Knob parse_knob(std::string_view text);       // "name=value"
void check(const Tool& tool, const RunSpec& spec);  // all of it

// A plan from the text that FaultPlan::to_text() made; throws Failure.
sim::FaultPlan plan_from_text(std::string_view text);

// "name=value, name=value"
std::string to_text(const std::vector<laws::Knob>& knobs);

}  // namespace twinwire::cli
