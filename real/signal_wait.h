// SPDX-License-Identifier: Apache-2.0
// SignalWait: a fiber that waits for signals, such as Ctrl-C, through the ring: no handler, no race.
#pragma once

#include <csignal>
#include <initializer_list>

#include "real/descriptor.h"
#include "transport/base/error.h"
#include "transport/base/time.h"

namespace twinwire::real {

class Ring;

class SignalWait {
 public:
  // From now on these signals are blocked in the calling thread (make it before starting others, which inherit that)
  // and wait for wait(). One that is already pending is kept.
  // Errors     no_resources
  static Result<SignalWait> create(Ring& ring, std::initializer_list<int> signals);

  // The number of the next signal.
  // Suspends   Until one arrives.
  // Errors     timed_out · canceled · no_resources
  Result<int> wait(Deadline deadline);

  SignalWait(SignalWait&& other) noexcept = default;
  SignalWait& operator=(SignalWait&& other) noexcept = default;

 private:
  explicit SignalWait(DescriptorRef file) noexcept : file_(std::move(file)) {}

  DescriptorRef file_;
};

}  // namespace twinwire::real
