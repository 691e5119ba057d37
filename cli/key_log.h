// SPDX-License-Identifier: Apache-2.0
// --key-log FILE: where the secrets of sessions go, for a packet analyser.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace twinwire::cli {

// For TlsConfig::key_log: appends each line to the file, which nobody but its owner can read. Several processes may
// append to one file: a line is one write. A line that cannot be written is told once on standard error.
// Throws Failure with one sentence: it cannot be opened, or others can read it.
std::function<void(std::string_view line)> key_log_to(const std::string& path);

}  // namespace twinwire::cli
