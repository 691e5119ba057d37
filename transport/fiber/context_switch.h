// SPDX-License-Identifier: Apache-2.0
// The switch between stacks: Boost.Context's fcontext, and what the tools must be told about it.
//
// fcontext and not boost::context::fiber: the latter unwinds a destroyed fiber by an exception (a noexcept frame then
// terminates), and we never destroy a suspended fiber.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <boost/version.hpp>
#include <cstddef>

#include "transport/base/sanitizers.h"

#ifdef TWINWIRE_ASAN
extern "C" void __sanitizer_start_switch_fiber(void** fake_stack_save, const void* bottom,
                                               std::size_t size);
extern "C" void __asan_unpoison_memory_region(void const volatile* address, std::size_t size);
extern "C" void __sanitizer_finish_switch_fiber(void* fake_stack_save, const void** bottom_old,
                                                std::size_t* size_old);
#endif
#ifdef TWINWIRE_TSAN
extern "C" void* __tsan_get_current_fiber();
extern "C" void* __tsan_create_fiber(unsigned flags);
extern "C" void __tsan_destroy_fiber(void* fiber);
extern "C" void __tsan_switch_to_fiber(void* fiber, unsigned flags);
#endif

// Boost 1.88 saves __cxa_eh_globals itself; before, two fibers that suspend with exceptions in flight swap them
// (boostorg/context#281).
#if BOOST_VERSION < 108800
#define TWINWIRE_SAVES_EXCEPTION_GLOBALS 1
#else
#define TWINWIRE_SAVES_EXCEPTION_GLOBALS 0
#endif
