// SPDX-License-Identifier: Apache-2.0
// Numbers and names as people read and write them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/time.h"

namespace twinwire::cli {

std::string with_commas(std::uint64_t value);  // "1,234,567"
std::string hex16(std::uint64_t value);        // "00ff00ff00ff00ff"
std::optional<std::uint64_t> parse_hex16(std::string_view text);
std::optional<std::uint64_t> parse_u64(std::string_view text);
std::optional<std::int64_t> parse_i64(std::string_view text);

// "30s", "5m", "2h", "250ms", or a plain number of seconds.
std::optional<Duration> parse_duration(std::string_view text);
std::string format_duration(Duration d);  // "1.234 ms", "12 s", "3 min 05 s"

std::string quoted_list(std::span<const std::string_view> names);  // "a, b, c"
// "; did you mean 'traffic'?" where one of `names` is near, else empty.
std::string suggestion(std::string_view text, std::span<const std::string_view> names);

// As a shell takes it for one word: quoted where it has to be.
std::string shell_word(std::string_view text);

std::vector<std::string_view> split_lines(std::string_view text);
std::vector<std::string_view> split_words(std::string_view text);

// A table whose columns line up. The first row is the heading; columns after the first are set right where `numbers`.
std::string format_table(const std::vector<std::vector<std::string>>& rows, bool numbers);
std::string format_markdown(const std::vector<std::vector<std::string>>& rows);

}  // namespace twinwire::cli
