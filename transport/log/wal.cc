// SPDX-License-Identifier: Apache-2.0
#include "transport/log/wal.h"

#include "transport/base/check.h"
#include "transport/base/plant.h"
#include "transport/log/wal_format.h"
#include "transport/wire/seal.h"

namespace twinwire::log {
namespace {

constexpr std::byte zeros[wal_alignment] = {};

}  // namespace

Result<void> Wal::fail(std::string_view doing, Error error) {
  // Told to stop in the middle of it: nobody knows how far it came, but nothing is wrong with the storage.
  failed_ = true;
  problem_ = "the log cannot be " + std::string(doing) + ": ";
  const std::string told = storage_->problem();
  problem_ += told.empty() ? to_string(error) : told;
  return error;
}

Result<void> Wal::append(std::span<const Message> entries) {
  if (failed_) return Errc::broken;
  TWINWIRE_CHECK(!dirty_, "a log's batch is written only when the one before is synced");
  if (entries.empty()) return {};
  const Op first = last() + 1;
  std::uint64_t at = storage_->size();
  std::vector<WalMark> marks;
  std::vector<std::span<const std::byte>> pieces;
  std::vector<Place> places;
  marks.reserve(entries.size());
  places.reserve(entries.size());
  pieces.reserve(3 * entries.size());
  std::uint64_t parent = checksum_of(last());
  for (const Message& entry : entries) {
    const Fields fields(entry);
    const bool is_next = (fields.op() == first + places.size() && fields.parent() == parent) ||
                         PLANT(log_gap_is_taken);
    TWINWIRE_CHECK(is_next, "what is appended to a log is its next entry");
    parent = fields.checksum();
    marks.push_back(wal_mark(salt_, first, at));
    pieces.emplace_back(marks.back());
    pieces.push_back(entry.bytes());
    const std::uint64_t record = wal_record_size(entry.size());
    if (const std::uint64_t padding = record - wal_mark_size - entry.size(); padding != 0)
      pieces.emplace_back(zeros, padding);
    places.push_back({at + wal_mark_size, parent, static_cast<std::uint32_t>(entry.size())});
    at += record;
  }
  dirty_ = true;
  if (const auto appended = storage_->append(pieces); !appended)
    return fail("written", appended.error());
  entries_.insert(entries_.end(), places.begin(), places.end());
  return {};
}

Result<void> Wal::sync() {
  if (failed_) return Errc::broken;
  const Op there = last();
  auto synced = storage_->sync();
  if (!synced && PLANT(log_failed_sync_is_retried)) synced = storage_->sync();
  if (!synced) return fail("synced", synced.error());
  synced_ = there;
  dirty_ = false;
  return {};
}

Result<Message> Wal::read(Op op) {
  TWINWIRE_CHECK(op >= 1 && op <= last(), "a log has no such entry");
  const Place place = entries_[op - 1];
  auto made = MutableMessage::create(*pool_, Command::prepare, place.size - header_size);
  if (!made) return made.error();
  if (const auto got = storage_->read(place.at, made->bytes()); !got) return got.error();
  Message entry = std::move(*made).freeze();
  if (Fields(entry).checksum() != place.checksum || !seal_matches(entry.bytes()))
    return Errc::invalid;
  return entry;
}

}  // namespace twinwire::log
