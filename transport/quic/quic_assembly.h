// SPDX-License-Identifier: Apache-2.0
// QuicAssembly: the bytes of a stream on their way to becoming one frame. Sans-IO; private to transport/quic/.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "transport/wire/buffer_pool.h"
#include "transport/wire/message.h"

namespace twinwire {

class QuicAssembly {
 public:
  QuicAssembly() noexcept = default;
  QuicAssembly(QuicAssembly&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        filled_(other.filled_),
        size_(other.size_),
        bad_(other.bad_) {}
  QuicAssembly& operator=(QuicAssembly&&) = delete;
  ~QuicAssembly() { release(); }

  // Copies the next bytes. A frame of up to `welcome` bytes gets its whole block at once; the block of a larger one
  // grows with what has arrived: a header alone must not make us take memory. False: no memory.
  bool append(BufferPool& pool, std::span<const std::byte> bytes, std::size_t welcome) noexcept;
  // Counts bytes that nobody wants.
  void skip(std::size_t bytes) noexcept { filled_ += bytes; }
  // How many of these, which come next, belong to this frame; 0 once it is whole.
  std::size_t wants(std::span<const std::byte> bytes) const noexcept;
  // From now on it is no frame.
  void spoil() noexcept { bad_ = true; }

  std::size_t filled() const noexcept { return filled_; }
  std::size_t size() const noexcept { return size_; }  // of the frame, once its header is here
  bool bad() const noexcept { return bad_; }           // no frame, or bytes beyond it
  bool whole() const noexcept { return !bad_ && size_ != 0 && filled_ == size_; }
  std::size_t capacity() const noexcept { return block_ != nullptr ? block_->capacity : 0; }
  std::span<const std::byte> bytes() const noexcept { return {block_->data, filled_}; }

  // The frame, which must be whole.
  Message take() noexcept;
  void release() noexcept;
  // PLANT(quic_yield_stream_without_fin): as if the rest had come.
  bool pretend_whole(BufferPool& pool) noexcept;

 private:
  bool reserve(BufferPool& pool, std::size_t bytes, std::size_t welcome) noexcept;

  Block* block_ = nullptr;
  std::size_t filled_ = 0;
  std::size_t size_ = 0;
  bool bad_ = false;
};

}  // namespace twinwire
