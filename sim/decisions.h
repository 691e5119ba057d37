// SPDX-License-Identifier: Apache-2.0
// Decisions: the one door through which chance enters a world.
//
// A choice is drawn from (seed, site, entity, occurrence), not from a shared stream: removing or overriding one changes
// no other key's value. So an edited run stays meaningful, and a failing run is minimised by editing choices to 0.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "sim/census.h"
#include "sim/fault_plan.h"
#include "sim/run_hash.h"
#include "sim/site.h"
#include "transport/base/mix.h"

namespace twinwire::sim {

struct Decision {
  Site site;
  EntityId entity;
  std::uint64_t occurrence;
  std::uint64_t choice;

  friend bool operator==(const Decision&, const Decision&) = default;
  bool same_key(const Decision& o) const noexcept {
    return site == o.site && entity == o.entity && occurrence == o.occurrence;
  }
};

// Told of every choice other than 0 as it is made: what it has written down outlives a run that crashes.
class DecisionSink {
 public:
  virtual void on_decision(const Decision& decision) noexcept = 0;

 protected:
  ~DecisionSink() = default;
};

struct SiteCount {
  std::uint64_t drawn = 0;   // how often the fault was on and a choice was made
  std::uint64_t struck = 0;  // how often the choice was not 0
  std::uint64_t bit = 0;     // how often that changed a call's result or the order of events
};

class Decisions {
 public:
  enum class Base : std::uint8_t {
    seeded,  // a choice comes from the seed, unless edited
    benign,  // a choice is 0, unless edited
  };

  Decisions(std::uint64_t seed, Base base, std::vector<Decision> edits);

  // The choice at (site, entity, occurrence): 0, or with probability fault.ppm a value in [1, min(fault.bound, bound)].
  // `bound` is what the site allows there.
  std::uint64_t choose(Site site, const Fault& fault, EntityId entity, std::uint64_t occurrence,
                       std::uint64_t bound = UINT64_MAX) noexcept {
    if (fault.ppm == 0 && !looks_up_) return 0;
    return choose_slow(site, fault, entity, occurrence, bound);
  }
  // To be told where a choice other than 0 changed what a caller saw.
  void bit(Site site) noexcept { ++counts_[static_cast<std::size_t>(site)].bit; }

  const SiteCount& count(Site site) const noexcept {
    return counts_[static_cast<std::size_t>(site)];
  }
  const std::array<SiteCount, site_count>& counts() const noexcept { return counts_; }

  // Keeps every choice other than 0, in the order in which they were made. Given as edits to a benign world of the same
  // scenario they make the same run.
  void record(bool on) noexcept { recording_ = on; }
  const std::vector<Decision>& recorded() const noexcept { return recorded_; }
  void tell(DecisionSink* sink) noexcept { sink_ = sink; }
  // Tells of every choice that is asked for, also where it is 0.
  void count_all(Census* census) noexcept {
    census_ = census;
    looks_up_ = looks_up_ || census != nullptr;
  }
  // How many of the edits were asked for. A capsule whose keys no longer occur is stale.
  std::size_t edits_used() const noexcept;
  std::size_t edits_given() const noexcept { return edits_.size(); }

  RunHash& hash() noexcept { return hash_; }
  std::uint64_t seed() const noexcept { return seed_; }

 private:
  std::uint64_t choose_slow(Site site, const Fault& fault, EntityId entity,
                            std::uint64_t occurrence, std::uint64_t bound) noexcept;

  std::uint64_t seed_;
  Base base_;
  bool recording_ = false;
  bool looks_up_ = false;  // a choice may be other than 0 where its fault is off, or is told of
  DecisionSink* sink_ = nullptr;
  Census* census_ = nullptr;
  std::vector<Decision> edits_;  // sorted by key
  std::vector<bool> used_;
  std::vector<Decision> recorded_;
  std::array<SiteCount, site_count> counts_{};
  RunHash hash_;
};

}  // namespace twinwire::sim
