// SPDX-License-Identifier: Apache-2.0
// Which build this is: runs of one build repeat to the byte, and a capsule says which build made it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace twinwire::cli {

// A digest of this executable's file; 0 where it cannot be read.
std::uint64_t build_id();

// {"compiler", "g++ 12.2.0"}, {"boost", "1.81.0"}, ...
std::vector<std::pair<std::string, std::string>> build_versions();

}  // namespace twinwire::cli
