// SPDX-License-Identifier: Apache-2.0
// ShardLane: what goes from one shard to one other, without a lock: a ring buffer with one producer and one consumer
// for each kind, and a flag that keeps it to one wake on its way at a time.
#pragma once

#include <array>
#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <cstddef>
#include <cstdint>

#include "transport/wire/block.h"

namespace twinwire::real {

class Shard;

// A function that another shard posted. Copied as bytes: small trivial ones lie here, others on the heap.
struct Mail {
  // Ends what `storage` holds; before that, where `run`, calls it on `there`.
  void (*take)(std::byte* storage, Shard& there, bool run) = nullptr;
  alignas(8) std::array<std::byte, 24> storage;
};

// A message that another shard lent. Its counts are the borrower's: a block of its own in front of the bytes, which
// goes home when the borrower drops the last reference; only there is the lender's own reference dropped.
struct Loan : Block {
  Slice original;  // the lender's; nobody else looks at it
  std::uint32_t lender = 0;
  std::uint32_t borrower = 0;
  bool posted_home = false;  // it goes by a post, and not by the lane of returns
};

struct ShardLane {
  ShardLane(std::size_t mail_max, std::size_t loans_max) : mail(mail_max), returns(loans_max) {}

  boost::lockfree::spsc_queue<Mail> mail;
  boost::lockfree::spsc_queue<Loan*>
      returns;  // of what the receiver of this lane had lent to its sender
  // A wake is on its way. Whoever sets it sends one; the receiver clears it before it looks. Both by exchange: so
  // either the receiver sees what was queued before, or the sender sees that another wake is due.
  alignas(64) std::atomic<bool> told{false};
};

}  // namespace twinwire::real
