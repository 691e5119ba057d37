// SPDX-License-Identifier: Apache-2.0
// Minimiser: the smallest run that still fails in the same way. It knows nothing of processes, worlds or files: it is
// given a function that runs a variant, so that a test gives it any other.
//
// Two things shrink: the scenario's numbers (Shape), each towards its plain value, and the decisions, each towards 0.
// Both go in chunks that are halved, since most of a run does not matter; then what is left is lowered one by one, by
// binary search. A variant is kept if it fails with the same key, and does so again.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cli/trials.h"

namespace twinwire::cli {

class Minimiser {
 public:
  struct Plan {
    std::string key;  // the failure that is to stay
    // Runs a variant; nullopt: it was stopped.
    std::function<std::optional<Outcome>(const Variant&)> run;
    std::function<bool()> stop;
    // Told of each variant that was kept.
    std::function<void(const Minimiser&)> improved;
    // A last say on a variant that fails as it should.
    std::function<bool(const Variant&)> accepts;
  };

  // `start`: a variant that fails with that key when it is run by its decisions alone, and what came of it.
  Minimiser(Plan plan, Variant start, Outcome outcome);

  // Until nothing more can go, or stop().
  void minimise();

  const Variant& best() const noexcept { return best_; }
  const Outcome& outcome() const noexcept { return outcome_; }
  std::uint64_t runs() const noexcept { return runs_; }
  // How many of the scenario's numbers are not plain.
  std::size_t shapes_left() const noexcept { return crooked().size(); }

 private:
  bool stopped() const { return plan_.stop(); }
  std::optional<Outcome> run(const Variant& variant);
  bool keeps(Variant variant);
  bool shrink_scenario();
  bool draw_fewer();
  bool straighten(bool draws);
  bool lower_numbers();
  bool shrink_decisions();
  bool drop_sites();
  bool cut_tail();
  bool drop_chunks();
  bool lower_choices();

  std::vector<laws::Shape> crooked() const;
  Variant with(const std::string& name, std::int64_t value) const;
  bool keeps_number(const std::string& name, std::int64_t value) {
    return keeps(with(name, value));
  }
  bool lower_number(const laws::Shape& shape);
  bool lower_choice(std::size_t index);

  Plan plan_;
  Variant best_;
  Outcome outcome_;
  std::uint64_t steps_max_ = UINT64_MAX;  // of a variant that is kept
  std::uint64_t runs_ = 0;
};

}  // namespace twinwire::cli
