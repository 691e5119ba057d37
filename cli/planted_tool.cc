// SPDX-License-Identifier: Apache-2.0
#include "cli/planted_tool.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <vector>

#include "cli/text.h"

namespace twinwire::cli {

std::string planted_sibling() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const std::string path = self.string() + "-planted";
  return ::access(path.c_str(), X_OK) == 0 ? path : std::string();
}

void require_plants(const Tool& tool) {
  if (tool.plants.live()) return;
  const std::string path = planted_sibling();
  if (path.empty())
    bad_usage(
        "this executable has no planted bugs, and there is no '-planted' one beside it; "
        "build one with twinwire_add_tool(NAME PLANTED ...)");
  std::fflush(nullptr);
  // The arguments stay as they were typed, also the name: what the other prints can be typed again.
  ::execv(path.c_str(), tool.argv);
  bad_usage("cannot run " + path + ": " + std::strerror(errno));
}

void require_plant(const Tool& tool, std::string_view name) {
  if (name.empty()) {
    if (tool.plants.live()) tool.plants.activate("");
    return;
  }
  require_plants(tool);
  if (tool.plants.activate(name)) return;
  std::vector<std::string_view> names;
  names.reserve(tool.plants.plants.size());
  for (const auto& plant : tool.plants.plants) names.push_back(plant.name);
  bad_usage("there is no planted bug named '" + std::string(name) + "'" + suggestion(name, names) +
            "; `twinwire list` shows them");
}

}  // namespace twinwire::cli
