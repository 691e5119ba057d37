// SPDX-License-Identifier: Apache-2.0
// Disk: what a node's programs leave to those that come after them: an ordered list of records. What is appended may
// be lost until a sync has succeeded.
//
// A program gets a File. After a crash that File is dead, as the program is: its calls return `canceled`, without
// effect. It needs no World, so that a scenario has one on the Ring as well.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/error.h"
#include "transport/fiber/scheduler.h"

namespace twinwire::sim {

class Disk {
 public:
  // How long a sync takes.
  static constexpr Duration sync_time = std::chrono::microseconds(500);

  class File {
   public:
    explicit File(Disk& disk) noexcept : disk_(&disk), opened_(disk.opened_) {}

    // Errors     canceled
    Result<void> append(std::string_view record);
    // Success: whatever had been appended when it was called is there for good.
    // Suspends   For sync_time.
    // Errors     canceled
    Result<void> sync(Scheduler& scheduler);
    // Of all that were appended only the first `records` are left, for good.
    // Errors     canceled
    Result<void> truncate(std::size_t records);
    // All that were appended, oldest first, synced or not. For a program that is dead: as it was left.
    std::span<const std::string> records() const noexcept { return disk_->records_; }
    std::size_t synced() const noexcept { return disk_->synced_; }

   private:
    bool dead() const noexcept { return opened_ != disk_->opened_; }
    Disk* disk_;
    std::uint64_t opened_;
  };

  File file() noexcept { return File(*this); }
  std::span<const std::string> records() const noexcept { return records_; }
  std::size_t synced() const noexcept { return synced_; }
  std::size_t unsynced() const noexcept { return records_.size() - synced_; }

  // The node is down: of the records that were not synced only the first `kept` are left. Every File is dead.
  void close(std::size_t kept);
  // A File that is made now is alive.
  void open_again() noexcept { ++opened_; }

 private:
  std::vector<std::string> records_;
  std::size_t synced_ = 0;
  std::uint64_t opened_ = 0;
};

}  // namespace twinwire::sim
