// SPDX-License-Identifier: Apache-2.0
#include "cli/whole_number.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <string>

#include "cli/text.h"

namespace twinwire::cli {

CLI::Validator whole_number(std::uint64_t low, std::uint64_t high) {
  return {[low, high](const std::string& text) -> std::string {
            std::uint64_t value = 0;
            const char* end = text.data() + text.size();
            const auto [at, error] = std::from_chars(text.data(), end, value);
            if (!text.empty() && at == end && error == std::errc{} && value >= low && value <= high)
              return {};
            return "'" + text + "' is no whole number from " + std::to_string(low) + " to " +
                   std::to_string(high);
          },
          "NUMBER"};
}

}  // namespace twinwire::cli
