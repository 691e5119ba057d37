// SPDX-License-Identifier: Apache-2.0
// The HTTP/1.1 of `serve --metrics` as text in, text out. Suspends where `metrics` does.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "transport/base/error.h"

namespace twinwire::cli {

inline constexpr std::size_t metrics_head_max = 8 * 1024;

// The whole answer to a request's head, which ends with an empty line; it closes the connection (Connection: close).
// `metrics` is asked for the text only where it is wanted.
// 200 · 400 malformed · 404 another path than /metrics · 405 neither GET nor HEAD · 503 `metrics` failed
std::string answer_metrics(std::string_view head,
                           const std::function<Result<std::string>()>& metrics);
// An answer without a head that could be looked at: 431, too large.
std::string refuse_metrics(unsigned status);

}  // namespace twinwire::cli
