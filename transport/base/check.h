// SPDX-License-Identifier: Apache-2.0
// TWINWIRE_CHECK: a broken precondition is a bug in the caller; it aborts with a sentence, in release too.
#pragma once

namespace twinwire {

// Writes "twinwire: <message> (<condition> at <file>:<line>)" to standard error and aborts.
[[noreturn]] void check_failed(const char* condition, const char* message, const char* file,
                               int line) noexcept;

}  // namespace twinwire

#define TWINWIRE_CHECK(condition, message)                               \
  do {                                                                   \
    if (!(condition)) [[unlikely]]                                       \
      ::twinwire::check_failed(#condition, message, __FILE__, __LINE__); \
  } while (false)
