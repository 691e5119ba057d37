// SPDX-License-Identifier: Apache-2.0
#include "cli/fault_places.h"

#include <algorithm>
#include <set>
#include <string>

#include "cli/text.h"

namespace twinwire::cli {
namespace {

constexpr std::uint64_t runs_tried = 20;  // how many clients there are is drawn, too

// A world tells of each node as it is made: "server", "is 10.0.0.1".
class NodeNames final : public sim::TraceSink {
 public:
  void on_step(const sim::TraceStep& step) override {
    if (step.what.starts_with("is 10.")) names.emplace(step.who);
  }
  std::set<std::string, std::less<>> names;
};

std::set<std::string, std::less<>> nodes_of(const Tool& tool, const RunSpec& spec) {
  RunSpec plain = spec;
  plain.base = RunSpec::Base::none;
  plain.faults.clear();
  plain.plant.clear();
  StackPool stacks;
  NodeNames nodes;
  for (std::uint64_t seed = 1; seed <= runs_tried; ++seed) {
    laws::WorldRun run = plain.world_run(tool, seed);
    run.options.trace = &nodes;
    (void)laws::run_in_world(run, stacks);
  }
  return nodes.names;
}

std::vector<std::string> names_in(const sim::FaultRule& rule) {
  std::vector<std::string> names;
  for (const std::string& side : {rule.first, rule.second})
    for (std::size_t at = 0; at < side.size();) {
      const std::size_t end = std::min(side.find('+', at), side.size());
      const std::string name = side.substr(at, end - at);
      // "#2" may be of a run with more nodes than those tried; "*" is all others.
      if (name != "*" && !name.starts_with('#')) names.push_back(name);
      at = end + 1;
    }
  return names;
}

}  // namespace

void check_places(const Tool& tool, const RunSpec& spec) {
  std::set<std::string, std::less<>> nodes;
  for (const std::string& fault : spec.faults) {
    if (fault.find('@') == std::string::npos) continue;
    const auto rule = sim::FaultRule::parse(fault);
    if (!rule) continue;
    for (const std::string& name : names_in(*rule)) {
      if (nodes.empty()) nodes = nodes_of(tool, spec);
      if (nodes.contains(name)) continue;
      std::string known;
      for (const std::string& node : nodes) {
        if (!known.empty()) known += ", ";
        known += node;
      }
      std::string sentence = "'" + fault;
      sentence += "' is about a node that " + spec.scenario;
      sentence += " does not have, '" + name;
      sentence += "'; its nodes are " + known;
      bad_usage(sentence);
    }
  }
}

}  // namespace twinwire::cli
