// SPDX-License-Identifier: Apache-2.0
// HuntCrew: the worker processes of a hunt, and what they have found together.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/hunt_worker.h"
#include "cli/shard.h"
#include "cli/shared.h"

namespace twinwire::cli {

struct HuntFailure {
  std::string key;
  std::string detail;
  std::uint64_t seed = 0;  // the lowest that failed so
  std::uint64_t offset = 0;
  std::uint64_t count = 0;  // of seeds
  std::optional<sim::Decision>
      taken_out;  // without which the lowest failed, where it passed with it
};

class HuntCrew {
 public:
  // Starts `jobs` workers. Throws Failure(environment) where there can be none.
  HuntCrew(const Tool& tool, const HuntPlan& plan, unsigned jobs, Duration hang_after,
           bool keep_hashes);

  // Waits up to `timeout` for a worker to end, notes how, and puts another in the place of one that died.
  void attend(Duration timeout);
  bool working() const noexcept;
  // Workers end after the seed that they are at, if it is not below `offset`.
  void stop_at(std::uint64_t offset) noexcept { board_->limit.store(offset); }
  void kill() noexcept { workers_.clear(); }

  std::uint64_t done() const noexcept;
  // The seeds that ran to their end, or to that of their process. Exact once nobody is working.
  std::vector<SeedRange> ran() const;
  std::vector<HuntFailure> failures() const;  // by lowest seed
  FaultTallies faults() const noexcept;
  laws::SometimesTallies states() const noexcept;
  std::uint64_t hash_sum() const noexcept;
  std::uint64_t knobs_read() const noexcept;
  const std::uint64_t* hashes() const noexcept { return hashes_ ? &(*hashes_)[0] : nullptr; }

 private:
  void start(std::size_t worker);
  void note_death(std::size_t worker, const Death& death);

  const Tool* tool_;
  HuntPlan plan_;
  Duration hang_after_;
  Shared<HuntBoard> board_;
  Shared<HuntSlot> slots_;
  std::unique_ptr<Shared<std::uint64_t>> hashes_;
  std::size_t jobs_;
  std::vector<std::unique_ptr<Child>> workers_;
  std::map<std::string, HuntFailure> deaths_;
  std::uint64_t died_ = 0;
};

}  // namespace twinwire::cli
