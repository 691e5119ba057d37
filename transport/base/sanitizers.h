// SPDX-License-Identifier: Apache-2.0
// Which sanitizer this is compiled with: TWINWIRE_ASAN and TWINWIRE_TSAN, whatever the compiler calls it.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define TWINWIRE_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define TWINWIRE_TSAN 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(TWINWIRE_ASAN)
#define TWINWIRE_ASAN 1
#endif
#if __has_feature(thread_sanitizer) && !defined(TWINWIRE_TSAN)
#define TWINWIRE_TSAN 1
#endif
#endif
