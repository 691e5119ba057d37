// SPDX-License-Identifier: Apache-2.0
// A story as it is printed: numbered, with times, in lines that fit.
#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/storyteller.h"
#include "cli/text.h"

namespace twinwire::cli {
namespace {

// Which lines of a story are printed: all of a short one; of a long one its beginning, its end, and the first of the
// faults between, without which nobody understands the end.
std::vector<bool> printed(const std::vector<StoryLine>& lines) {
  constexpr std::size_t most = 60;
  constexpr std::size_t head = 20;
  constexpr std::size_t tail = 20;
  std::vector<bool> chosen(lines.size(), lines.size() <= most);
  if (lines.size() <= most) return chosen;
  std::fill_n(chosen.begin(), head, true);
  std::fill_n(chosen.rbegin(), tail, true);
  std::size_t left = most - head - tail;
  for (std::size_t i = head; i < lines.size() - tail && left > 0; ++i) {
    if (!lines[i].text.starts_with("fault: ") && lines[i].text != no_more_faults) continue;
    chosen[i] = true;
    --left;
  }
  return chosen;
}

}  // namespace

std::string format_story(const std::vector<StoryLine>& lines) {
  constexpr std::size_t width = 100;
  std::string text;
  const std::vector<bool> chosen = printed(lines);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (!chosen[i]) {
      const auto next =
          std::find(chosen.begin() + static_cast<std::ptrdiff_t>(i), chosen.end(), true);
      const auto skipped = static_cast<std::size_t>(next - chosen.begin()) - i;
      text += "  ...  " + with_commas(skipped) + (skipped == 1 ? " line is" : " lines are") +
              " left out; `trace` shows every step\n";
      i += skipped - 1;
      continue;
    }
    std::array<char, 48> number{};
    std::snprintf(number.data(), number.size(), "%3zu %11lld.%03lld ms  ", i + 1,
                  static_cast<long long>(lines[i].at.ns / 1'000'000),
                  static_cast<long long>(lines[i].at.ns / 1000 % 1000));
    text += number.data();
    std::size_t column = 0;
    std::string whole = lines[i].text;
    if (lines[i].times > 1) whole += " (" + with_commas(lines[i].times) + " times)";
    for (const std::string_view line : split_lines(whole)) {
      if (column != 0) text += "\n" + std::string(24, ' ');
      column = 1;
      for (const std::string_view word : split_words(line)) {
        if (column > 1 && column + word.size() > width) {
          text += "\n" + std::string(24, ' ');
          column = 1;
        }
        if (column > 1) text += ' ';
        text += word;
        column += word.size() + 1;
      }
    }
    text += '\n';
  }
  return text;
}

}  // namespace twinwire::cli
