// SPDX-License-Identifier: Apache-2.0
// Watch: what a call on a ring's stream or acceptor must be, seen against the fake kernel that stands under it.
#pragma once

#include <memory>

#include "props/fake_kernel/fake_kernel.h"
#include "real/ring_core.h"
#include "transport/net/byte_stream.h"

namespace twinwire::fake {

std::unique_ptr<ByteStream> watch(std::unique_ptr<ByteStream> stream, FakeKernel& kernel,
                                  real::RingCore& core, FakeFile& file);
std::unique_ptr<Acceptor> watch(std::unique_ptr<Acceptor> acceptor, FakeKernel& kernel,
                                real::RingCore& core, FakeFile& file);

}  // namespace twinwire::fake
