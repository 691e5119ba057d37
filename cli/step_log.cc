// SPDX-License-Identifier: Apache-2.0
#include "cli/step_log.h"

#include <algorithm>
#include <array>

#include "cli/text.h"

namespace twinwire::cli {

std::string format_step(std::uint64_t number, TimePoint at, std::string_view who,
                        std::string_view what) {
  std::array<char, 64> head{};
  std::snprintf(head.data(), head.size(), "%7llu %10lld.%06lld ms  ",
                static_cast<unsigned long long>(number), static_cast<long long>(at.ns / 1'000'000),
                static_cast<long long>(at.ns % 1'000'000));
  std::string line = head.data();
  line += who;
  if (who.size() < 28) line.append(28 - who.size(), ' ');
  line += "  ";
  line += what;
  return line;
}

StepPrinter::StepPrinter(std::FILE* out) : out_(out) {
  std::setvbuf(out, nullptr, _IOLBF, 1 << 16);
}

void StepPrinter::on_step(const sim::TraceStep& step) {
  const std::string line = format_step(step.number, step.at, step.who, step.what);
  std::fprintf(out_, "%s\n", line.c_str());
}

void StepLog::on_step(const sim::TraceStep& step) {
  steps_.push_back({step.number, step.at, step.hash, text_.size(),
                    static_cast<std::uint32_t>(step.who.size()),
                    static_cast<std::uint32_t>(step.what.size())});
  text_ += step.who;
  text_ += step.what;
}

StepLog::Step StepLog::operator[](std::size_t i) const noexcept {
  const Entry& entry = steps_[i];
  const std::string_view text(text_);
  return {entry.number, entry.at, entry.hash, text.substr(entry.text, entry.who_size),
          text.substr(entry.text + entry.who_size, entry.what_size)};
}

std::optional<std::size_t> first_difference(const StepLog& a, const StepLog& b, Compare compare) {
  const std::size_t common = std::min(a.size(), b.size());
  for (std::size_t i = 0; i < common; ++i) {
    const StepLog::Step x = a[i];
    const StepLog::Step y = b[i];
    if (x.at != y.at || x.who != y.who || x.what != y.what) return i;
    if (compare == Compare::everything && (x.number != y.number || x.hash != y.hash)) return i;
  }
  if (a.size() != b.size()) return common;
  return std::nullopt;
}

std::string format_difference(const StepLog& a, const StepLog& b, std::size_t at,
                              std::string_view name_a, std::string_view name_b) {
  constexpr std::size_t context = 5;
  const auto line = [](std::string_view name, const StepLog& log, std::size_t i) {
    if (i >= log.size()) return std::string(name) + "  (the run has ended)\n";
    const StepLog::Step step = log[i];
    return std::string(name) + "  " + format_step(step.number, step.at, step.who, step.what) +
           "  [" + hex16(step.hash) + "]\n";
  };
  const std::string both(std::max(name_a.size(), name_b.size()), ' ');
  std::string text;
  for (std::size_t i = at - std::min(at, context); i < at; ++i) {
    const StepLog::Step step = a[i];
    text += both + "  " + format_step(step.number, step.at, step.who, step.what) + "\n";
  }
  for (std::size_t i = at; i < std::min(at + 3, a.size() + 1); ++i) text += line(name_a, a, i);
  for (std::size_t i = at; i < std::min(at + 3, b.size() + 1); ++i) text += line(name_b, b, i);
  return text;
}

}  // namespace twinwire::cli
