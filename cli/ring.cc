// SPDX-License-Identifier: Apache-2.0
#include "cli/ring.h"

#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "cli/exit_code.h"
#include "real/probe.h"

namespace twinwire::cli {

real::RingOptions as_forced(real::RingOptions options) {
  const char* forced = std::getenv("TWINWIRE_FORCE_NO_IOURING");
  if (forced != nullptr && std::string_view(forced) != "0") options.force_probe_failure = ENOSYS;
  return options;
}

std::unique_ptr<real::Ring> open_ring(real::RingOptions options) {
  auto ring = real::Ring::create(as_forced(options));
  if (!ring) throw Failure(ExitCode::environment, real::explain_no_ring(ring.error()));
  return std::move(*ring);
}

}  // namespace twinwire::cli
