// SPDX-License-Identifier: Apache-2.0
#include "props/laws/disk_storage.h"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "transport/base/check.h"

namespace twinwire::laws {
namespace {

constexpr std::size_t piece_max = 512;
constexpr Duration slow_read = std::chrono::milliseconds(1800);
constexpr Duration read_time =
    std::chrono::microseconds(100);  // a seek, or a page that is not cached

// Counts down to a failure, once; UINT64_MAX: there is none.
bool comes_now(std::uint64_t& left) noexcept {
  if (left == UINT64_MAX) return false;
  const bool now = left == 0;
  left = now ? UINT64_MAX : left - 1;
  return now;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

DiskStorage::DiskStorage(sim::Disk::File file, Scheduler& scheduler, DiskFailures& failures)
    : file_(file), scheduler_(&scheduler), failures_(&failures) {
  for (const std::string& record : file_.records()) {
    begins_.push_back(size_);
    size_ += record.size();
  }
  // After a loss of power all that is still there is on the disk.
  if (file_.synced() == begins_.size()) failures_->clean_from = UINT64_MAX;
}

Result<void> DiskStorage::read(std::uint64_t at, std::span<std::byte> into) {
  TWINWIRE_CHECK(at + into.size() <= size_, "a read goes beyond the end of a storage");
  auto record = static_cast<std::size_t>(std::ranges::upper_bound(begins_, at) - begins_.begin());
  while (!into.empty()) {
    const std::string& text = file_.records()[record - 1];
    const std::size_t skipped = at - begins_[record - 1];
    const std::size_t n = std::min(into.size(), text.size() - skipped);
    std::ranges::copy(std::as_bytes(std::span(text)).subspan(skipped, n), into.begin());
    into = into.subspan(n);
    at += n;
    ++record;
  }
  // Meanwhile others run, connections end and begin.
  const bool slow =
      failures_->reads_until_slow != 0 && ++failures_->reads % failures_->reads_until_slow == 0;
  return scheduler_->sleep_for(slow ? slow_read : read_time);
}

Result<void> DiskStorage::put(std::span<const std::byte> bytes) {
  if (const auto appended = file_.append(text_of(bytes)); !appended) return appended;
  begins_.push_back(size_);
  size_ += bytes.size();
  return {};
}

Result<void> DiskStorage::append(std::span<const std::span<const std::byte>> pieces) {
  const bool full = comes_now(failures_->appends_until_full);
  std::size_t fit = full ? pieces.size() / 2 : pieces.size();
  for (std::span<const std::byte> piece : pieces) {
    if (fit-- == 0) {
      problem_ = "the disk is full";
      return Error{Errc::broken, ENOSPC};
    }
    for (; piece.size() > piece_max; piece = piece.subspan(piece_max))
      if (const auto appended = put(piece.first(piece_max)); !appended) return appended;
    if (const auto appended = put(piece); !appended) return appended;
  }
  return {};
}

Result<void> DiskStorage::sync() {
  // What the one that failed was to write is taken for written.
  if (failures_->clean_from != UINT64_MAX) return {};
  if (comes_now(failures_->syncs_until_failure)) {
    failures_->clean_from = file_.synced();
    problem_ = "a sync of the disk failed";
    return Error{Errc::broken, EIO};
  }
  return file_.sync(*scheduler_);
}

Result<void> DiskStorage::settle(std::uint64_t from) {
  const std::uint64_t clean = failures_->clean_from;
  if (clean != UINT64_MAX && from > begins_[clean]) return {};  // not all of it was written again
  if (const auto synced = file_.sync(*scheduler_); !synced) return synced;
  failures_->clean_from = UINT64_MAX;
  return {};
}

Result<void> DiskStorage::truncate(std::uint64_t size) {
  const auto at = std::ranges::lower_bound(begins_, size);
  TWINWIRE_CHECK(size == size_ || (at != begins_.end() && *at == size),
                 "a storage is cut inside of what was written together");
  const auto left = static_cast<std::size_t>(at - begins_.begin());
  if (const auto cut = file_.truncate(left); !cut) return cut;
  begins_.resize(left);
  if (failures_->clean_from >= left) failures_->clean_from = UINT64_MAX;
  size_ = size;
  return {};
}

}  // namespace twinwire::laws
