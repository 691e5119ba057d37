// SPDX-License-Identifier: Apache-2.0
// The check of an option that takes a whole number: digits only, nothing that wraps or saturates on its way in.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>

namespace twinwire::cli {

// Refuses what is not a whole number from `low` to `high`, with a sentence that says so.
CLI::Validator whole_number(std::uint64_t low, std::uint64_t high = UINT64_MAX);

}  // namespace twinwire::cli
