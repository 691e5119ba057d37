// SPDX-License-Identifier: Apache-2.0
// Whether this machine lets us use io_uring, and if not, why and what to do about it.
#pragma once

#include <string>

#include "real/ring_options.h"
#include "transport/base/error.h"

namespace twinwire::real {

// Sets a ring up as Ring::create() would, and takes it down again.
// Errors     unsupported · no_resources; os_errno tells which, for explain_no_ring()
Result<RingMode> probe(const RingOptions& options);

// One sentence for a person: why no Ring could be had, and the remedy. `error` is what probe() or Ring::create() gave.
std::string explain_no_ring(const Error& error);

// What io_uring_setup(2) answered, as an Error.
Error probe_error(int os_errno) noexcept;

}  // namespace twinwire::real
