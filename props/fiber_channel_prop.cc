// SPDX-License-Identifier: Apache-2.0
// Channel against a reference queue: random senders and receivers, in a random order of running, with deadlines,
// cancels and a close. What is received is what was sent, in the order in which it was accepted; and nobody waits for
// what is there.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <deque>
#include <ostream>
#include <string>
#include <vector>

#include "transport/fiber/channel.h"
#include "transport/fiber/scope.h"

namespace twinwire {
namespace {

// Wakes in an order that the seed decides.
class SeededHost final : public Host {
 public:
  explicit SeededHost(std::uint64_t seed) : seed_(seed) {}
  TimePoint now() noexcept override { return time_; }
  bool turn(TimePoint until, bool idle) override {
    if (!idle) return true;
    if (until == TimePoint::never()) return false;
    time_ = until;
    return true;
  }
  std::uint64_t wake_priority(EntityId fiber, std::uint64_t nth_wake) noexcept override {
    return mix(mix(seed_, fiber), nth_wake) % 4;  // few values: ties happen
  }

 private:
  std::uint64_t seed_;
  TimePoint time_;
};

struct Worker {
  bool sends;
  int operations;
  int patience;   // of each operation, in ticks; 0: for ever
  int cancel_at;  // 0: never
};

struct Plan {
  std::uint64_t seed;
  std::size_t capacity;
  int close_at;  // after it, only what is queued is received
  std::vector<Worker> workers;
};

rc::Gen<Plan> plans() {
  return rc::gen::exec([] {
    Plan plan;
    plan.seed = *rc::gen::arbitrary<std::uint64_t>();
    plan.capacity = *rc::gen::inRange<std::size_t>(1, 5);
    plan.close_at = *rc::gen::inRange(1, 400);
    plan.workers = *rc::gen::container<std::vector<Worker>>(rc::gen::exec([] {
      Worker worker;
      worker.sends = *rc::gen::arbitrary<bool>();
      worker.operations = *rc::gen::inRange(0, 20);
      worker.patience = *rc::gen::weightedElement<int>({{3, 0}, {1, 1}, {1, 7}});
      worker.cancel_at =
          *rc::gen::weightedOneOf<int>({{3, rc::gen::just(0)}, {1, rc::gen::inRange(1, 200)}});
      return worker;
    }));
    return plan;
  });
}

std::ostream& operator<<(std::ostream& out, const Plan& plan) {
  out << "seed " << plan.seed << " capacity " << plan.capacity << " close at " << plan.close_at;
  for (const Worker& w : plan.workers)
    out << (w.sends ? "\n  sends " : "\n  receives ") << w.operations << " patience " << w.patience
        << " canceled at " << w.cancel_at;
  return out;
}

struct Run {
  std::deque<int> reference;  // accepted and not received
  int accepted = 0;
  int received = 0;
  std::string fault;
  void require(bool condition, const char* what) {
    if (!condition && fault.empty()) fault = what;
  }
};

void work(Scheduler& scheduler, Channel<int>& channel, const Plan& plan, const Worker& worker,
          int id, Run& run) {
  for (int i = 0; i < worker.operations; ++i) {
    const Deadline deadline = worker.patience == 0
                                  ? Deadline::never()
                                  : Deadline{scheduler.now() + Duration(worker.patience)};
    if (worker.sends) {
      int value = id * 1000 + i;
      const auto sent = channel.send(value, deadline);
      if (sent) {
        run.reference.push_back(value);
        ++run.accepted;
      } else {
        run.require(sent.error() != Errc::backpressure, "send() says backpressure");
        run.require(sent.error() != Errc::shutting_down || channel.closed(),
                    "refused before close()");
        run.require(channel.closed() || channel.size() == plan.capacity,
                    "gave up while there was room");
      }
    } else {
      const auto value = channel.receive(deadline);
      if (value) {
        run.require(!run.reference.empty() && run.reference.front() == *value,
                    "not the oldest value");
        if (!run.reference.empty()) run.reference.pop_front();
        ++run.received;
      } else {
        run.require(channel.size() == 0, "gave up while there was a value");
        run.require(value.error() != Errc::closed || channel.closed(), "closed too early");
      }
    }
    run.require(channel.size() <= plan.capacity, "more than the capacity");
    run.require(channel.size() == run.reference.size(), "size() is not what is queued");
    if ((plan.seed >> (i % 60) & 1) != 0) scheduler.yield();
    if (scheduler.cancel_pending()) return;
  }
}

StackPool& shared_stacks() {
  static StackPool stacks;
  return stacks;
}

RC_GTEST_PROP(channel_prop, behaves_as_a_queue_whatever_the_schedule, ()) {
  const Plan plan = *plans();
  SeededHost host(plan.seed);
  Scheduler scheduler(host, shared_stacks(), {.orders_wakes = true});
  Channel<int> channel(scheduler, plan.capacity);
  Run run;
  {
    Scope root(scheduler);
    int id = 0;
    for (const Worker& worker : plan.workers) {
      const FiberHandle handle =
          root.spawn("worker", [&, id] { work(scheduler, channel, plan, worker, id, run); });
      if (worker.cancel_at != 0)
        root.spawn("canceler", [&, handle, at = worker.cancel_at] {
          (void)scheduler.sleep_until({at});
          scheduler.cancel(handle);
        });
      ++id;
    }
    root.spawn("closer", [&] {
      (void)scheduler.sleep_until({plan.close_at});
      channel.close();
    });
    const auto outcome = scheduler.run();
    if (outcome != Scheduler::Outcome::finished) {  // unwind before the scope ends
      scheduler.cancel_all();
      (void)scheduler.run();
    }
    RC_ASSERT(outcome == Scheduler::Outcome::finished);  // a lost wake: somebody waits for ever
  }
  RC_ASSERT(run.fault == "");
  RC_ASSERT(run.accepted == run.received + static_cast<int>(run.reference.size()));
}

// With as many values sent as are wanted, nobody has to be closed out: a lost wake would leave a fiber waiting.
RC_GTEST_PROP(channel_prop, loses_no_wake_when_the_numbers_match, ()) {
  const auto seed = *rc::gen::arbitrary<std::uint64_t>();
  const auto capacity = *rc::gen::inRange<std::size_t>(1, 4);
  const auto senders =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12)));
  const auto receiver_count = *rc::gen::inRange<std::size_t>(1, 6);
  int total = 0;
  for (const int n : senders) total += n;
  SeededHost host(seed);
  Scheduler scheduler(host, shared_stacks(), {.orders_wakes = true});
  Channel<int> channel(scheduler, capacity);
  int received = 0;
  {
    Scope root(scheduler);
    for (const int n : senders)
      root.spawn("sender", [&, n] {
        for (int i = 0; i < n; ++i) (void)channel.send(i, Deadline::never());
      });
    for (std::size_t r = 0; r < receiver_count; ++r) {
      const int share = total / static_cast<int>(receiver_count) +
                        (r < static_cast<std::size_t>(total) % receiver_count ? 1 : 0);
      root.spawn("receiver", [&, share] {
        for (int i = 0; i < share; ++i)
          if (channel.receive(Deadline::never())) ++received;
      });
    }
    const auto outcome = scheduler.run();
    if (outcome != Scheduler::Outcome::finished) {
      scheduler.cancel_all();
      (void)scheduler.run();
    }
    RC_ASSERT(outcome == Scheduler::Outcome::finished);
  }
  RC_ASSERT(received == total);
}

}  // namespace
}  // namespace twinwire
