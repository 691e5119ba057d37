// SPDX-License-Identifier: Apache-2.0
// probe: what of this machine production needs or would be better for; what it costs to lack it, and the remedy.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/ring.h"
#include "cli/verbs.h"
#include "real/machine.h"

namespace twinwire::cli {
namespace {

const char* word(real::Finding::State state) {
  switch (state) {
    case real::Finding::State::there: return "there";
    case real::Finding::State::low: return "low";
    case real::Finding::State::missing: return "missing";
    case real::Finding::State::unknown: return "unknown";
  }
  return "unknown";
}

void print(const real::Finding& finding) {
  if (finding.value.empty())
    std::printf("%-8s %s\n", word(finding.state), finding.name.c_str());
  else
    std::printf("%-8s %-34s %s\n", word(finding.state), finding.name.c_str(),
                finding.value.c_str());
  const bool lacking =
      finding.state == real::Finding::State::low || finding.state == real::Finding::State::missing;
  if (!lacking) return;
  std::printf("         costs   %s\n", finding.cost.c_str());
  std::printf("         remedy  %s\n", finding.remedy.c_str());
}

ExitCode run_probe() {
  const auto findings = real::judge(real::look_at_machine(as_forced({})));
  int lacking = 0;
  for (const real::Finding& finding : findings) {
    print(finding);
    lacking += finding.state != real::Finding::State::there ? 1 : 0;
  }
  if (!real::can_run(findings)) {
    std::printf("production cannot run here\n");
    return ExitCode::environment;
  }
  std::printf("production can run here%s\n",
              lacking == 0 ? "" : "; what is low, missing or unknown costs speed or room");
  return ExitCode::pass;
}

}  // namespace

void add_probe(CLI::App& app, const Tool&, ExitCode& code) {
  auto* verb = app.add_subcommand(
      "probe", "what this machine has for production, what it lacks, and the remedy");
  verb->callback([&code] { code = run_probe(); });
}

}  // namespace twinwire::cli
