// SPDX-License-Identifier: Apache-2.0
// Timers. TimeHeap against a std::multimap; and deadlines of fibers, whose one timer is re-armed lazily, against
// arithmetic.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "transport/base/time_heap.h"
#include "transport/fiber/scope.h"

namespace twinwire {
namespace {

enum class Step { set, remove, pop };

RC_GTEST_PROP(time_heap_prop, yields_the_same_order_as_a_multimap, ()) {
  constexpr std::size_t nodes_max = 40;
  std::vector<TimedNode> nodes(nodes_max);
  TimeHeap heap;
  // Among equal keys a multimap keeps the order of insertion, which is what the heap promises.
  std::multimap<std::int64_t, TimedNode*> reference;
  const auto forget = [&](TimedNode* node) {
    for (auto it = reference.begin(); it != reference.end(); ++it)
      if (it->second == node) {
        reference.erase(it);
        return;
      }
  };
  const auto steps =
      *rc::gen::container<std::vector<std::tuple<Step, std::size_t, std::int64_t>>>(rc::gen::tuple(
          rc::gen::weightedElement<Step>({{5, Step::set}, {2, Step::remove}, {2, Step::pop}}),
          rc::gen::inRange<std::size_t>(0, nodes_max),
          rc::gen::weightedOneOf<std::int64_t>({{5, rc::gen::inRange<std::int64_t>(-3, 8)},
                                                {1, rc::gen::arbitrary<std::int64_t>()}})));
  for (const auto& [step, index, due] : steps) {
    TimedNode& node = nodes[index];
    switch (step) {
      case Step::set:
        forget(&node);
        heap.set(node, {due});
        reference.emplace(due, &node);
        break;
      case Step::remove:
        forget(&node);
        heap.remove(node);
        break;
      case Step::pop:
        if (heap.empty()) break;
        forget(heap.top());
        heap.remove(*heap.top());
        break;
    }
    RC_ASSERT(heap.size() == reference.size());
    RC_ASSERT(heap.empty() == reference.empty());
    if (reference.empty()) {
      RC_ASSERT(heap.earliest() == TimePoint::never());
    } else {
      RC_ASSERT(heap.top() == reference.begin()->second);
      RC_ASSERT(heap.earliest().ns == reference.begin()->first);
    }
    const auto queued =
        std::count_if(nodes.begin(), nodes.end(), [](const TimedNode& n) { return n.queued(); });
    RC_ASSERT(static_cast<std::size_t>(queued) == reference.size());
  }
  for (const auto& [due, node] : reference) {  // what is left, to the last
    RC_ASSERT(heap.top() == node);
    heap.remove(*node);
    heap.remove(*node);  // no effect
  }
  RC_ASSERT(heap.empty());
}

class TimersHost final : public Host {
 public:
  TimePoint now() noexcept override { return time; }
  bool turn(TimePoint until, bool idle) override {
    if (!idle) return true;
    if (until == TimePoint::never()) return false;
    went_back = went_back || until < time;
    time = std::max(time, until);
    return true;
  }
  TimePoint time;
  bool went_back = false;
};

// One fiber waits again and again, each time with a deadline or none; another wakes it at random instants.
RC_GTEST_PROP(timers_prop, a_wait_ends_at_its_deadline_or_its_wake_whichever_is_first, ()) {
  const auto patiences =
      *rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(-2, 40));
  auto wakes =
      *rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange<std::int64_t>(1, 600));
  std::sort(wakes.begin(), wakes.end());
  wakes.erase(std::unique(wakes.begin(), wakes.end()), wakes.end());

  // The arithmetic. Patience below 1 means for ever; wakes are odd instants and deadlines even ones, so nothing ties.
  struct End {
    Wake how;
    std::int64_t at;
    bool operator==(const End&) const = default;
  };
  std::vector<End> expected;
  std::int64_t now = 0;
  for (const std::int64_t patience : patiences) {
    const bool forever = patience < 1;
    const std::int64_t deadline = (now / 2 + patience) * 2;
    const auto wake =
        std::find_if(wakes.begin(), wakes.end(), [&](std::int64_t w) { return 2 * w + 1 > now; });
    const bool woken = wake != wakes.end() && (forever || 2 * *wake + 1 < deadline);
    if (!woken && forever) {
      expected.push_back({Wake::canceled, -1});  // stuck, then told to stop
      break;
    }
    now = woken ? 2 * *wake + 1 : deadline;
    expected.push_back({woken ? Wake::ready : Wake::timed_out, now});
  }

  TimersHost host;
  StackPool stacks;
  Scheduler scheduler(host, stacks, {});
  std::vector<End> seen;
  {
    Scope root(scheduler);
    const FiberHandle waiter = root.spawn("waiter", [&] {
      for (const std::int64_t patience : patiences) {
        const std::int64_t at = (scheduler.now().ns / 2 + patience) * 2;
        const Wake wake = scheduler.park(patience < 1 ? Deadline::never() : Deadline{{at}}, "test");
        seen.push_back({wake, wake == Wake::canceled ? -1 : scheduler.now().ns});
        if (wake == Wake::canceled) return;
      }
    });
    root.spawn("waker", [&] {
      for (const std::int64_t wake : wakes) {
        (void)scheduler.sleep_until({2 * wake + 1});
        if (Fiber* fiber = waiter.get()) scheduler.wake(*fiber);
      }
    });
    while (scheduler.run() != Scheduler::Outcome::finished) scheduler.cancel_all();
  }
  RC_ASSERT(!host.went_back);
  RC_ASSERT(seen.size() == expected.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    RC_ASSERT(seen[i].how == expected[i].how);
    RC_ASSERT(seen[i].at == expected[i].at);
  }
}

}  // namespace
}  // namespace twinwire
