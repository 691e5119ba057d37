// SPDX-License-Identifier: Apache-2.0
// Capsule: a run that failed, as a small text file: enough to make it again, here or elsewhere, now or years later.
//
//   twinwire-capsule 1                    format and its version; a reader refuses every other
//   build 00f1e2d3c4b5a697                the executable that ran it
//   version compiler g++ 12.2.0           and what it was made of
//   scenario traffic
//   transport tcp
//   seed 17
//   plant resume_at_wrong_offset          the planted bug that was live; left out where there was none
//   faults short_write=0.1:20 ...         the whole plan; what is not named is off
//   knob connections=3                    as the run used them
//   run decisions                         the run is made of its decisions alone, all else being benign; left out where
//                                         chance comes from the seed
//   was 412                               decisions before it was minimised; left out where it was not
//   cost 45                               steps of the run; left out where that is not known
//   key law_broken:prefix                 what broke, in terms that survive minimising
//   hash 0123456789abcdef                 left out where the run did not end (crash, hang)
//   detail a line for a person
//   decisions 2                           every choice other than 0, in the order in which they were made:
//   short_write 0123456789abcdef 512 3    site, entity, occurrence, choice
//   reset 0123456789abcdef 0 71
//   checksum fedcba9876543210             XXH3-64 of every byte before this line
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cli/run_spec.h"
#include "sim/decisions.h"

namespace twinwire::cli {

struct Capsule {
  std::uint64_t build = 0;
  std::vector<std::pair<std::string, std::string>> versions;
  std::string scenario;
  std::string transport;
  std::uint64_t seed = 0;
  std::string plant;
  std::string faults;
  std::vector<laws::Knob> knobs;
  bool of_decisions = false;
  std::optional<std::uint64_t> was;
  std::optional<std::uint64_t> cost;
  std::string key;
  std::optional<std::uint64_t> hash;
  std::string detail;
  std::vector<sim::Decision> decisions;
};

inline constexpr int capsule_format = 1;

std::string encode(const Capsule& capsule);
// Throws Failure(bad_usage) with one sentence: no capsule, another format, truncated, damaged, or a line that makes no
// sense. `name` is the file's, for that sentence. Whether scenario and transport exist is for the caller to check.
Capsule decode(std::string_view text, std::string_view name);

// A capsule of this build for a run that was made with `record` on.
Capsule make_capsule(const RunSpec& spec, std::uint64_t seed, const laws::Verdict& verdict);
// For a run that never ended: its decisions were lost with the process.
Capsule make_capsule(const RunSpec& spec, std::uint64_t seed, std::string key, std::string detail);

// "capsules/traffic-tcp-prefix-17.capsule": one name for one failure.
std::string capsule_path(const Capsule& capsule, const std::string& folder);

// Reads a file; throws Failure(bad_usage) as decode(), or where it cannot be read.
Capsule load_capsule(const std::string& path);

// Writes it into that folder, which is made where it is missing. The file appears whole or not at all.
// Throws Failure(environment): the disk is full, the folder cannot be written ...
std::string save_capsule(const Capsule& capsule, const std::string& folder);
// The same under a path of the caller's choice, whose folder is there.
void write_capsule(const Capsule& capsule, const std::string& path);

}  // namespace twinwire::cli
