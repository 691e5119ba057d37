// SPDX-License-Identifier: Apache-2.0
// A Ring for a verb, or one sentence why there is none.
#pragma once

#include <memory>

#include "real/ring.h"

namespace twinwire::cli {

// Throws Failure(environment). With TWINWIRE_FORCE_NO_IOURING set in the environment it always does, for tests.
std::unique_ptr<real::Ring> open_ring(real::RingOptions options = {});

// What these options become where TWINWIRE_FORCE_NO_IOURING is set.
real::RingOptions as_forced(real::RingOptions options);

}  // namespace twinwire::cli
