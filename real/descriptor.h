// SPDX-License-Identifier: Apache-2.0
// Descriptor: an open file with the operations on it. Counted: it outlives its owner while an operation is in flight.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "real/operation.h"
#include "transport/base/check.h"

namespace twinwire::real {

// One operation at a time in each: a second send on a stream would reorder bytes.
enum class Direction : std::uint8_t { in, out };

class alignas(64) Descriptor {  // a line of the cache
 public:
  // Adopts `fd`. The caller holds the one reference (DescriptorRef::adopt).
  Descriptor(Operations& operations, Counters& counters, int fd) noexcept
      : operations_(&operations), counters_(&counters), fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  // Operations::perform() on this descriptor.
  // Requires   `request` was prepared for fd(). No other operation in this direction: checked; a violation aborts. The
  //            caller holds a reference of its own until it returns.
  Completion perform(Direction direction, io_uring_sqe& request, Deadline deadline,
                     const char* waiting_for) {
    const auto d = static_cast<std::size_t>(direction);
    TWINWIRE_CHECK(!busy_[d], "two fibers use one direction of a socket at the same time");
    busy_[d] = true;
    const Completion completion =
        operations_->perform(request, *this, ids_[d], deadline, waiting_for);
    busy_[d] = false;
    return completion;
  }

  // Operations::start() on this descriptor: an operation of many completions, which keeps the direction to itself until
  // ended() is called, after the last of them. abort() ends it. False: too many operations, nothing was started.
  bool start(Direction direction, io_uring_sqe& request, CompletionHandler& handler) noexcept;
  void ended(Direction direction) noexcept { busy_[static_cast<std::size_t>(direction)] = false; }
  // Whether an operation is in flight in that direction.
  bool in_use(Direction direction) const noexcept {
    return busy_[static_cast<std::size_t>(direction)];
  }
  // Asks for the end of what is in flight in that direction.
  void stop(Direction direction) noexcept {
    operations_->cancel(ids_[static_cast<std::size_t>(direction)]);
  }
  // From now on `handler` is told of what start() began in that direction.
  void hand_over(Direction direction, CompletionHandler& handler) noexcept {
    operations_->hand_over(ids_[static_cast<std::size_t>(direction)], handler);
  }

  // Ends what is in flight and, after its last terminal completion, closes. A connected stream is reset by that: its
  // linger is set to zero, and it is not shut down before, since its peer would then read a clean end. Never suspends.
  void abort() noexcept;
  bool aborted() const noexcept { return aborted_; }

  int fd() const noexcept { return fd_; }
  // sendmsg(2), at once: how many bytes were taken, or a negative errno, which counts as of an operation.
  // Requires   no operation outwards is in flight
  ssize_t send_now(const msghdr& message) noexcept;
  // shutdown(2) of SHUT_WR; 0 or an errno.
  int shutdown_write() noexcept { return operations_->kernel().shutdown_write(fd_); }

  // The errno by which the connection failed, once any operation met it, in the order in which the kernel met it; 0
  // before. The kernel tells one operation only: a later receive reads a clean end of stream.
  int failure() const noexcept { return failure_; }

  // For Operations.
  void operation_started() noexcept {
    ++references_;
    ++in_flight_;
  }
  void operation_ended(std::int32_t result) noexcept {
    --in_flight_;
    if (result < 0) [[unlikely]]
      note_failure(result);
    if (aborted_ && in_flight_ == 0) [[unlikely]]
      close_with_reset();
    unreference();
  }

 private:
  friend class DescriptorRef;
  ~Descriptor();
  void unreference() noexcept {
    if (--references_ == 0) delete this;
  }
  void close_with_reset() noexcept;
  void note_failure(std::int32_t result) noexcept;

  Operations* operations_;
  Counters* counters_;
  int fd_;
  int failure_ = 0;
  std::uint32_t references_ = 1;
  std::uint16_t in_flight_ = 0;
  bool aborted_ = false;
  std::array<bool, 2> busy_{};
  std::array<OperationId, 2> ids_{};
};

// A counted reference. When the last is dropped the descriptor is closed (close(2): a stream's peer reads the end).
class DescriptorRef {
 public:
  DescriptorRef() noexcept = default;
  // Takes `fd` over in any case. Empty: no memory, and `fd` was closed.
  static DescriptorRef adopt(Operations& operations, Counters& counters, int fd) noexcept;
  DescriptorRef(const DescriptorRef& other) noexcept : target_(other.target_) {
    if (target_ != nullptr) ++target_->references_;
  }
  DescriptorRef(DescriptorRef&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
  DescriptorRef& operator=(DescriptorRef other) noexcept {
    std::swap(target_, other.target_);
    return *this;
  }
  ~DescriptorRef() {
    if (target_ != nullptr) target_->unreference();
  }

  explicit operator bool() const noexcept { return target_ != nullptr; }
  Descriptor* operator->() const noexcept { return target_; }

 private:
  Descriptor* target_ = nullptr;
};

}  // namespace twinwire::real
