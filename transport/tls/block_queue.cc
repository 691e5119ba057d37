// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/block_queue.h"

#include <algorithm>
#include <cstring>

namespace twinwire {
namespace {

constexpr std::size_t block_max = 32 * 1024;
constexpr std::size_t block_min = 512;

}  // namespace

Block* BlockQueue::allocate(std::size_t room) noexcept {
  Block* block = pool_->allocate(std::clamp(room, block_min, block_max));
  if (block == nullptr) return nullptr;
  block->next = nullptr;
  block->begin = block->end = 0;
  if (shared_) BufferPool::allow_sharing(*block);
  return block;
}

void BlockQueue::push(Block* block) noexcept {
  (last_ != nullptr ? last_->next : first_) = block;
  last_ = block;
}

void BlockQueue::pop() noexcept {
  Block* block = first_;
  first_ = block->next;
  if (first_ == nullptr) last_ = nullptr;
  Slice(block, block->data, 0).release();
}

Result<void> BlockQueue::append(std::span<const std::byte> bytes) noexcept {
  const std::size_t in_tail = std::min(tail_room(), bytes.size());
  Block* fresh = nullptr;  // a chain, complete before anything is changed
  Block** next = &fresh;
  for (std::size_t at = in_tail; at < bytes.size();) {
    Block* block = allocate(bytes.size() - at);
    if (block == nullptr) {
      while (fresh != nullptr) {
        Block* rest = fresh->next;
        Slice(fresh, fresh->data, 0).release();
        fresh = rest;
      }
      return Errc::no_resources;
    }
    const std::size_t n = std::min(bytes.size() - at, block->capacity);
    std::memcpy(block->data, bytes.data() + at, n);
    block->end = static_cast<std::uint32_t>(n);
    at += n;
    *next = block;
    next = &block->next;
  }
  if (in_tail != 0) {
    std::memcpy(last_->data + last_->end, bytes.data(), in_tail);
    last_->end += static_cast<std::uint32_t>(in_tail);
  }
  while (fresh != nullptr) {
    Block* rest = fresh->next;
    fresh->next = nullptr;
    push(fresh);
    fresh = rest;
  }
  size_ += bytes.size();
  return {};
}

std::span<std::byte> BlockQueue::space(std::size_t wanted) noexcept {
  wanted = std::clamp<std::size_t>(wanted, 1, block_max);
  // A block that was prepared and stayed empty goes where it is too small for what comes now.
  if (size_ == 0 && first_ != nullptr && tail_room() < wanted) clear();
  if (tail_room() < wanted) {
    Block* block = allocate(wanted);
    if (block == nullptr) return {};
    push(block);
  }
  return {last_->data + last_->end, tail_room()};
}

void BlockQueue::commit(std::size_t n) noexcept {
  last_->end += static_cast<std::uint32_t>(n);
  size_ += n;
}

std::size_t BlockQueue::gather(std::span<iovec> pieces) const noexcept {
  std::size_t count = 0;
  for (Block* block = first_; block != nullptr && count < pieces.size(); block = block->next)
    if (block->end != block->begin)
      pieces[count++] = {block->data + block->begin, block->end - block->begin};
  return count;
}

void BlockQueue::drop_front(std::size_t n) noexcept {
  TWINWIRE_CHECK(n <= size_, "a queue cannot drop more than it has");
  size_ -= n;
  while (first_ != nullptr) {
    const std::size_t some = std::min<std::size_t>(n, first_->end - first_->begin);
    first_->begin += static_cast<std::uint32_t>(some);
    n -= some;
    if (first_->begin != first_->end) return;
    pop();
  }
}

Slice BlockQueue::take_front() noexcept {
  while (first_ != nullptr) {
    Block* block = first_;
    if (block->begin == block->end) {
      pop();
      continue;
    }
    first_ = block->next;
    if (first_ == nullptr) last_ = nullptr;
    const std::size_t size = block->end - block->begin;
    size_ -= size;
    return {block, block->data + block->begin, size};
  }
  return {};
}

void BlockQueue::clear() noexcept {
  while (first_ != nullptr) pop();
  size_ = 0;
}

}  // namespace twinwire
