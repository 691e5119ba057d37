// SPDX-License-Identifier: Apache-2.0
// Wal: the write-ahead log: entries in a Storage, each with a mark in front of it; how a replica finds them again after
// a crash.
//
// The file is a head of 64 bytes, then records. A record is a mark of 16 bytes, an entry's frame (entry.h), and zeros
// up to the next multiple of 16. The mark says with which op the batch began that was written together, and a checksum
// of that, keyed with a number that is the file's own secret.
//
// A torn end is told from damage by the marks. Batches alternate with syncs: while one is written, everything before it
// is synced. So what cannot be read was lost in a crash only if nothing that can be read behind it belongs to a later
// batch; then it is cut off, and nobody was ever told that it was there. Otherwise something was there and is not any
// more: recovery refuses, and cuts nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "transport/fiber/scheduler.h"
#include "transport/log/entry.h"
#include "transport/log/storage.h"
#include "transport/net/random.h"

namespace twinwire::log {

struct WalOptions {
  U128 cluster;
  std::size_t body_max = 0;  // of an entry: a log that holds a larger one is refused
};

// What recovery found, for the log.
struct Recovered {
  Op last = 0;
  Op commit = 0;                // known to be committed: some entry says so
  std::uint64_t bytes_cut = 0;  // of a torn end
  bool fresh = false;           // there was nothing: a new log was begun
};

class Wal {
 public:
  // Borrowed; they outlive it.
  Wal(Storage& storage, BufferPool& pool, Scheduler& scheduler, const WalOptions& options)
      : storage_(&storage), pool_(&pool), scheduler_(&scheduler), options_(options) {}
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  // Finds what is there, and begins a new log where that is nothing. Once, before all else.
  //
  // Promise    Success: last() entries, each whole and behind its parent; found(frame) was called with each, in order.
  //            A torn end was cut off, for good.
  //            Failure: nothing was changed; `why` is a sentence for a person.
  // Suspends   While it reads: all of it, once.
  // Errors     invalid (damaged; of another cluster; with an entry over body_max; no log at all) · those of Storage
  Result<Recovered> recover(Random& random, const std::function<void(const std::byte*)>& found,
                            std::string& why);

  // Writes a batch of entries behind what is there. A sync follows before the next.
  // Promise    Failure: it has failed for good, and so does every later call. Nothing is retried: what a failed write
  //            or sync has left is looked at by the next recovery.
  // Requires   each entry is the next one: its op is the one after, and its parent the checksum of the one before
  // Suspends   as Storage
  Result<void> append(std::span<const Message> entries);
  Result<void> sync();

  // The entry at `op`.
  // Requires   1 <= op <= last()
  // Suspends   as Storage
  // Errors     broken · invalid (what was read is not what was written) · canceled · no_resources
  Result<Message> read(Op op);

  Op last() const noexcept { return entries_.size(); }
  Op synced() const noexcept { return synced_; }
  // Of the entry at `op`; 0 of 0.
  std::uint64_t checksum_of(Op op) const noexcept {
    return op == 0 ? 0 : entries_[op - 1].checksum;
  }
  bool failed() const noexcept { return failed_; }
  // Why, in a sentence.
  const std::string& problem() const noexcept { return problem_; }

 private:
  friend class WalRecovery;
  struct Place {
    std::uint64_t at = 0;  // of its frame
    std::uint64_t checksum = 0;
    std::uint32_t size = 0;
  };
  Result<void> fail(std::string_view doing, Error error);

  Storage* storage_;
  BufferPool* pool_;
  Scheduler* scheduler_;
  WalOptions options_;
  std::uint64_t salt_ = 0;
  std::vector<Place> entries_;
  Op synced_ = 0;
  bool dirty_ = false;  // appended, and not synced
  bool failed_ = false;
  std::string problem_;
};

}  // namespace twinwire::log
