// SPDX-License-Identifier: Apache-2.0
// A sentence for a fiber that runs off its stack, instead of a bare segmentation fault.
//
//   twinwire: stack overflow in fiber 'NAME' (slot of 128 KiB)
//
// The fault's address lies in the guard of a stack, and the StackLabel at the other end of the slot names the fiber;
// so the handler needs to know nothing but the size of the slots.
#pragma once

#include <cstddef>

#include "transport/fiber/stack_pool.h"

namespace twinwire {

// Installs the report for the process, and a stack to run it on for the calling thread: call it once on each thread
// that runs fibers, before they run.
//
// Promise    A fault in the guard of a slot of `slot_size` bytes writes the sentence to standard error, and the process
//            dies by the signal, as it would have without. Every other fault goes to the handler that was there before.
// Requires   A fault handler that is to keep working is installed before this. A second call changes `slot_size`.
// Memory     An alternate signal stack of 64 KiB for the life of the thread, if it has none; it is never given back.
// Limits     One frame that is larger than the guard (StackPool::guard_size) can step over it: build with
//            -fstack-clash-protection to rule that out.
// Returns false, and has installed nothing, if the operating system refuses.
[[nodiscard]] bool install_stack_overflow_report(
    std::size_t slot_size = StackPool::default_slot_size) noexcept;

}  // namespace twinwire
