// SPDX-License-Identifier: Apache-2.0
#include "cli/run_spec.h"

#include <algorithm>

#include "cli/text.h"

namespace twinwire::cli {
namespace {

std::vector<std::string_view> fault_names() {
  std::vector<std::string_view> names;
  names.reserve(sim::site_count);
  for (std::size_t i = 0; i < sim::site_count; ++i)
    names.push_back(sim::name(static_cast<sim::Site>(i)));
  return names;
}

}  // namespace

sim::FaultPlan RunSpec::plan(std::uint64_t seed) const {
  sim::FaultPlan plan = base == Base::swarm ? sim::FaultPlan::swarm(seed)
                        : base == Base::all ? sim::FaultPlan::all()
                                            : sim::FaultPlan::none();
  for (const std::string& fault : faults) (void)plan.set(fault);
  return plan;
}

laws::WorldRun RunSpec::world_run(const Tool& tool, std::uint64_t seed) const {
  laws::WorldRun run;
  run.scenario = &scenario_named(tool, scenario);
  run.transport = transport_named(transport);
  run.knobs = knobs;
  run.options.seed = seed;
  run.options.faults = plan(seed);
  return run;
}

std::string RunSpec::arguments() const {
  std::string text = "--scenario " + scenario + " --transport " + transport;
  if (base == Base::swarm && !faults.empty()) text += " --swarm";
  if (base == Base::all) text += " --all-faults";
  if (base == Base::none && faults.empty()) text += " --no-faults";
  for (const std::string& fault : faults) text += " --fault " + shell_word(fault);
  for (const laws::Knob& knob : knobs)
    text += " --set " + knob.name + "=" + std::to_string(knob.value);
  if (!plant.empty()) text += " --plant " + plant;
  return text;
}

std::string RunSpec::replay_line(const Tool& tool, std::uint64_t seed) const {
  return shell_word(tool.name) + " replay " + std::to_string(seed) + " " + arguments();
}

const laws::ScenarioEntry& scenario_named(const Tool& tool, std::string_view name) {
  if (const laws::ScenarioEntry* entry = tool.registry->find(name)) return *entry;
  std::vector<std::string_view> names;
  for (const laws::ScenarioEntry& entry : tool.registry->entries()) names.push_back(entry.name);
  bad_usage("there is no scenario named '" + std::string(name) + "'" + suggestion(name, names) +
            " (there are: " + quoted_list(names) + ")");
}

std::size_t transport_named(std::string_view name) {
  constexpr auto names = laws::transport_names();
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end())
    bad_usage("there is no transport named '" + std::string(name) + "'" + suggestion(name, names) +
              " (there are: " + quoted_list(names) + ")");
  return static_cast<std::size_t>(at - names.begin());
}

void require_body(const laws::ScenarioEntry& scenario, std::size_t transport) {
  if (scenario.bodies[transport] != nullptr) return;
  constexpr auto names = laws::transport_names();
  std::vector<std::string_view> over;
  for (std::size_t i = 0; i < names.size(); ++i)
    if (scenario.bodies[i] != nullptr) over.push_back(names[i]);
  bad_usage("the scenario '" + std::string(scenario.name) + "' does not run over " +
            std::string(names[transport]) + ", but over " + quoted_list(over));
}

void check_fault(std::string_view text) {
  const std::string_view name = text.substr(0, text.find_first_of("=@"));
  if (name != "calm" && !sim::site_named(name))
    bad_usage("there is no fault named '" + std::string(name) + "'" +
              suggestion(name, fault_names()) + "; `twinwire list` shows them");
  sim::FaultPlan plan;
  if (plan.set(text)) return;
  const std::string said = "'" + std::string(text) + "' ";
  if (name == "calm")
    bad_usage(said + "says no instant: write calm=5s, a whole number with ns, us, ms, s, m or h");
  if (text.find('/') != std::string_view::npos && plan.set(text.substr(0, text.find('/'))))
    bad_usage(said +
              "says no time: write /2s..3500ms, from an instant to a later one, each a whole "
              "number with ns, us, ms, s, m or h, or /2s.. and /..3s");
  if (const std::size_t at = text.find('@'); at != std::string_view::npos) {
    const std::string_view value = text.substr(std::min(text.find('='), text.size()));
    if (plan.set(std::string(name) + std::string(value)))
      bad_usage(said +
                "says no place, or a narrower one than the fault concerns: write name@node, "
                "name@from>to, name@one<>other or, for groups, name@a+b<>c and name@a<>*; "
                "what concerns one node takes no direction, and what concerns all no place");
  }
  bad_usage(said +
            "is not a fault's setting: write name=probability or name=probability:bound, "
            "with a probability from 0 to 1 in at most six decimals, such as 0.05, and a "
            "bound of at least 1");
}

laws::Knob parse_knob(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string_view::npos && equals != 0)
    if (const auto value = parse_i64(text.substr(equals + 1)))
      return {std::string(text.substr(0, equals)), *value};
  bad_usage("'" + std::string(text) +
            "' is not a knob's setting: write name=value with a whole number");
}

void check(const Tool& tool, const RunSpec& spec) {
  require_body(scenario_named(tool, spec.scenario), transport_named(spec.transport));
  for (const std::string& fault : spec.faults) check_fault(fault);
}

sim::FaultPlan plan_from_text(std::string_view text) {
  sim::FaultPlan plan;  // what is not named is off
  for (const std::string_view word : split_words(text)) {
    check_fault(word);
    (void)plan.set(word);
  }
  return plan;
}

std::string to_text(const std::vector<laws::Knob>& knobs) {
  std::string text;
  for (const laws::Knob& knob : knobs)
    text += (text.empty() ? "" : ", ") + knob.name + "=" + std::to_string(knob.value);
  return text;
}

}  // namespace twinwire::cli
