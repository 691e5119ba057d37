// SPDX-License-Identifier: Apache-2.0
// ExhaustCrew: the worker processes that go through every case of a plan. As in a hunt, one that dies on a case costs
// that case and no other.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cli/hunt_board.h"
#include "cli/shared.h"
#include "cli/tool.h"
#include "props/exhaustive/mode.h"

namespace twinwire::cli {

// Of one kind of fault.
struct CaseTally {
  std::uint64_t cases;  // that were run
  std::uint64_t bit;
  std::uint64_t passed;
  std::array<std::uint64_t, exhaustive::outcomes_max> outcomes;
};

struct CaseFailure {
  std::string kind;
  std::string key;
  std::string detail;
  std::size_t first = 0;    // index of the first case that failed so
  std::uint64_t count = 0;  // of cases
};

class ExhaustCrew {
 public:
  // `every`: one case in so many is run, the first of each kind among them; 1: all.
  ExhaustCrew(const Tool& tool, std::size_t transport, const exhaustive::Plan& plan,
              std::uint64_t every, unsigned jobs, Duration hang_after);

  // Waits up to `timeout` for a worker to end, notes how, and puts another in the place of one that died.
  void attend(Duration timeout);
  bool working() const noexcept;
  void kill() noexcept { workers_.clear(); }

  std::uint64_t total() const noexcept { return chosen_.size(); }
  std::uint64_t done() const noexcept;
  std::vector<CaseTally> tallies() const;     // by kind
  std::vector<CaseFailure> failures() const;  // by first case
  bool too_many_failures() const noexcept;    // more kinds of failure than are kept

 private:
  struct Slot {
    HuntSlot hunt;
    std::array<CaseTally, exhaustive::kinds_max> tallies;
  };

  void start(std::size_t worker);
  int work(Slot& slot);
  void run_case(Slot& slot, const exhaustive::Case& one, std::uint64_t offset, StackPool& stacks);
  void note_death(Slot& slot, const Death& death);

  const Tool* tool_;
  std::size_t transport_;
  const exhaustive::Plan* plan_;
  Duration hang_after_;
  std::uint64_t chunk_;
  std::vector<std::uint32_t> chosen_;  // indices of cases, in the order of the plan
  Shared<HuntBoard> board_;
  Shared<Slot> slots_;
  std::size_t jobs_;
  std::vector<std::unique_ptr<Child>> workers_;
};

}  // namespace twinwire::cli
