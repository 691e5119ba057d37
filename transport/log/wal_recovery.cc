// SPDX-License-Identifier: Apache-2.0
// What a replica does with what it finds of its log.
#include <algorithm>
#include <optional>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/log/wal.h"
#include "transport/log/wal_format.h"
#include "transport/wire/seal.h"

namespace twinwire::log {

// Looks through a storage from front to back, once.
class WalRecovery {
 public:
  WalRecovery(Wal& wal, std::string& why) noexcept : wal_(&wal), why_(&why) {}

  Result<Recovered> run(Random& random, const std::function<void(const std::byte*)>& found) {
    end_ = storage().size();
    if (auto begun = find_head(random); !begun) return begun.error();
    if (recovered_.fresh) return recovered_;
    at_ = wal_head_size;
    while (at_ < end_) {
      const auto frame = record_at(at_);
      if (!frame) return frame.error();
      if (frame->empty()) break;
      const bool is_last = at_ + wal_record_size(frame->size()) >= end_;
      if (PLANT(log_whole_end_is_cut) && is_last) break;
      take(*frame, found);
    }
    if (at_ < end_)
      if (auto cut = cut_torn_end(); !cut) return cut.error();
    // A process that died may have left what no sync has reached yet, or, which looks the same, what one has failed on:
    // the last batch, or, where there is none, the head.
    const std::uint64_t from = PLANT(log_settles_too_little) && wal_->last() != 0
                                   ? wal_->entries_.back().at - wal_mark_size
                                   : batch_at_;
    auto settled = PLANT(log_recovery_only_syncs) ? storage().sync() : storage().settle(from);
    if (!settled) return failed("synced", settled.error());
    wal_->synced_ = wal_->last();
    recovered_.last = wal_->last();
    return recovered_;
  }

 private:
  static constexpr std::size_t window_size = std::size_t{256} * 1024;
  using Bytes = std::span<const std::byte>;

  Storage& storage() noexcept { return *wal_->storage_; }
  Error refuse(std::string sentence) {
    *why_ = std::move(sentence);
    return {Errc::invalid, 0};
  }

  Result<void> find_head(Random& random) {
    if (end_ >= wal_head_size) {
      const auto bytes = look(0, wal_head_size);
      if (!bytes) return bytes.error();
      WalHeadBytes copy{};
      std::ranges::copy(*bytes, copy.begin());
      if (const auto head = wal_head_of(copy)) return check(*head);
      if (end_ > wal_head_size && !has_magic(copy)) return refuse("this is no log of twinwire");
      if (end_ > wal_head_size) return refuse("the head of the log is damaged");
    }
    // Nothing was ever written behind a head that is not whole.
    if (end_ != 0) {
      const auto bytes = look(0, static_cast<std::size_t>(end_));
      if (!bytes) return bytes.error();
      if (!is_torn_head(*bytes, wal_->options_.cluster))
        return refuse("this is no log of twinwire");
      if (auto cut = storage().truncate(0); !cut) return failed("cut", cut.error());
      recovered_.bytes_cut = end_;
    }
    const WalHead head{1, wal_->options_.cluster, random.next()};
    const WalHeadBytes bytes = bytes_of(head);
    const Bytes pieces[] = {bytes};
    if (auto appended = storage().append(pieces); !appended)
      return failed("begun", appended.error());
    if (auto synced = storage().sync(); !synced) return failed("synced", synced.error());
    wal_->salt_ = head.salt;
    recovered_.fresh = true;
    return {};
  }

  Error failed(std::string_view doing, Error error) {
    (void)wal_->fail(doing, error);
    *why_ = wal_->problem();
    return error;
  }

  Result<void> check(const WalHead& head) {
    if (head.version != 1)
      return refuse("the log has version " + std::to_string(head.version) +
                    ", and this program knows version 1");
    if (head.cluster != wal_->options_.cluster) return refuse("the log belongs to another cluster");
    wal_->salt_ = head.salt;
    return {};
  }

  // `size` bytes from `at` on, which are there; good until the next call.
  Result<Bytes> look(std::uint64_t at, std::size_t size) {
    if (at < window_at_ || at + size > window_at_ + window_.size()) {
      window_.resize(std::min<std::uint64_t>(std::max(size, window_size), end_ - at));
      window_at_ = at;
      if (auto got = storage().read(at, window_); !got) {
        window_.clear();
        *why_ = "the log cannot be read: " + storage().problem();
        return got.error();
      }
    }
    return Bytes(window_).subspan(static_cast<std::size_t>(at - window_at_), size);
  }

  // The frame of the next record, whole; empty where there is none at `at`.
  Result<Bytes> record_at(std::uint64_t at) {
    constexpr std::size_t least = wal_mark_size + header_size;
    const Bytes none;
    if (end_ - at < least) return none;
    auto bytes = look(at, least);
    if (!bytes) return bytes.error();
    const auto batch = batch_of_mark(wal_->salt_, *bytes, at);
    const HeaderView header(bytes->data() + wal_mark_size);
    const std::uint64_t size = header.size();
    if (!batch || header.command_byte() != static_cast<std::uint8_t>(Command::prepare) ||
        size < header_size || size > default_max_message || wal_record_size(size) > end_ - at)
      return none;
    bytes = look(at, wal_mark_size + size);
    if (!bytes) return bytes.error();
    const Bytes frame = bytes->subspan(wal_mark_size);
    if (!seal_matches(frame) || header_cluster(frame) != wal_->options_.cluster) return none;
    const Fields fields(frame.data());
    const Op next = wal_->last() + 1;
    if (*batch > next || fields.op() != next || fields.parent() != wal_->checksum_of(next - 1))
      return none;
    // Whole, and so perhaps acknowledged: that this replica was told to take less makes no torn end of it.
    if (size > header_size + wal_->options_.body_max)
      return refuse("entry " + std::to_string(next) + " of the log has a body of " +
                    std::to_string(size - header_size) + " bytes, and this replica takes " +
                    std::to_string(wal_->options_.body_max) +
                    "; nothing was changed: give all replicas a larger body_max");
    if (*batch != batch_) batch_at_ = at;
    batch_ = *batch;
    return frame;
  }
  static U128 header_cluster(Bytes frame) noexcept { return HeaderView(frame.data()).cluster(); }

  void take(Bytes frame, const std::function<void(const std::byte*)>& found) {
    const Fields fields(frame.data());
    wal_->entries_.push_back(
        {at_ + wal_mark_size, fields.checksum(), static_cast<std::uint32_t>(frame.size())});
    recovered_.commit = std::max(recovered_.commit, fields.commit());
    at_ += wal_record_size(frame.size());
    found(frame.data());
  }

  // From at_ on nothing can be read. It was never synced, unless something behind it is of a later batch.
  Result<void> cut_torn_end() {
    const Op lost = wal_->last() + 1;
    for (std::uint64_t at = at_; end_ - at >= wal_mark_size; at += wal_alignment) {
      const auto mark = look(at, wal_mark_size);
      if (!mark) return mark.error();
      const auto batch = batch_of_mark(wal_->salt_, *mark, at);
      if (batch && *batch > lost)
        return refuse("the log is damaged at byte " + std::to_string(at_) + ": entry " +
                      std::to_string(lost) +
                      " cannot be read, though it was synced before what stands at byte " +
                      std::to_string(at) +
                      "; nothing was changed, and this replica needs a copy of the longest log "
                      "that another one has");
    }
    if (PLANT(log_torn_end_is_damage)) return refuse("the log ends within an entry");
    recovered_.bytes_cut = end_ - at_;
    wal_->scheduler_->reached(Sometimes::log_torn_end);
    if (PLANT(log_torn_end_is_kept)) return {};
    if (auto cut = storage().truncate(at_); !cut) return failed("cut", cut.error());
    return {};
  }

  Wal* wal_;
  std::string* why_;
  Recovered recovered_;
  std::uint64_t at_ = 0;
  std::uint64_t end_ = 0;
  Op batch_ = 0;
  std::uint64_t batch_at_ = 0;  // where the last batch begins; where there is none, the head does
  std::vector<std::byte> window_;
  std::uint64_t window_at_ = 0;
};

Result<Recovered> Wal::recover(Random& random, const std::function<void(const std::byte*)>& found,
                               std::string& why) {
  return WalRecovery(*this, why).run(random, found);
}

}  // namespace twinwire::log
