// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/block_queue.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace twinwire {
namespace {

constexpr std::size_t block_max = 32 * 1024;
constexpr std::size_t block_min = 512;

}  // namespace

Block* BlockQueue::allocate(std::size_t room) noexcept {
  Block* block = pool_->allocate(std::clamp(room + sizeof(Node), block_min, block_max));
  if (block != nullptr) new (block->data) Node{nullptr, sizeof(Node), sizeof(Node)};
  return block;
}

void BlockQueue::push(Block* block) noexcept {
  (last_ != nullptr ? node(last_).next : first_) = block;
  last_ = block;
}

void BlockQueue::pop() noexcept {
  Block* block = first_;
  first_ = node(block).next;
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
        Block* rest = node(fresh).next;
        Slice(fresh, fresh->data, 0).release();
        fresh = rest;
      }
      return Errc::no_resources;
    }
    Node& header = node(block);
    const std::size_t n = std::min(bytes.size() - at, block->capacity - header.end);
    std::memcpy(block->data + header.end, bytes.data() + at, n);
    header.end += n;
    at += n;
    *next = block;
    next = &header.next;
  }
  if (in_tail != 0) {
    std::memcpy(last_->data + node(last_).end, bytes.data(), in_tail);
    node(last_).end += in_tail;
  }
  while (fresh != nullptr) {
    Block* rest = node(fresh).next;
    node(fresh).next = nullptr;
    push(fresh);
    fresh = rest;
  }
  size_ += bytes.size();
  return {};
}

std::span<std::byte> BlockQueue::space(std::size_t wanted) noexcept {
  // A block that was prepared and stayed empty goes where it is too small for what comes now.
  if (size_ == 0 && first_ != nullptr && tail_room() < std::min(wanted, block_max / 2)) clear();
  if (tail_room() == 0) {
    Block* block = allocate(wanted);
    if (block == nullptr) return {};
    push(block);
  }
  return {last_->data + node(last_).end, tail_room()};
}

void BlockQueue::commit(std::size_t n) noexcept {
  node(last_).end += n;
  size_ += n;
}

std::size_t BlockQueue::gather(std::span<iovec> pieces) const noexcept {
  std::size_t count = 0;
  for (Block* block = first_; block != nullptr && count < pieces.size(); block = node(block).next) {
    const Node& header = node(block);
    if (header.end != header.begin)
      pieces[count++] = {block->data + header.begin, header.end - header.begin};
  }
  return count;
}

void BlockQueue::drop_front(std::size_t n) noexcept {
  TWINWIRE_CHECK(n <= size_, "a queue cannot drop more than it has");
  size_ -= n;
  while (first_ != nullptr) {
    Node& header = node(first_);
    const std::size_t some = std::min(n, header.end - header.begin);
    header.begin += some;
    n -= some;
    if (header.begin != header.end) return;
    pop();
  }
}

Slice BlockQueue::take_front() noexcept {
  while (first_ != nullptr) {
    Block* block = first_;
    const Node header = node(block);
    if (header.begin == header.end) {
      pop();
      continue;
    }
    first_ = header.next;
    if (first_ == nullptr) last_ = nullptr;
    size_ -= header.end - header.begin;
    return {block, block->data + header.begin, header.end - header.begin};
  }
  return {};
}

void BlockQueue::clear() noexcept {
  while (first_ != nullptr) pop();
  size_ = 0;
}

}  // namespace twinwire
