// SPDX-License-Identifier: Apache-2.0
// The executable beside this one that has the planted bugs: twinwire and twinwire-planted are one tool to the user.
#pragma once

#include <string>
#include <string_view>

#include "cli/tool.h"

namespace twinwire::cli {

// Makes the plant of that name live ("" for none): here, or by becoming the planted executable with the same arguments.
// Throws Failure where there is no such plant, or no such executable.
void require_plant(const Tool& tool, std::string_view name);

// The same for a verb that needs the catalogue and no certain plant of it.
void require_plants(const Tool& tool);

// The planted executable's path, or empty.
std::string planted_sibling();

}  // namespace twinwire::cli
