// SPDX-License-Identifier: Apache-2.0
// HuntResult: what a hunt, or one shard of it, found; as a small text file that can be added to others.
//
//   twinwire-hunt 1                       format and its version; a reader refuses every other
//   build 00f1e2d3c4b5a697                the executable that ran it
//   version compiler g++ 12.2.0           and what it was made of
//   scenario traffic
//   transport tcp
//   chance swarm                          what the faults start from: swarm, all or none
//   setting short_write=0.1:20            each fault that was given on top
//   knob connections=3                    each that was given
//   plant resume_at_wrong_offset          left out where there was none
//   seeds 1 100                           first and number, of the whole hunt; number 0: as many as the time allowed
//   shard 3/7                             left out where it was not one shard
//   ran 31 14                             first and number; a line for each stretch of seeds that ran to its end
//   ended time                            why others did not: time, failures or interrupt; left out where all ran
//   took 1234567890                       nanoseconds
//   hash 0123456789abcdef                 the sum of all seeds' hashes, each mixed with its seed
//   counter fault.short_write 812 90 75 9 40 2 1   drawn, struck, bit; seeds in which it bit and in which it was on;
//                                         re-runs without one decision of it, and those that went another way
//   counter state.backlog_full 3 2        times, and in how many seeds
//   counter knob.connections 1            above 0 where a run read it
//   failure 35 2 law_broken:prefix        lowest seed, number of seeds, key
//   capsule capsules/traffic-tcp-35.capsule  of the failure above; left out where none could be kept
//   detail a line for a person            of the failure above
//   checksum fedcba9876543210             XXH3-64 of every byte before this line
//
// All that can be counted is a counter: a name and one number or more, each of which is the sum over the seeds. Adding
// two results adds counters of one name, whatever the name: a new one needs no new format, and no line in this file.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/report.h"
#include "cli/run_spec.h"
#include "cli/shard.h"
#include "props/laws/sometimes.h"
#include "transport/base/time.h"

namespace twinwire::cli {

struct FoundFailure {
  std::string key;
  std::uint64_t seed = 0;   // the lowest that failed so
  std::uint64_t count = 0;  // of seeds
  std::string capsule;      // its path; empty where there is none
  std::string detail;
};

struct HuntResult {
  std::uint64_t build = 0;
  std::vector<std::pair<std::string, std::string>> versions;
  RunSpec spec;
  SeedRange seeds;  // of the whole hunt
  std::optional<Shard> shard;
  std::vector<SeedRange> ran;  // in rising order, with something between any two
  std::string ended;
  Duration took{};
  std::uint64_t hash_sum = 0;
  std::map<std::string, std::vector<std::uint64_t>> counters;
  std::vector<FoundFailure> failures;  // by lowest seed

  std::uint64_t done() const noexcept;
  // What a run that has all of `seeds` lacks, in rising order.
  std::vector<SeedRange> missing() const;
};

inline constexpr int hunt_result_format = 1;

std::string encode(const HuntResult& result);
// Throws Failure(bad_usage) with one sentence, as a capsule's decode() does.
HuntResult decode_hunt_result(std::string_view text, std::string_view name);

// Faults, states and knobs as counters, and back. Throws Failure(bad_usage) where this build does not have that fault.
void put_faults(HuntResult& result, const FaultTallies& faults);
FaultTallies faults_of(const HuntResult& result);
void put_states(HuntResult& result, const laws::SometimesTallies& states);
laws::SometimesTallies states_of(const HuntResult& result);
void put_knobs_read(HuntResult& result, std::uint64_t bits);
// The first knob that was given and that no run read, or nullptr.
const laws::Knob* unread_knob(const HuntResult& result);

}  // namespace twinwire::cli
