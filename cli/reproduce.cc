// SPDX-License-Identifier: Apache-2.0
#include "cli/reproduce.h"

#include <cstdio>

#include "cli/text.h"

namespace twinwire::cli {

std::string keep(const Capsule& capsule, const std::string& folder) {
  try {
    return save_capsule(capsule, folder);
  } catch (const Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "twinwire: %s\n", failure.what());
    return {};
  }
}

std::string reproduce_lines(const Tool& tool, const RunSpec& spec, std::uint64_t seed,
                            const std::string& capsule_path) {
  std::string text = "  " + spec.replay_line(tool, seed) + "\n";
  if (!capsule_path.empty())
    text += "  " + shell_word(tool.name) + " replay " + shell_word(capsule_path) + "\n";
  return text;
}

std::string reproduce_resampled(const Tool& tool, const RunSpec& spec, std::uint64_t seed,
                                const std::string& capsule_path) {
  std::string text = "  " + shell_word(tool.name) + " hunt --first-seed " + std::to_string(seed) +
                     " --seeds 1 --resample 1 " + spec.arguments() + "\n";
  if (!capsule_path.empty())
    text += "  " + shell_word(tool.name) + " replay " + shell_word(capsule_path) + "\n";
  return text;
}

}  // namespace twinwire::cli
