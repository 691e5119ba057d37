// SPDX-License-Identifier: Apache-2.0
// ShardGroup: what the shards of one run share: lanes, flags and bells. All else belongs to one thread.
#pragma once

#include <atomic>
#include <exception>
#include <latch>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "real/shards.h"

namespace twinwire::real {

// What a shard is made of, and may fail to get.
enum class ShardPart : std::uint8_t { memory, processor, ring, bell, thread };

struct ShardGroup {
  struct alignas(64) Cell {
    std::atomic<bool> over{false};  // its body has returned
    int bell = -1;                  // eventfd(2)
    int ring = -1;                  // io_uring(7); known to all before the first body runs
    Error error{};                  // why it could not begin
    bool failed = false;
    ShardPart lacks = ShardPart::ring;  // where it failed
    ShardCounters counters;             // once it has ended
    Counters ring_counters;
  };

  ShardGroup(const ShardsOptions& options, std::function<void(Shard&)> body);
  ~ShardGroup();
  ShardGroup(const ShardGroup&) = delete;
  ShardGroup& operator=(const ShardGroup&) = delete;

  ShardLane& lane(std::uint32_t from, std::uint32_t to) noexcept {
    return *lanes[std::size_t{from} * options.count + to];
  }
  void ring_bell(std::uint32_t of) noexcept;
  void ring_all() noexcept;
  void stop() noexcept;
  void failed(std::exception_ptr why) noexcept;
  void run_shard(std::uint32_t index);

  ShardsOptions options;
  std::function<void(Shard&)> body;
  std::vector<std::unique_ptr<ShardLane>> lanes;
  std::vector<Cell> cells;
  std::vector<std::thread> threads;

  std::latch opened;     // each has its ring, or none
  std::latch may_begin;  // that was looked at
  bool begins = false;
  std::latch ended;  // nobody sends anything to another's ring any more

  std::atomic<bool> stopping{false};
  std::atomic<std::uint32_t> bodies;  // that have not returned
  std::atomic<std::uint32_t>
      unsettled;  // that hold what belongs to another, or miss what they lent

  std::mutex failure_mutex;
  std::exception_ptr failure;  // the first
};

}  // namespace twinwire::real
