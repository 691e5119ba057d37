// SPDX-License-Identifier: Apache-2.0
#include "cli/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <numeric>

namespace twinwire::cli {
namespace {

template <class T>
std::optional<T> parse(std::string_view text, int base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string print(const char* format, auto... values) {
  std::array<char, 64> buffer{};
  std::snprintf(buffer.data(), buffer.size(), format, values...);
  return buffer.data();
}

// How many letters must be changed, added or taken away.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end != 0 || separator == '\n') parts.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// Columns, not bytes: a letter in UTF-8 is one column however long it is.
std::size_t width(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

std::string with_commas(std::uint64_t value) {
  std::string digits = std::to_string(value);
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string hex16(std::uint64_t value) {
  return print("%016llx", static_cast<unsigned long long>(value));
}

std::optional<std::uint64_t> parse_hex16(std::string_view text) {
  return text.size() == 16 ? parse<std::uint64_t>(text, 16) : std::nullopt;
}
std::optional<std::uint64_t> parse_u64(std::string_view text) {
  return parse<std::uint64_t>(text, 10);
}
std::optional<std::int64_t> parse_i64(std::string_view text) {
  return parse<std::int64_t>(text, 10);
}

std::optional<Duration> parse_duration(std::string_view text) {
  constexpr std::pair<std::string_view, std::int64_t> units[] = {
      {"ms", 1'000'000}, {"s", 1'000'000'000}, {"m", 60'000'000'000}, {"h", 3'600'000'000'000}};
  std::int64_t unit = 1'000'000'000;
  for (const auto& [suffix, ns] : units) {
    if (!text.ends_with(suffix)) continue;
    unit = ns;
    text.remove_suffix(suffix.size());
    break;
  }
  const auto count = parse_i64(text);
  std::int64_t ns = 0;
  if (!count || *count < 0 || __builtin_mul_overflow(*count, unit, &ns)) return std::nullopt;
  return Duration(ns);
}

std::string format_duration(Duration d) {
  const double ns = static_cast<double>(d.count());
  // Three digits, and no more of the smaller unit than make one of the larger.
  if (ns < 1e3) return print("%.0f ns", ns);
  if (ns < 999.5e3) return print("%.3g us", ns / 1e3);
  if (ns < 999.5e6) return print("%.3g ms", ns / 1e6);
  if (ns < 59.95e9) return print("%.3g s", ns / 1e9);
  const auto seconds = static_cast<long long>(ns / 1e9);
  if (seconds < 3600) return print("%lld min %02lld s", seconds / 60, seconds % 60);
  return print("%lld h %02lld min", seconds / 3600, seconds / 60 % 60);
}

std::string quoted_list(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

std::string suggestion(std::string_view text, std::span<const std::string_view> names) {
  std::string_view best;
  std::size_t nearest = std::max<std::size_t>(2, text.size() / 3) + 1;
  for (const std::string_view name : names) {
    if (const std::size_t d = distance(text, name); d < nearest) {
      nearest = d;
      best = name;
    }
  }
  return best.empty() ? "" : "; did you mean '" + std::string(best) + "'?";
}

std::string shell_word(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./:=,+@%^").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'')
      quoted += "'\\''";
    else
      quoted += c;
  }
  return quoted + "'";
}

std::vector<std::string_view> split_lines(std::string_view text) { return split(text, '\n'); }
std::vector<std::string_view> split_words(std::string_view text) { return split(text, ' '); }

std::string format_table(const std::vector<std::vector<std::string>>& rows, bool numbers) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - width(row[i]), ' ');
      line += i > 0 && numbers ? pad + row[i] : row[i] + pad;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string format_markdown(const std::vector<std::vector<std::string>>& rows) {
  std::string text;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    text += "|";
    for (const std::string& cell : rows[i]) text += " " + cell + " |";
    text += "\n";
    if (i != 0) continue;
    text += "|";
    for (std::size_t column = 0; column < rows[i].size(); ++column) text += "---|";
    text += "\n";
  }
  return text;
}

}  // namespace twinwire::cli
