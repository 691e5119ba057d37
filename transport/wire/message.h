// SPDX-License-Identifier: Apache-2.0
// Message: one frame, immutable, reference-counted. MutableMessage: the form it is written in and frozen from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "transport/base/error.h"
#include "transport/wire/buffer_pool.h"
#include "transport/wire/header.h"

namespace twinwire {

// One whole frame: a 256-byte header and its body, contiguous. Copying adds a reference, never copies bytes.
// Stays on the thread of the pool (or network) that it came from, and must be gone before that is destroyed.
class Message {
 public:
  Message() noexcept = default;
  // `frame` holds exactly one frame whose header was checked (FrameDecoder does that).
  explicit Message(Slice frame) noexcept : frame_(std::move(frame)) {}

  bool empty() const noexcept { return frame_.empty(); }
  std::size_t size() const noexcept { return frame_.size(); }
  HeaderView header() const noexcept { return HeaderView(frame_.data()); }
  std::span<const std::byte> bytes() const noexcept { return frame_.bytes(); }
  std::span<const std::byte> body() const noexcept { return frame_.bytes().subspan(header_size); }
  const Slice& slice() const noexcept { return frame_; }

 private:
  Slice frame_;
};

// A frame being written. Owned by one holder; freeze() makes it immutable and shareable without a copy.
class MutableMessage {
 public:
  // A frame with a zeroed header whose size and command are set, and a body of `body_size` bytes, not zeroed:
  // what is not written before it is sent shows the peer whatever lay there.
  // Errors     no_resources (the pool is exhausted) · too_large (header and body do not fit in 32 bits)
  static Result<MutableMessage> create(BufferPool& pool, Command command, std::size_t body_size);

  MutableMessage(MutableMessage&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MutableMessage& operator=(MutableMessage&& other) noexcept {
    std::swap(block_, other.block_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~MutableMessage() {
    if (block_ != nullptr) Slice(block_, nullptr, 0).release();
  }

  std::size_t size() const noexcept { return size_; }
  std::span<std::byte> bytes() noexcept { return {block_->data, size_}; }
  std::span<std::byte> body() noexcept { return bytes().subspan(header_size); }

  void set_checksum(U128 value) noexcept { store(block_->data + offset::checksum, value); }
  void set_checksum_body(U128 value) noexcept {
    store(block_->data + offset::checksum_body, value);
  }
  void set_cluster(U128 value) noexcept { store(block_->data + offset::cluster, value); }
  void set_view(std::uint32_t value) noexcept { store(block_->data + offset::view, value); }
  void set_release(std::uint32_t value) noexcept { store(block_->data + offset::release, value); }
  void set_replica(std::uint8_t value) noexcept { store(block_->data + offset::replica, value); }
  // A request's or reply's id, at the place that its command gives it. Others have none: a violation aborts.
  void set_request_id(std::uint64_t value) noexcept;

  // The same bytes, immutable from now on.
  Message freeze() && noexcept {
    const std::byte* data = block_->data;
    return Message(Slice(std::exchange(block_, nullptr), data, std::exchange(size_, 0)));
  }

 private:
  friend class FrameDecoder;
  MutableMessage(Block* block, std::size_t size) noexcept : block_(block), size_(size) {}

  Block* block_;
  std::size_t size_;
};

// The id of a request or reply; 0 for every other command.
std::uint64_t request_id(const Message& message) noexcept;

}  // namespace twinwire
