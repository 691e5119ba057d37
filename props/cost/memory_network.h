// SPDX-License-Identifier: Apache-2.0
// A stream that is memory: it takes whatever is written, and yields the same frames for ever, without a copy and
// without an allocation. What is left is the transport's own cost. With the scheduler and the pools that it needs.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "transport/fiber/scheduler.h"
#include "transport/net/network.h"
#include "transport/wire/message.h"

namespace twinwire::cost {

class MemoryStream final : public ByteStream, private BlockOwner {
 public:
  // Reads yield `read_size` bytes each of frames of `frame_size` bytes: whole frames where the one divides the other;
  // otherwise the last frame of a read lies across two, as it does in a receive buffer.
  MemoryStream(std::size_t frame_size, std::size_t read_size)
      : frame_size_(frame_size), read_size_(read_size), bytes_(read_size + 2 * frame_size) {
    for (std::size_t at = 0; at + frame_size <= bytes_.size(); at += frame_size) {
      store(bytes_.data() + at + offset::size, static_cast<std::uint32_t>(frame_size));
      store(bytes_.data() + at + offset::command, static_cast<std::uint8_t>(Command::request));
    }
    for (Block& block : blocks_) {
      block = {.owner = this,
               .data = bytes_.data(),
               .capacity = bytes_.size(),
               .references = 0,
               .tag = 0};
      reclaim(&block);
    }
  }

  Result<std::size_t> write(std::span<const iovec> pieces, Deadline) override {
    std::size_t total = 0;
    for (const iovec& piece : pieces) total += piece.iov_len;
    written_ += total;
    return total;
  }
  Result<Slice> read(Deadline) override {
    Block* block = free_;
    if (block == nullptr) return Errc::no_resources;
    free_ = block->next;
    block->references = 1;
    ++reads_;
    Slice slice(block, bytes_.data() + offset_, read_size_);
    offset_ = (offset_ + read_size_) % frame_size_;
    return slice;
  }
  Result<std::size_t> read_into(std::span<std::byte> into, Deadline) override {
    const std::size_t n = std::min(into.size(), read_size_);
    std::memcpy(into.data(), bytes_.data() + offset_, n);
    offset_ = (offset_ + n) % frame_size_;
    return n;
  }
  Result<void> shutdown_write(Deadline) override { return {}; }
  void abort() noexcept override {}
  Address local() const noexcept override { return {}; }
  Address peer() const noexcept override { return {}; }

  std::uint64_t written() const noexcept { return written_; }
  std::uint64_t reads() const noexcept { return reads_; }

 private:
  void reclaim(Block* block) noexcept override {
    block->next = free_;
    free_ = block;
  }
  bool share(Block*) noexcept override { return true; }

  std::size_t frame_size_;
  std::size_t read_size_;
  std::vector<std::byte> bytes_;
  std::array<Block, 4> blocks_;
  Block* free_ = nullptr;
  std::size_t offset_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t reads_ = 0;
};

// Nothing is outside: its clock stands, and whoever waits, waits for ever.
class MemoryNetwork final : public Network, private Host, private Clock, private Random {
 public:
  MemoryNetwork() : scheduler_(*this, stacks_, {}), background_(scheduler_, 1) {}

  // Runs `body()` in a fiber, to its end.
  template <class F>
  void run(F&& body) {
    Scope root(scheduler_);
    root.spawn("main", std::forward<F>(body));
    (void)scheduler_.run();
    root.rethrow_failure();
  }

  Result<std::unique_ptr<Acceptor>> listen(const Address&, const ListenOptions&) override {
    return Errc::unsupported;
  }
  Result<std::unique_ptr<ByteStream>> dial(const Address&, const StreamOptions&,
                                           Deadline) override {
    return Errc::unsupported;
  }
  Result<std::unique_ptr<DatagramSocket>> bind(const Address&, const DatagramOptions&) override {
    return Errc::unsupported;
  }
  Scope& background() noexcept override { return background_; }
  Scheduler& scheduler() noexcept override { return scheduler_; }
  Clock& clock() noexcept override { return *this; }
  Random& random() noexcept override { return *this; }
  BufferPool& buffers() noexcept override { return buffers_; }

 private:
  TimePoint now() noexcept override { return {}; }  // the host's and the clock's
  bool turn(TimePoint, bool idle) override { return !idle; }
  std::int64_t unix_now_ns() noexcept override { return 0; }
  void fill(std::span<std::byte> out) noexcept override { std::ranges::fill(out, std::byte{}); }
  std::uint64_t next() noexcept override { return 0; }

  StackPool stacks_;
  BufferPool buffers_;
  Scheduler scheduler_;
  Scope background_;
};

}  // namespace twinwire::cost
