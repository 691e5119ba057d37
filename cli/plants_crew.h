// SPDX-License-Identifier: Apache-2.0
// PlantsCrew: worker processes that each take one round of one planted bug: seeds from a starting point on, every
// scenario with each, until one fails. A crash or a hang is a detection, too.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/child.h"
#include "cli/run_spec.h"
#include "cli/shared.h"
#include "transport/base/mix.h"

namespace twinwire::cli {

struct PlantsPlan {
  std::vector<std::string> plants;
  std::vector<std::string> scenarios;
  std::string transport;  // empty: the one over which each plant shows
  std::vector<RunSpec::Base> searches{
      RunSpec::Base::swarm};  // how faults are drawn: rounds of each
  unsigned rounds = 20;
  std::uint64_t seeds_max = 20'000;  // of one round

  // A job is a round of one search for one plant; the rounds of all searches begin at the same seeds.
  std::size_t jobs_total() const noexcept { return plants.size() * searches.size() * rounds; }
  std::size_t plant_of(std::uint64_t job) const noexcept { return job / rounds / searches.size(); }
  RunSpec::Base search_of(std::uint64_t job) const noexcept {
    return searches[job / rounds % searches.size()];
  }
  // Scattered, so that rounds neither overlap nor agree in anything that a scenario might make of a seed's digits.
  static std::uint64_t first_seed(std::uint64_t round) noexcept {
    return 1 + scramble(round + 1) % 1'000'000'000'000;
  }
};

struct PlantRound {
  bool detected;
  std::uint64_t seeds;  // until the detection, that one included
  std::array<char, 64> key;
  std::array<char, 64> scenario;
};

class PlantsCrew {
 public:
  // `jobs` 0: one for each processor.
  PlantsCrew(const Tool& tool, PlantsPlan plan, unsigned jobs, Duration hang_after);

  void attend(Duration timeout);
  bool working() const noexcept;
  std::uint64_t done() const noexcept { return shared_->done.load(); }
  std::vector<PlantRound> rounds_of(std::size_t plant, std::size_t search) const;

 private:
  struct Board {
    std::atomic<std::uint64_t> next;
    std::atomic<std::uint64_t> done;
  };
  struct Slot {
    Pulse pulse;
    std::atomic<std::uint64_t> job;    // the number of jobs once there is none left
    std::atomic<std::uint64_t> seeds;  // of this round, with the one that is being run
    std::array<char, 64> scenario;
    bool goes_on;  // a worker died on a seed that shows nothing: the round goes on after it
  };

  void start(std::size_t worker);
  int work(Slot& slot);
  // What is run in a job, but for the scenario.
  RunSpec spec_of(std::uint64_t job) const;
  void run_round(Slot& slot, std::uint64_t job, StackPool& stacks);
  bool fails_without_plant(const laws::WorldRun& run, StackPool& stacks);
  bool dies_without_plant(const Slot& slot);

  const Tool* tool_;
  PlantsPlan plan_;
  Duration hang_after_;
  mutable Shared<Board> shared_;
  Shared<Slot> slots_;
  Shared<PlantRound> rounds_;
  std::vector<std::unique_ptr<Child>> workers_;
  std::string plant_;  // of a worker's present round
};

}  // namespace twinwire::cli
