// SPDX-License-Identifier: Apache-2.0
// PlantsCrew: worker processes that each take one round of one planted bug: seeds from a starting point on, every
// scenario with each, until one fails. A crash or a hang is a detection, too.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cli/child.h"
#include "cli/plants_cases.h"
#include "cli/run_spec.h"
#include "cli/shared.h"
#include "transport/base/mix.h"

namespace twinwire::cli {

// What a round goes through until something fails.
enum class Search : std::uint8_t {
  swarm,       // seeds, each with the faults that its swarm has drawn
  random,      // seeds, with every fault on in each
  exhaustive,  // cases of the exhaustive modes
};

struct PlantsPlan {
  std::vector<std::string> plants;
  std::vector<std::string> scenarios;
  std::string transport;                        // empty: the one over which each plant shows
  std::vector<Search> searches{Search::swarm};  // rounds of each
  unsigned rounds = 20;
  std::uint64_t seeds_max = 20'000;  // of one round

  // A job is a round of one search for one plant; the rounds of all searches begin at the same seeds.
  std::size_t jobs_total() const noexcept { return plants.size() * searches.size() * rounds; }
  std::size_t plant_of(std::uint64_t job) const noexcept { return job / rounds / searches.size(); }
  Search search_of(std::uint64_t job) const noexcept {
    return searches[job / rounds % searches.size()];
  }
  // Scattered, so that rounds neither overlap nor agree in anything that a scenario might make of a seed's digits.
  static std::uint64_t first_seed(std::uint64_t round) noexcept {
    return 1 + scramble(round + 1) % 1'000'000'000'000;
  }
};

struct PlantRound {
  bool over;
  bool detected;
  std::uint64_t seeds;  // or cases; until the detection, that one included
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
  // One run of a round; whether it has detected the plant.
  bool detects(Slot& slot, std::uint64_t job, const laws::WorldRun& run, StackPool& stacks);
  void run_cases(Slot& slot, std::uint64_t job, StackPool& stacks);
  const PlantsCases& cases_over(std::size_t transport, StackPool& stacks);
  // What a worker died of.
  laws::WorldRun run_of(const Slot& slot, StackPool& stacks);
  bool fails_without_plant(const laws::WorldRun& run, StackPool& stacks);
  bool dies_without_plant(const Slot& slot);

  const Tool* tool_;
  PlantsPlan plan_;
  Duration hang_after_;
  mutable Shared<Board> shared_;
  Shared<Slot> slots_;
  Shared<PlantRound> rounds_;
  std::vector<std::unique_ptr<Child>> workers_;
  std::string plant_;                         // of a worker's present round
  std::map<std::size_t, PlantsCases> cases_;  // by transport, as far as they were asked for
};

}  // namespace twinwire::cli
