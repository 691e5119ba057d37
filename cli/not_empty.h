// SPDX-License-Identifier: Apache-2.0
// The check of an option whose value is optional as a whole: given, it says something.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace twinwire::cli {

// Refuses the empty text, which would mean the same as leaving the option out, and is never what was meant.
inline CLI::Validator not_empty() {
  return {[](const std::string& text) -> std::string {
            return text.empty() ? "'' says nothing: give a value, or leave the option out" : "";
          },
          ""};
}

}  // namespace twinwire::cli
