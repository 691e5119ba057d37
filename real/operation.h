// SPDX-License-Identifier: Apache-2.0
// Operations: what the kernel has been asked to do and has not finished.
//
// An operation is a slot:  free -> submitted -> (more)* -> terminal -> free.  Its descriptor and the memory that it was
// lent stay reserved until its own terminal completion, whatever its fiber was told meanwhile (a canceled operation
// still uses its buffers until the kernel says that it does not). A completion names its slot by index and generation,
// so that one which comes late can never be taken for another's.
//
// Two kinds: a fiber waits for perform(), which completes once (a zero-copy send twice: its result, and later that its
// memory is free); a CompletionHandler is told of each completion of what start() began (multishot accept and receive).
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "real/counters.h"
#include "real/kernel_ring.h"
#include "transport/fiber/scheduler.h"

namespace twinwire::real {

class Descriptor;

// Refers to an operation that may have ended.
struct OperationId {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: none
};

// How an operation ended.
struct Completion {
  std::int32_t result = 0;  // the kernel's: >= 0, or a negative errno
  std::uint32_t flags = 0;  // IORING_CQE_F_*
  Wake end =
      Wake::ready;  // or why this side asked for the end; the operation may have succeeded before
};

// Who is told of the completions of an operation that no fiber waits for.
class CompletionHandler {
 public:
  // `last`: the kernel has let go of the operation; whoever wants more starts another. Decided by the absence of
  // IORING_CQE_F_MORE alone: a good result can be the last, too. Must not suspend.
  virtual void on_completion(std::int32_t result, std::uint32_t flags, bool last) noexcept = 0;

 protected:
  ~CompletionHandler() = default;
};

// The failure of `completion`: timed_out or canceled where this side ended it, the kernel's errno otherwise.
Error error_of(const Completion& completion) noexcept;

class Operations {
 public:
  Operations(KernelRing& kernel, Scheduler& scheduler, Counters& counters,
             std::uint32_t operations_max) noexcept
      : kernel_(&kernel),
        scheduler_(&scheduler),
        counters_(&counters),
        slots_max_(operations_max) {}
  Operations(const Operations&) = delete;
  Operations& operator=(const Operations&) = delete;

  // Has the kernel do `request`, and suspends the current fiber until that is over.
  //
  // Promise    The kernel has let go of everything that `request` points to. If the deadline passed or the fiber was
  //            canceled first, the operation was told to stop and its terminal completion awaited; where it succeeded
  //            before that, the success is what is returned. Interrupted operations are repeated.
  // Requires   `target` holds the descriptor in `request`. `id` is valid until perform() returns: cancel() takes it.
  Completion perform(io_uring_sqe& request, Descriptor& target, OperationId& id, Deadline deadline,
                     const char* waiting_for);

  // Has the kernel do `request`, which completes many times. Never suspends. `id.generation` 0: too many operations.
  // Requires   `target` holds the descriptor in `request`. `handler` lives until its last completion or until
  //            hand_over(); what `request` points to, until the last completion.
  OperationId start(io_uring_sqe& request, Descriptor& target, CompletionHandler& handler) noexcept;
  // From now on `handler` is told. Does nothing if the operation has ended.
  void hand_over(OperationId id, CompletionHandler& handler) noexcept {
    if (is_submitted(id)) slots_[id.index].handler = &handler;
  }

  // Asks for the end of an operation, which then completes with -ECANCELED unless it succeeds first. Never suspends;
  // does nothing if it has ended. A full submission queue delays it and never loses it.
  void cancel(OperationId id) noexcept;

  // Moves what met a full submission queue into it. False: some of it is still waiting.
  bool submit_queued() noexcept;
  // Takes what the kernel has completed: makes its fiber ready, or tells its handler.
  void complete(std::uint64_t user_data, std::int32_t result, std::uint32_t flags) noexcept;

  // complete() will soon be called with `user_data`, or not at all.
  void prefetch(std::uint64_t user_data) const noexcept {
    const auto index = static_cast<std::uint32_t>(user_data);
    if (index >= slots_.size()) return;
    const Slot& slot = slots_[index];
    if (slot.fiber != nullptr) __builtin_prefetch(slot.fiber);
    if (slot.handler != nullptr) __builtin_prefetch(slot.handler);
    __builtin_prefetch(slot.target);
  }

  std::size_t in_flight() const noexcept { return in_flight_; }
  bool any_queued() const noexcept { return !queue_.empty(); }  // it is cleared with its last
  Kernel& kernel() const noexcept { return kernel_->kernel(); }

 private:
  enum class State : std::uint8_t { free, submitted, terminal };
  struct alignas(64) Slot {  // a line of the cache
    State state = State::free;
    bool cancel_sent = false;
    bool has_result =
        false;  // of a zero-copy send: `completion` is its result, its memory is not free yet
    std::uint32_t generation = 1;
    std::uint32_t next_free = 0;
    Fiber* fiber = nullptr;                // who waits, or
    CompletionHandler* handler = nullptr;  // who is told
    Descriptor* target = nullptr;
    Completion completion;
  };
  // What waits for room in the submission queue.
  struct Queued {
    OperationId id;
    bool cancel;
    io_uring_sqe request;
  };
  static constexpr std::uint32_t none = UINT32_MAX;

  bool is_submitted(OperationId id) const noexcept {
    return id.index < slots_.size() && slots_[id.index].generation == id.generation &&
           slots_[id.index].state == State::submitted;
  }
  std::uint32_t acquire() noexcept {
    if (first_free_ == none && !grow()) [[unlikely]]
      return none;
    const std::uint32_t index = first_free_;
    first_free_ = slots_[index].next_free;
    return index;
  }
  bool grow() noexcept;
  void release(std::uint32_t index) noexcept;
  OperationId begin(io_uring_sqe& request, Descriptor& target) noexcept;
  // First come, first served: a cancel must not overtake its operation.
  void submit(OperationId id, const io_uring_sqe& request, bool is_cancel) noexcept {
    if (any_queued() || !kernel_->push(request)) [[unlikely]]
      queue(id, request, is_cancel);
  }
  void queue(OperationId id, const io_uring_sqe& request, bool is_cancel) noexcept;
  void submit_cancel(OperationId id) noexcept;

  KernelRing* kernel_;
  Scheduler* scheduler_;
  Counters* counters_;
  std::uint32_t slots_max_;
  std::vector<Slot> slots_;
  std::uint32_t first_free_ = none;
  std::size_t in_flight_ = 0;
  std::vector<Queued>
      queue_;  // from queue_head_ on; capacity for two of each slot, so it never has to grow
  std::size_t queue_head_ = 0;
};

}  // namespace twinwire::real
