// SPDX-License-Identifier: Apache-2.0
#include "sim/disk.h"

#include <algorithm>

#include "transport/base/check.h"

namespace twinwire::sim {

Result<void> Disk::File::append(std::string_view record) {
  if (dead()) return Errc::canceled;
  disk_->records_.emplace_back(record);
  return {};
}

Result<void> Disk::File::sync(Scheduler& scheduler) {
  if (dead() || scheduler.cancel_pending()) return Errc::canceled;
  const std::size_t there = disk_->records_.size();
  const auto slept = scheduler.sleep_for(sync_time);
  if (dead()) return Errc::canceled;
  if (!slept) return slept.error();
  disk_->synced_ = std::max(disk_->synced_, there);
  return {};
}

Result<void> Disk::File::truncate(std::size_t records) {
  if (dead()) return Errc::canceled;
  TWINWIRE_CHECK(records <= disk_->records_.size(), "cutting adds no record");
  disk_->records_.resize(records);
  disk_->synced_ = std::min(disk_->synced_, records);
  return {};
}

void Disk::close(std::size_t kept) {
  TWINWIRE_CHECK(kept <= unsynced(), "a crash adds no record");
  records_.resize(synced_ + kept);
  synced_ = records_.size();  // what is there after a restart is on the disk
  ++opened_;
}

}  // namespace twinwire::sim
