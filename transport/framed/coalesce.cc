// SPDX-License-Identifier: Apache-2.0
#include "transport/framed/coalesce.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "transport/base/plant.h"
#include "transport/net/write_all.h"

namespace twinwire {
namespace {

constexpr std::size_t page = 4096;

bool is_small(const Message& message, std::size_t below) noexcept {
  if (PLANT(coalesce_copies_large)) below *= 4;
  return message.size() < below && message.size() <= coalesced_bytes_max;
}

// Where small messages are put side by side. It begins on a page: a copy whose destination lies a few bytes past its
// source, modulo a page, is many times slower on some processors, and a fixed beginning makes that no matter of chance.
class CopySpace {
 public:
  CopySpace(BufferPool& pool, std::size_t bytes) noexcept
      : capacity_(std::min(bytes, coalesced_bytes_max)) {
    if (capacity_ == 0) return;
    block_ = pool.allocate(capacity_ + page - 1);
    if (block_ == nullptr) return;
    const auto at = reinterpret_cast<std::uintptr_t>(block_->data);
    begin_ = block_->data + ((at + page - 1) / page * page - at);
  }
  CopySpace(const CopySpace&) = delete;
  CopySpace& operator=(const CopySpace&) = delete;
  ~CopySpace() {
    if (block_ != nullptr) Slice(block_, nullptr, 0).release();
  }

  explicit operator bool() const noexcept { return block_ != nullptr; }
  bool has_room(std::size_t size) const noexcept { return size <= capacity_ - used_; }
  std::byte* end() noexcept { return begin_ + used_; }
  void put(const Message& message) noexcept {
    std::memcpy(end(), message.bytes().data(), message.size());
    used_ += message.size();
  }
  void clear() noexcept { used_ = 0; }

 private:
  std::size_t capacity_;
  std::size_t used_ = 0;
  std::byte* begin_ = nullptr;
  Block* block_ = nullptr;
};

class Coalescer {
 public:
  Coalescer(ByteStream& stream, BufferPool& pool, std::size_t bytes, Deadline deadline) noexcept
      : stream_(stream), deadline_(deadline), space_(pool, bytes) {}

  bool copies() const noexcept { return static_cast<bool>(space_); }

  Result<void> copy(const Message& message) {
    if (!space_.has_room(message.size())) {
      if (auto written = flush(); !written) return written;
      space_.clear();
      if (PLANT(coalesce_drops_when_full)) return {};
    }
    if (count_ != 0 && end_of(pieces_[count_ - 1]) == space_.end())
      pieces_[count_ - 1].iov_len += message.size();
    else
      pieces_[count_++] = {space_.end(), message.size()};
    space_.put(message);
    return {};
  }
  void leave(const Message& message) noexcept {
    pieces_[count_++] = {const_cast<std::byte*>(message.bytes().data()), message.size()};
    if (PLANT(coalesce_swaps_pieces) && count_ > 1)
      std::swap(pieces_[count_ - 1], pieces_[count_ - 2]);
  }
  // All that was gathered; the space may be used anew then.
  Result<void> flush() {
    auto pieces = std::span(pieces_).first(std::exchange(count_, 0));
    if (!PLANT(coalesce_reuses_space)) return write_all(stream_, pieces, deadline_);
    // What a short write leaves lies there while the next messages are put in.
    const auto written = stream_.write(pieces, deadline_);
    if (!written) return written.error();
    const auto rest = advance(pieces, *written);
    std::copy(rest.begin(), rest.end(), pieces_.begin());
    count_ = rest.size();
    return {};
  }
  Result<void> finish() { return write_all(stream_, std::span(pieces_).first(count_), deadline_); }

 private:
  static const std::byte* end_of(const iovec& piece) noexcept {
    return static_cast<const std::byte*>(piece.iov_base) + piece.iov_len;
  }

  ByteStream& stream_;
  Deadline deadline_;
  CopySpace space_;
  std::size_t count_ = 0;
  std::array<iovec, batch_messages_max> pieces_;
};

}  // namespace

Result<void> write_coalesced(ByteStream& stream, BufferPool& pool, const Batch& batch,
                             std::size_t below, Deadline deadline) {
  const std::span<const Message> messages = batch.messages();
  // A small message without a small neighbour is a piece either way.
  const auto is_copied = [&](std::size_t i) {
    return is_small(messages[i], below) &&
           ((i > 0 && is_small(messages[i - 1], below)) ||
            (i + 1 < messages.size() && is_small(messages[i + 1], below)));
  };
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < messages.size(); ++i)
    if (is_copied(i)) bytes += messages[i].size();

  Coalescer out(stream, pool, bytes, deadline);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (PLANT(coalesce_drops_boundary) && messages[i].size() == below) continue;
    if (!out.copies() || !is_copied(i)) {
      out.leave(messages[i]);
      continue;
    }
    if (auto copied = out.copy(messages[i]); !copied) return copied;
  }
  return out.finish();
}

}  // namespace twinwire
