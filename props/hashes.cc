// SPDX-License-Identifier: Apache-2.0
// twinwire-hashes: prints the run hash of each seed over each transport, and nothing else: what `./check hashes`
// compares between compilers, optimisation levels and sanitizers. It knows one scenario, so it is quick to build.
//   twinwire-hashes SEEDS          lines of "<transport> <seed> <16 hex digits>"; 1 if a law was broken
#include <cstdio>
#include <cstdlib>

#include "props/laws/run_in_world.h"
#include "props/laws/scenarios/traffic.h"

int main(int argc, char** argv) {
  namespace laws = twinwire::laws;
  const std::uint64_t seeds = argc == 2 ? std::strtoull(argv[1], nullptr, 10) : 0;
  if (seeds == 0) {
    std::fputs("usage: twinwire-hashes SEEDS\n", stderr);
    return 2;
  }
  laws::Registry registry;
  registry.add<laws::Traffic>();
  twinwire::StackPool stacks;
  laws::WorldRun run;
  run.scenario = registry.find("traffic");
  bool passed = true;
  for (run.transport = 0; run.transport < laws::transport_count; ++run.transport)
    for (run.options.seed = 1; run.options.seed <= seeds; ++run.options.seed) {
      run.options.faults = twinwire::sim::FaultPlan::swarm(run.options.seed);
      const laws::Verdict verdict = laws::run_in_world(run, stacks);
      passed = passed && verdict.kind == laws::VerdictKind::pass;
      std::printf("%s %llu %016llx\n", laws::transport_names()[run.transport].data(),
                  static_cast<unsigned long long>(run.options.seed),
                  static_cast<unsigned long long>(verdict.report.hash));
    }
  return passed ? 0 : 1;
}
