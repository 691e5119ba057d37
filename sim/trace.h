// SPDX-License-Identifier: Apache-2.0
// TraceSink: what happened in a world, step by step, for a person or for comparing two runs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "transport/base/mix.h"
#include "transport/base/time.h"

namespace twinwire::sim {

// One step. The text is made only where somebody listens; the hash does not depend on it.
struct TraceStep {
  std::uint64_t number;  // from 1
  TimePoint at;
  std::string_view who;   // "client", "server.reader", "10.0.0.1:40000>10.0.0.2:4000"
  std::string_view what;  // "delivered 256 bytes at offset 512"
  std::uint64_t hash;     // of the run, after this step
};

class TraceSink {
 public:
  virtual void on_step(const TraceStep& step) = 0;

 protected:
  ~TraceSink() = default;
};

}  // namespace twinwire::sim
