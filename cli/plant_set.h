// SPDX-License-Identifier: Apache-2.0
// PlantSet: the planted bugs that this executable can switch on; empty where it has the shipped transport.
//
// The library is compiled once and serves both executables, so it must not name the catalogue: the executable's own
// main hands it over (tool.h).
#pragma once

#include <string_view>
#include <vector>

namespace twinwire::cli {

struct PlantSet {
  struct Plant {
    std::string_view name;
    std::string_view what;       // what the bug does
    std::string_view law;        // the law that is meant to catch it
    std::string_view transport;  // over which it shows
  };
  std::vector<Plant> plants;
  bool (*activate)(std::string_view name) = nullptr;  // "": none

  bool live() const noexcept { return activate != nullptr; }
  const Plant* find(std::string_view name) const noexcept {
    for (const Plant& plant : plants)
      if (plant.name == name) return &plant;
    return nullptr;
  }
};

}  // namespace twinwire::cli
