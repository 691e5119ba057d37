// SPDX-License-Identifier: Apache-2.0
// A Ring for a verb, or one sentence why there is none.
#pragma once

#include <memory>

#include "real/ring.h"

namespace twinwire::cli {

// Throws Failure(environment). With TWINWIRE_FORCE_NO_IOURING set in the environment it always does, for tests.
std::unique_ptr<real::Ring> open_ring();

}  // namespace twinwire::cli
