// SPDX-License-Identifier: Apache-2.0
// What GET /metrics of a `serve` tells: its ring, and its sessions. docs/metrics.md says what to watch.
#pragma once

#include <string>
#include <string_view>

#include "cli/serve_session.h"
#include "real/ring.h"

namespace twinwire::cli {

std::string serve_metrics(real::Ring& ring, const ServeState& state, std::string_view transport);

}  // namespace twinwire::cli
