// SPDX-License-Identifier: Apache-2.0
// Progress of something long, on standard error: a bar on a terminal, a plain line every few seconds elsewhere.
#pragma once

#include <cstdint>
#include <string>

#include "transport/base/time.h"

namespace twinwire::cli {

class Progress {
 public:
  // `unit`: what is counted ("seeds"). `total`: how many there will be; 0 where time is the limit.
  Progress(std::string unit, std::uint64_t total, Duration time_max);

  // To be called often; prints now and then. `tail` is put behind.
  void update(std::uint64_t done, const std::string& tail);
  // Takes the bar off the terminal.
  void clear();

 private:
  std::string line(std::uint64_t done, Duration elapsed, const std::string& tail) const;

  std::string unit_;
  std::uint64_t total_;
  Duration time_max_;
  bool terminal_;
  bool shown_ = false;
  TimePoint start_;
  TimePoint last_;
};

}  // namespace twinwire::cli
