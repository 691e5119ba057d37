// SPDX-License-Identifier: Apache-2.0
// DiskStorage: what a replicated log is kept in, in the World: a node's disk, which loses what was not synced; cut into
// pieces, so that what a crash leaves of an entry may be its beginning alone.
//
// And what a disk does beyond that: it may be full, and a sync may fail. After a failed sync the kernel takes what was
// to be written for written: a second sync succeeds, and does nothing; nor does that of a next process, until it has
// written it again (settle()).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/disk.h"
#include "transport/log/storage.h"

namespace twinwire::laws {

// When the storage of a node fails; it lasts from one incarnation to the next.
struct DiskFailures {
  std::uint64_t appends_until_full = UINT64_MAX;
  std::uint64_t syncs_until_failure = UINT64_MAX;
  // One read in so many takes slow_read: a disk that is busy with something else; 0: none.
  std::uint64_t reads_until_slow = 0;
  std::uint64_t reads = 0;
  // From this record on a failed sync has left what is taken for written, and is not on the disk; UINT64_MAX: there is
  // none. Until it is written again, or the power fails.
  std::uint64_t clean_from = UINT64_MAX;
};

class DiskStorage final : public log::Storage {
 public:
  DiskStorage(sim::Disk::File file, Scheduler& scheduler, DiskFailures& failures);

  std::uint64_t size() const noexcept override { return size_; }
  Result<void> read(std::uint64_t at, std::span<std::byte> into) override;
  Result<void> append(std::span<const std::span<const std::byte>> pieces) override;
  Result<void> sync() override;
  Result<void> settle(std::uint64_t from) override;
  Result<void> truncate(std::uint64_t size) override;
  std::string problem() const override { return problem_; }

  bool has_failed() const noexcept { return !problem_.empty(); }

 private:
  Result<void> put(std::span<const std::byte> bytes);

  sim::Disk::File file_;
  Scheduler* scheduler_;
  DiskFailures* failures_;
  std::vector<std::uint64_t> begins_;  // of each record of the disk
  std::uint64_t size_ = 0;
  std::string problem_;
};

}  // namespace twinwire::laws
