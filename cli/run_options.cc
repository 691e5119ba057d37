// SPDX-License-Identifier: Apache-2.0
#include "cli/run_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "cli/fault_places.h"
#include "cli/planted_tool.h"
#include "cli/text.h"

namespace twinwire::cli {

bool RunOptions::any_of_a_spec() const {
  return std::any_of(of_a_spec.begin(), of_a_spec.end(),
                     [](const CLI::Option* option) { return option->count() > 0; });
}

Duration parse_hang_after(const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration || *duration == Duration::zero())
    bad_usage("'" + text + "' is no duration; write 10s, 2m or 500ms");
  return *duration;
}

Duration RunOptions::hang_after_parsed() const { return parse_hang_after(hang_after); }

void add_run_options(CLI::App& verb, RunOptions& options) {
  auto& spec = options.spec;
  auto* no_faults = verb.add_flag("--no-faults", options.no_faults,
                                  "nothing goes wrong; only the order is drawn");
  auto* all_faults = verb.add_flag("--all-faults", options.all_faults,
                                   "every fault on in every run, none of them strongly");
  auto* swarm = verb.add_flag(
      "--swarm", options.swarm,
      "faults drawn from the seed (the default, unless --fault is given; then on top)");
  auto* fault = verb.add_option("--fault", spec.faults,
                                "NAME=PROBABILITY[:BOUND], may be repeated; see `list`")
                    ->allow_extra_args(false)
                    ->type_name("SETTING");
  no_faults->excludes(swarm)->excludes(fault)->excludes(all_faults);
  all_faults->excludes(swarm);
  options.of_a_spec = {
      verb.add_option("--scenario", spec.scenario, "what is run; see `list`")
          ->capture_default_str(),
      verb.add_option("--transport", spec.transport, "over which transport")->capture_default_str(),
      no_faults,
      all_faults,
      swarm,
      fault,
      verb.add_option("--set", options.knobs, "KNOB=VALUE of the scenario, may be repeated")
          ->allow_extra_args(false)
          ->type_name("SETTING"),
      verb.add_option("--plant", spec.plant, "switch a planted bug on; see `list`")
          ->type_name("NAME"),
  };
  verb.add_option("--hang-after", options.hang_after,
                  "a run that resumes no fiber for so long is a hang")
      ->capture_default_str();
  verb.add_flag(
      "--in-process", options.in_process,
      "no child process around the run: a crash ends the tool itself, as a debugger wants it");
}

void settle(const Tool& tool, RunOptions& options) {
  check(tool, options.spec);
  options.spec.knobs.clear();
  for (const std::string& knob : options.knobs) options.spec.knobs.push_back(parse_knob(knob));
  const bool own_plan = options.no_faults || (!options.spec.faults.empty() && !options.swarm);
  options.spec.base = options.all_faults ? RunSpec::Base::all
                      : own_plan         ? RunSpec::Base::none
                                         : RunSpec::Base::swarm;
  (void)options.hang_after_parsed();
  require_plant(tool, options.spec.plant);
  check_places(tool, options.spec);
}

}  // namespace twinwire::cli
