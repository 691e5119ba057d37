// SPDX-License-Identifier: Apache-2.0
// Entropy: where GnuTLS's randomness comes from while a node of a World runs its engine (Random::begin_use). Linking
// sim/ replaces `gnutls_rnd` in the executable; where no World is in use the call passes through.
#pragma once

#include "transport/net/random.h"

namespace twinwire::sim {

// From now on the library draws from `random`, on this thread; nullptr: from its own source. Returns the one before.
Random* exchange_entropy(Random* random) noexcept;

}  // namespace twinwire::sim
