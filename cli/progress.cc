// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "cli/child.h"
#include "cli/text.h"

namespace twinwire::cli {

Progress::Progress(std::string unit, std::uint64_t total, Duration time_max)
    : unit_(std::move(unit)),
      total_(total),
      time_max_(time_max),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(real_now()),
      last_(start_) {}

std::string Progress::line(std::uint64_t done, Duration elapsed, const std::string& tail) const {
  const double seconds = std::max(1e-9, static_cast<double>(elapsed.count()) / 1e9);
  const double rate = static_cast<double>(done) / seconds;
  double part = 0;
  Duration left{};
  if (total_ != 0 && done != 0) {
    part = static_cast<double>(done) / static_cast<double>(total_);
    left = Duration(static_cast<std::int64_t>(static_cast<double>(total_ - std::min(done, total_)) /
                                              rate * 1e9));
  }
  if (time_max_ != Duration::zero()) {
    const double by_time =
        static_cast<double>(elapsed.count()) / static_cast<double>(time_max_.count());
    if (total_ == 0 || by_time > part) {
      part = by_time;
      left = std::max(Duration::zero(), time_max_ - elapsed);
    }
  }
  constexpr std::size_t width = 24;
  const auto filled = static_cast<std::size_t>(std::clamp(part, 0.0, 1.0) * width);
  std::string text;
  if (terminal_) text = "[" + std::string(filled, '#') + std::string(width - filled, '.') + "] ";
  text += with_commas(done) + (total_ != 0 ? " of " + with_commas(total_) : "") + " " + unit_ +
          ", " + with_commas(static_cast<std::uint64_t>(rate)) + "/s";
  if (done != 0 || time_max_ != Duration::zero()) {
    const auto whole = std::chrono::ceil<std::chrono::seconds>(left);
    text += ", " + format_duration(whole) + " left";
  }
  return text + tail;
}

void Progress::update(std::uint64_t done, const std::string& tail) {
  const TimePoint now = real_now();
  const Duration every =
      terminal_ ? Duration(std::chrono::milliseconds(200)) : std::chrono::seconds(5);
  if (now - last_ < every) return;
  last_ = now;
  const std::string text = line(done, now - start_, tail);
  if (terminal_) {
    std::fprintf(stderr, "\r%s\033[K", text.c_str());
    shown_ = true;
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
  }
  std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_) return;
  std::fprintf(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace twinwire::cli
