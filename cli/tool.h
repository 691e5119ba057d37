// SPDX-License-Identifier: Apache-2.0
// The command-line tool as a library: a main of your own, with scenarios of your own, gets every verb.
//
//   int main(int argc, char** argv) {
//     auto registry = twinwire::laws::built_in_scenarios();
//     registry.add<Mine>();
//     return twinwire::cli::tool_main(argc, argv, registry);
//   }
//
// Where to read on: verbs.h (one file each), run_spec.h (what a run is), hunt.cc (many runs), capsule.h (one kept).
#pragma once

#include <string>

#include "cli/exit_code.h"
#include "cli/plant_set.h"
#include "props/laws/registry.h"
#ifdef TWINWIRE_PLANTS
#include "transport/base/plant_list.h"
#endif

namespace twinwire::cli {

// What every verb needs to know of the executable that it is part of.
struct Tool {
  const laws::Registry* registry;
  PlantSet plants;
  int argc;
  char** argv;
  std::string name;  // as it was called: the lines that reproduce a failure begin with it
};

int run_tool(const Tool& tool);

namespace {

// In an unnamed namespace on purpose: it differs between an executable with planted bugs and one without.
[[maybe_unused]] int tool_main(int argc, char** argv, const laws::Registry& registry) {
  PlantSet plants;
#ifdef TWINWIRE_PLANTS
  for (const plant::Entry& entry : plant::catalogue())
    plants.plants.push_back({entry.name, entry.what, entry.law, entry.transport});
  plants.activate = &plant::activate;
#endif
  return run_tool({&registry, std::move(plants), argc, argv, argc > 0 ? argv[0] : "twinwire"});
}

}  // namespace

}  // namespace twinwire::cli
