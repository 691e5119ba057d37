// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic_assembly.h"

#include <algorithm>
#include <cstring>

#include "transport/wire/header.h"

namespace twinwire {

void QuicAssembly::release() noexcept {
  if (block_ != nullptr) Slice(std::exchange(block_, nullptr), nullptr, 0).release();
}

Message QuicAssembly::take() noexcept {
  const std::byte* data = block_->data;
  return Message(Slice(std::exchange(block_, nullptr), data, size_));
}

bool QuicAssembly::reserve(BufferPool& pool, std::size_t bytes, std::size_t welcome) noexcept {
  if (bytes <= capacity()) return true;
  std::size_t wanted = std::max(bytes, std::min(2 * filled_, size_));
  if (size_ != 0 && size_ <= welcome) wanted = std::max(bytes, size_);
  Block* block = pool.allocate(wanted);
  if (block == nullptr) return false;
  if (filled_ != 0) std::memcpy(block->data, block_->data, filled_);
  release();
  block_ = block;
  return true;
}

std::size_t QuicAssembly::wants(std::span<const std::byte> bytes) const noexcept {
  std::size_t size = size_;
  if (filled_ == 0 && bytes.size() >= header_size)
    size = std::max<std::size_t>(HeaderView(bytes.data()).size(), header_size);
  return std::min(bytes.size(), (size != 0 ? size : header_size) - filled_);
}

bool QuicAssembly::append(BufferPool& pool, std::span<const std::byte> bytes,
                          std::size_t welcome) noexcept {
  const auto learn = [this](const std::byte* at) {
    const HeaderView header(at);
    size_ = header.size();
    bad_ = size_ < header_size ||
           header.command_byte() > static_cast<std::uint8_t>(Command::start_view);
  };
  while (!bytes.empty() && !bad_) {
    if (filled_ == 0 && bytes.size() >= header_size) learn(bytes.data());  // one allocation
    if (bad_) break;
    const std::size_t n = wants(bytes);
    if (n == 0) {
      bad_ = true;
      break;
    }
    if (!reserve(pool, filled_ + n, welcome)) return false;
    std::memcpy(block_->data + filled_, bytes.data(), n);
    filled_ += n;
    bytes = bytes.subspan(n);
    if (size_ == 0 && filled_ == header_size) learn(block_->data);
  }
  return true;
}

bool QuicAssembly::pretend_whole(BufferPool& pool) noexcept {
  if (!reserve(pool, size_, size_)) return false;
  filled_ = size_;
  return true;
}

}  // namespace twinwire
