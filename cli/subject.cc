// SPDX-License-Identifier: Apache-2.0
#include "cli/subject.h"

#include <algorithm>
#include <tuple>

#include "cli/planted_tool.h"
#include "cli/text.h"

namespace twinwire::cli {
namespace {

auto key(const sim::Decision& d) { return std::tuple(d.site, d.entity, d.occurrence); }
bool by_key(const sim::Decision& a, const sim::Decision& b) { return key(a) < key(b); }

Subject of_capsule(const Tool& tool, RunOptions& options, const std::string& path,
                   bool as_decisions) {
  Subject subject;
  subject.text = path;
  subject.capsule = load_capsule(path);
  const Capsule& capsule = *subject.capsule;
  if (options.any_of_a_spec())
    throw Failure(ExitCode::bad_usage,
                  "a capsule says itself what is run; leave out --scenario, --transport, --fault, "
                  "--swarm, --all-faults, "
                  "--no-faults, --set and --plant");
  subject.seed = capsule.seed;
  subject.transport = capsule.transport;
  subject.plant = capsule.plant;
  subject.run.scenario = &scenario_named(tool, capsule.scenario);
  subject.run.transport = transport_named(capsule.transport);
  require_body(*subject.run.scenario, subject.run.transport);
  subject.run.knobs = capsule.knobs;
  subject.run.options.seed = capsule.seed;
  subject.run.options.faults = plan_from_text(capsule.faults);
  if (as_decisions || capsule.of_decisions) {
    subject.run.options.base = sim::Decisions::Base::benign;
    subject.run.options.edits = capsule.decisions;
  }
  (void)options.hang_after_parsed();
  require_plant(tool, capsule.plant);
  return subject;
}

}  // namespace

Subject make_subject(const Tool& tool, RunOptions& options, const std::string& text,
                     bool as_decisions) {
  const auto seed = parse_u64(text);
  if (!seed) return of_capsule(tool, options, text, as_decisions);
  if (as_decisions) bad_usage("--as-decisions needs a capsule: a seed holds no decisions");
  settle(tool, options);
  Subject subject;
  subject.text = text;
  subject.seed = *seed;
  subject.transport = options.spec.transport;
  subject.plant = options.spec.plant;
  subject.run = options.spec.world_run(tool, *seed);
  return subject;
}

unsigned percent_still_occurring(const Capsule& capsule, const laws::Verdict& verdict,
                                 bool as_decisions) {
  if (capsule.decisions.empty()) return 100;
  std::size_t occurred = verdict.edits_used;
  if (!as_decisions && !capsule.of_decisions) {
    auto made = verdict.decisions;
    std::sort(made.begin(), made.end(), by_key);
    occurred = static_cast<std::size_t>(std::count_if(
        capsule.decisions.begin(), capsule.decisions.end(), [&](const sim::Decision& d) {
          return std::binary_search(made.begin(), made.end(), d, by_key);
        }));
  }
  return static_cast<unsigned>(occurred * 100 / capsule.decisions.size());
}

}  // namespace twinwire::cli
