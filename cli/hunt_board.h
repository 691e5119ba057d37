// SPDX-License-Identifier: Apache-2.0
// The memory that a hunt shares with its workers. A worker writes its own slot only, and publishes the seed before it
// runs it: whatever happens to the process, the hunt knows where it was and what it had found.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "cli/child.h"
#include "cli/report.h"
#include "props/laws/sometimes.h"

namespace twinwire::cli {

// One failure key, as one worker met it.
struct FailureNote {
  std::array<char, 96> key;
  std::array<char, 1900> detail;
  std::uint64_t first_offset;        // of the lowest seed: workers take seeds in rising order
  std::atomic<std::uint64_t> count;  // of seeds
  // Of the first seed: whether it failed only once more without a decision (HuntPlan::resample_every), and which.
  bool again;
  sim::Decision taken_out;
};

struct alignas(128) HuntSlot {
  static constexpr std::size_t notes_max = 32;

  Pulse pulse;
  std::atomic<std::uint64_t>
      offset;  // the seed that is being run, counted from the first; or the next to run
  std::atomic<std::uint64_t> chunk_end;
  std::atomic<std::uint64_t> done;  // seeds finished
  std::atomic<bool> again;          // that seed runs once more, without this decision
  sim::Decision taken_out;
  std::atomic<std::uint64_t> hash_sum;
  std::atomic<std::uint64_t> knobs_read;  // a bit for each of the first 64 knobs that were set
  FaultTallies faults;
  laws::SometimesTallies states;
  std::atomic<std::uint32_t> note_count;
  std::array<FailureNote, notes_max> notes;

  // Worker: one more seed failed with that key; `without`: the decision without which it did, or nullptr.
  void note(std::string_view key, std::string_view detail, std::uint64_t at,
            const sim::Decision* without = nullptr) noexcept;
};

struct HuntBoard {
  alignas(128) std::atomic<std::uint64_t> next;   // the first offset that nobody has claimed
  alignas(128) std::atomic<std::uint64_t> limit;  // offsets from here on need not be run any more
};

inline void HuntSlot::note(std::string_view key, std::string_view detail, std::uint64_t at,
                           const sim::Decision* without) noexcept {
  const auto fill = [](auto& to, std::string_view from) {
    const std::size_t n = std::min(from.size(), to.size() - 1);
    std::memcpy(to.data(), from.data(), n);
    to[n] = '\0';
  };
  const std::uint32_t known = note_count.load();
  std::uint32_t i = 0;
  while (i < known && key.substr(0, notes[i].key.size() - 1) != notes[i].key.data()) ++i;
  if (i == known) {
    if (known == notes_max) return;  // more kinds than anybody reads
    fill(notes[i].key, key);
    fill(notes[i].detail, detail);
    notes[i].first_offset = at;
    notes[i].again = without != nullptr;
    if (without != nullptr) notes[i].taken_out = *without;
    notes[i].count.store(0);
    note_count.store(known + 1);
  }
  notes[i].count.fetch_add(1);
}

}  // namespace twinwire::cli
