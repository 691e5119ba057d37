// SPDX-License-Identifier: Apache-2.0
// StepLog: the steps of a run, kept or printed, and where two runs part.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/trace.h"

namespace twinwire::cli {

// "    12     1.234567 ms  client.writer         delivered 256 bytes at offset 512"
std::string format_step(std::uint64_t number, TimePoint at, std::string_view who,
                        std::string_view what);

// Prints each step as it happens, so that a run that crashes has told all of them.
class StepPrinter final : public sim::TraceSink {
 public:
  explicit StepPrinter(std::FILE* out);
  void on_step(const sim::TraceStep& step) override;

 private:
  std::FILE* out_;
};

class StepLog final : public sim::TraceSink {
 public:
  void on_step(const sim::TraceStep& step) override;

  struct Step {
    std::uint64_t number;
    TimePoint at;
    std::uint64_t hash;
    std::string_view who;
    std::string_view what;
  };
  std::size_t size() const noexcept { return steps_.size(); }
  Step operator[](std::size_t i) const noexcept;

 private:
  struct Entry {
    std::uint64_t number;
    TimePoint at;
    std::uint64_t hash;
    std::size_t text;  // where who begins; what follows it
    std::uint32_t who_size;
    std::uint32_t what_size;
  };
  std::vector<Entry> steps_;
  std::string text_;
};

enum class Compare : std::uint8_t {
  everything,  // the hash too: two runs of one seed must agree in all
  what_is_seen  // who did what and when: runs of two seeds differ in their hash from the first draw on
};
// The index of the first step where the two differ; nullopt where they are alike. One may end before the other.
std::optional<std::size_t> first_difference(const StepLog& a, const StepLog& b, Compare compare);

// The steps around that one, side by side as lines of "  ", "A " and "B ".
std::string format_difference(const StepLog& a, const StepLog& b, std::size_t at,
                              std::string_view name_a, std::string_view name_b);

}  // namespace twinwire::cli
