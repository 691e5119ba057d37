// SPDX-License-Identifier: Apache-2.0
// What of this machine matters to production: whether it is there, what it costs to lack it, and the remedy.
//
//   for (const Finding& finding : judge(look_at_machine({}))) ...      // `twinwire probe`
//
// Looking and judging are two functions, so that a test judges machines that it does not have.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "real/ring_features.h"
#include "real/ring_options.h"
#include "transport/base/error.h"

namespace twinwire::real {

// Numbers are empty where the kernel does not say.
struct Machine {
  Result<RingMode> ring = Errc::unsupported;
  RingFeatures features;             // where there is a ring, and descriptors did not run out
  bool descriptors_ran_out = false;  // while it was looked at: of some things nothing is known
  bool udp_segments = false;
  bool udp_coalesces = false;
  bool cheap_guards = false;  // MADV_GUARD_INSTALL: a fiber's stack takes no mapping of its own
  std::optional<std::uint64_t> descriptors;      // RLIMIT_NOFILE, the soft limit; UINT64_MAX: none
  std::optional<std::uint64_t> descriptors_max;  // the hard one
  std::optional<std::uint64_t> locked_bytes;     // RLIMIT_MEMLOCK
  std::optional<std::uint64_t> somaxconn;
  std::optional<std::uint64_t> rmem_max;
  std::optional<std::uint64_t> max_map_count;
};

Machine look_at_machine(const RingOptions& options);

struct Finding {
  enum class State : std::uint8_t {
    there,
    low,      // it works, and limits
    missing,  // something else does its work, or nothing
    unknown,  // could not be found out
  };
  std::string name;
  State state = State::unknown;
  std::string value;    // what there is, or ""
  std::string cost;     // of lacking it
  std::string remedy;   // one that an operator can carry out
  bool needed = false;  // production does not run without it
};

// In the order in which a person should read them.
std::vector<Finding> judge(const Machine& machine);
// Whether everything that is needed is there.
bool can_run(const std::vector<Finding>& findings) noexcept;

}  // namespace twinwire::real
