// SPDX-License-Identifier: Apache-2.0
// What GET /metrics of a `serve` tells: its rings and its sessions, by shard. docs/metrics.md says what to watch.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/serve_samples.h"
#include "real/ring.h"

namespace twinwire::cli {

std::string serve_metrics(std::span<const ServeSample> shards, real::RingMode mode,
                          std::string_view transport);

}  // namespace twinwire::cli
