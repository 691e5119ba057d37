// SPDX-License-Identifier: Apache-2.0
// Shard: one thread with a ring, a network and a scheduler of its own, and what it says to the others.
//
// Nothing of a shard may be touched by another: no fiber, stream, message, pool. What crosses: functions (post), and
// in them what is safe to move between threads, such as a HandedOver; and messages, by post_message. docs/shards.md.
#pragma once

#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "real/ring.h"
#include "real/ring_messages.h"
#include "real/ring_network.h"
#include "real/shard_lane.h"
#include "transport/fiber/scope.h"
#include "transport/wire/message.h"

namespace twinwire::real {

struct ShardGroup;

struct ShardCounters {
  std::uint64_t posted = 0;     // functions and messages that others took, or will take
  std::uint64_t refused = 0;    // backpressure
  std::uint64_t delivered = 0;  // functions of others that ran here
  std::uint64_t dropped = 0;    // that came after the body had returned, and did not run
  std::uint64_t lent = 0;
  std::uint64_t returned = 0;     // of those, home again
  std::uint64_t wakes_sent = 0;   // by MSG_RING
  std::uint64_t wakes_taken = 0;  // by MSG_RING
  std::uint64_t bells_rung =
      0;  // by eventfd: where MSG_RING is not to be had or failed, and to stop
};

class Shard final : private BlockOwner, private RingMessageHandler {
 public:
  // For Shards (shards.h).
  Shard(ShardGroup& group, std::uint32_t index, Ring& ring, DescriptorRef bell);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard();
  void run();

  std::uint32_t index() const noexcept { return index_; }
  std::uint32_t count() const noexcept { return static_cast<std::uint32_t>(out_.size()); }
  Ring& ring() noexcept { return *ring_; }
  RingNetwork& network() noexcept { return network_; }
  Scheduler& scheduler() noexcept { return ring_->scheduler(); }
  const ShardCounters& counters() const noexcept { return counters_; }

  // For the fibers of what arrives from other shards: joined after the body has returned, canceled where it failed or
  // everything was stopped. Until the body returns.
  Scope& scope() noexcept {
    TWINWIRE_CHECK(scope_ != nullptr, "a shard's scope is there while its body runs");
    return *scope_;
  }

  // Tells every shard's body to stop: their fibers are canceled. As Shards::stop().
  void stop() noexcept;

  // Has shard `to` call `function(Shard& there)` on its thread. Never suspends, takes no lock, and makes no system
  // call: a sleeping shard is woken when this one enters the kernel next.
  //
  // Promise    Success: it is called once, in the order of this shard's posts to that one, if that one's body is still
  //            running then; otherwise it is destroyed there without being called. Failure: `function` is untouched.
  // Requires   `function` does not suspend (checked; for more it spawns into there.scope()); what it refers to lives
  //            until the body of `to` has returned. An exception that leaves it ends the run, like one of a body. Up
  //            to 24 bytes that are trivially copyable go without an allocation.
  // Errors     backpressure (ShardsOptions::mail_max are on their way to that shard) · shutting_down (this body, or
  //            that of `to`, has returned) · no_resources
  template <class F>
  Result<void> post(std::uint32_t to, F&& function) {
    using Function = std::decay_t<F>;
    if (auto refused = refuses(to)) return *refused;
    Mail mail;
    if constexpr (std::is_trivially_copyable_v<Function> &&
                  sizeof(Function) <= sizeof mail.storage && alignof(Function) <= 8) {
      ::new (mail.storage.data()) Function(function);
      mail.take = [](std::byte* storage, Shard& there, bool run) {
        if (run) (*std::launder(reinterpret_cast<Function*>(storage)))(there);
      };
    } else {
      auto* frame = new (std::nothrow) Function(std::forward<F>(function));
      if (frame == nullptr) return Errc::no_resources;
      ::new (mail.storage.data()) Function*(frame);
      mail.take = [](std::byte* storage, Shard& there, bool run) {
        const std::unique_ptr<Function> held(*std::launder(reinterpret_cast<Function**>(storage)));
        if (run) (*held)(there);
      };
    }
    push(to, mail);
    return {};
  }

  // Lends `message` to shard `to`, which calls `function(Shard& there, Message message)`. The bytes are not copied: the
  // message that arrives has counts of its own, and dropping the last sends it home, where its memory is freed. One
  // that `to` itself had lent, and to which nothing else here refers, is not lent back: that loan ends, and what
  // arrives is the message that was lent.
  //
  // Promise    As post(). Success: `message` is empty. Failure: untouched.
  // Requires   As post(), and `function` is trivially copyable, of at most 16 bytes. What arrived is dropped on that
  //            shard before its body has returned: checked; a violation aborts.
  // Errors     backpressure (also: ShardsOptions::loans_max are lent to that shard) · shutting_down · no_resources
  template <class F>
  Result<void> post_message(std::uint32_t to, Message& message, F function) {
    static_assert(std::is_trivially_copyable_v<F> && sizeof(F) <= 16 && alignof(F) <= 8);
    if (auto refused = refuses(to)) return *refused;
    struct Arrival {
      Loan* loan;
      F function;
    };
    Mail mail;
    if (Loan* const own = post_home(to, message); own != nullptr) {
      ::new (mail.storage.data()) Arrival{own, function};
      mail.take = [](std::byte* storage, Shard& there, bool run) {
        auto& arrival = *std::launder(reinterpret_cast<Arrival*>(storage));
        Message lent = there.take_back(*arrival.loan);
        if (run) arrival.function(there, std::move(lent));
      };
      push(to, mail);
      return {};
    }
    Loan* const loan = lend(to, message);
    if (loan == nullptr) return lend_error(to);
    ::new (mail.storage.data()) Arrival{loan, function};
    mail.take = [](std::byte* storage, Shard& there, bool run) {
      auto& arrival = *std::launder(reinterpret_cast<Arrival*>(storage));
      Message borrowed = there.borrow(*arrival.loan);
      if (run) arrival.function(there, std::move(borrowed));
    };
    push(to, mail);
    return {};
  }

 private:
  struct Outbound {
    ShardLane* lane;
    std::uint64_t told_at = UINT64_MAX;  // the count of enters when it was last told
    std::uint32_t loans = 0;             // that it holds
  };
  struct Inbound {
    ShardLane* lane;
    bool ready = true;  // may hold something
  };

  // --- Sending
  std::optional<Errc> refuses(std::uint32_t to) noexcept;
  void push(std::uint32_t to, const Mail& mail) noexcept;
  void tell(std::uint32_t to) noexcept;
  Loan* lend(std::uint32_t to, Message& message) noexcept;
  Errc lend_error(std::uint32_t to) const noexcept;
  Loan* post_home(std::uint32_t to, Message& message) noexcept;

  // --- Receiving
  void on_ring_message(std::uint32_t sender) noexcept override;
  void on_ring_message_failed(std::uint32_t target, int error) noexcept override;
  void note_told(std::uint32_t sender) noexcept;
  void wake_mail() noexcept;
  void deliver_mail();
  bool take_from(std::uint32_t sender);
  void take_everything();
  Message borrow(Loan& loan) noexcept;
  void take_home(std::uint32_t borrower, Loan& loan) noexcept;
  Message take_back(Loan& loan) noexcept;
  void reclaim(Block* block) noexcept override;

  // --- From the first fiber to the last
  void live();
  void wind_up();
  void hear_bell();
  template <class Condition>
  void wait_until(Condition&& condition, const char* waiting_for);

  ShardGroup* group_;
  std::uint32_t index_;
  Ring* ring_;
  RingNetwork network_;
  ShardCounters counters_;
  std::vector<Outbound> out_;
  std::vector<Inbound> in_;
  DescriptorRef bell_;
  bool sends_ring_messages_;
  Scope* scope_ = nullptr;
  FiberHandle body_;
  FiberHandle mail_fiber_;
  FiberHandle bell_fiber_;
  Fiber* mail_ = nullptr;   // while it waits for some
  bool accepting_ = true;   // the body has not returned
  bool ended_ = false;      // the last phase is over
  std::uint32_t lent_ = 0;  // messages out on other shards
  std::uint32_t borrowed_ = 0;
  Block* free_loans_ = nullptr;  // linked by Block::next
  WaitQueue phase_;
};

}  // namespace twinwire::real
