// SPDX-License-Identifier: Apache-2.0
// RingBuffer: a FIFO of small plain values in one flat array. The first few cost no allocation.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>

namespace twinwire::sim {

template <class T, std::size_t inline_capacity = 4>
class RingBuffer {
  static_assert(std::is_trivially_copyable_v<T>, "values are moved by copying their bytes");
  static_assert((inline_capacity & (inline_capacity - 1)) == 0, "a power of two");

 public:
  RingBuffer() noexcept {}  // NOLINT: `near_` stays uninitialised
  RingBuffer(const RingBuffer&) = delete;
  RingBuffer& operator=(const RingBuffer&) = delete;

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) noexcept { return items_[(first_ + i) & (capacity_ - 1)]; }
  T& front() noexcept { return items_[first_]; }
  T& back() noexcept { return (*this)[size_ - 1]; }

  void push_back(const T& value) {
    if (size_ == capacity_) [[unlikely]]
      grow();
    items_[(first_ + size_) & (capacity_ - 1)] = value;
    ++size_;
  }
  void pop_front() noexcept {
    first_ = (first_ + 1) & (capacity_ - 1);
    --size_;
  }
  void pop_back() noexcept { --size_; }
  // Before the i-th; linear.
  void insert(std::size_t i, const T& value) {
    push_back(value);
    for (std::size_t at = size_ - 1; at > i; --at) (*this)[at] = (*this)[at - 1];
    (*this)[i] = value;
  }
  void clear() noexcept { first_ = size_ = 0; }

 private:
  void grow() {
    auto larger = std::make_unique_for_overwrite<T[]>(capacity_ * 2);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = (*this)[i];
    far_ = std::move(larger);
    items_ = far_.get();
    capacity_ *= 2;
    first_ = 0;
  }

  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::size_t capacity_ = inline_capacity;
  T* items_ = near_;
  std::unique_ptr<T[]> far_;
  T near_[inline_capacity];
};

}  // namespace twinwire::sim
