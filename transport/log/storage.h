// SPDX-License-Identifier: Apache-2.0
// Storage: bytes that outlive a process: what a log is kept in. Two implementations: FileStorage (real/file_storage.h),
// and one over a World's disk, which loses what was not synced (props/laws/disk_storage.h).
//
// Crossed once for each batch of entries, and by a replica that reads back old ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "transport/base/error.h"

namespace twinwire::log {

class Storage {
 public:
  virtual ~Storage() = default;

  // Bytes that are there, synced or not.
  virtual std::uint64_t size() const noexcept = 0;

  // Fills `into` with what stands from `at` on. Several fibers may read at a time, and while another one appends.
  // Requires   at + into.size() <= size(), as it was when a call of append() had last returned
  // Suspends   Until the bytes are there.
  // Errors     broken (they cannot be read) · canceled · no_resources
  virtual Result<void> read(std::uint64_t at, std::span<std::byte> into) = 0;

  // Puts the pieces behind what is there, in order. One fiber at a time appends, syncs or cuts.
  //
  // Promise    Success: they are there, for read(); not: for good. After a crash any part of what was appended since
  //            the last sync may be there, in any state.
  //            Failure: any part of it may be. Nothing may be appended behind it: the storage is of no more use until
  //            it is opened, looked through and cut anew.
  // Suspends   Until the bytes were taken.
  // Errors     broken (no room, among others; errno and problem() tell) · canceled · no_resources
  virtual Result<void> append(std::span<const std::span<const std::byte>> pieces) = 0;

  // Success: all that is there is there for good. Failure: what was not synced before may be gone, although read()
  // still finds it, and a later sync may succeed without it: so nobody calls it again.
  // Suspends   Until the device has said so.
  // Errors     broken · canceled
  virtual Result<void> sync() = 0;

  // sync(), at recovery, of what another process has left: from `from` on it may never have been synced, or a sync of
  // it may have failed, after which the kernel takes it for written. Before that it was.
  // Errors     as read() and sync()
  virtual Result<void> settle(std::uint64_t from) = 0;

  // Cuts it to `size` bytes, for good: synced when it returns. At recovery only, before anything was appended.
  // Errors     as append() and sync()
  virtual Result<void> truncate(std::uint64_t size) = 0;

  // Of the last failure: a sentence for a person, with what to do; empty where there was none.
  virtual std::string problem() const { return {}; }
};

}  // namespace twinwire::log
