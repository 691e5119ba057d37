// SPDX-License-Identifier: Apache-2.0
// RunHash: the 64-bit digest of a run, always on. Equal hashes: the same steps at the same virtual times, to the byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/base/mix.h"

namespace twinwire::sim {

// What a step was. Fixed numbers: they are part of the hash.
enum class Step : std::uint8_t {
  run = 1,        // a fiber ran:            entity, time
  choice = 2,     // a choice other than 0:  site and entity, choice
  delivered = 3,  // bytes reached a reader's kernel: link, digest of the bytes
  datagram = 4,   // a datagram was delivered
  note = 5,       // what a scenario adds
  opened = 6,     // a connection was opened: its first direction
  accepted = 7,   // ... and accepted:         the connection
  fin = 8,        // the end of a stream was delivered: link, bytes before it
  reset = 9,      // a reset arrived:                   link, bytes before it
  fault = 10,     // a fault of a direction happened:   link, site; or of a node
  started = 11,   // a node's program was started again: node, its incarnation
  mail = 12,      // a shard took a letter of another:  the lane, its number
};

class RunHash {
 public:
  void fold(Step step, std::uint64_t a, std::uint64_t b) noexcept {
    state_ =
        mix(state_ + static_cast<std::uint64_t>(step), a) ^ mix(b, state_ ^ 0xa0761d6478bd642fULL);
  }
  std::uint64_t value() const noexcept { return scramble(state_); }

 private:
  std::uint64_t state_ = 0x2545f4914f6cdd1dULL;
};

// The same on every processor, and quick for the sizes of messages. Integers only.
std::uint64_t digest(std::span<const std::byte> bytes) noexcept;

}  // namespace twinwire::sim
