// SPDX-License-Identifier: Apache-2.0
// World: one simulated run. A seed and a plan of faults in; a verdict, a hash and counters out.
//
//   World world(options, stacks);
//   SimNetwork& server = world.add_node("server");
//   SimNetwork& client = world.add_node("client");
//   RunReport report = world.run([&](Scope& scope) { ... });
//
// Nothing outlives a world and nothing enters it but its options: two worlds of equal options run alike, to the byte.
// Where to read on: decisions.h (the door of chance), sim_network.h (sockets), link.h (how bytes travel).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/decisions.h"
#include "sim/fault_plan.h"
#include "sim/suspensions.h"
#include "sim/trace.h"
#include "transport/base/time_heap.h"
#include "transport/fiber/scope.h"
#include "transport/net/address.h"
#include "transport/wire/buffer_pool.h"

namespace twinwire::sim {

class SimNetwork;
class Fabric;
class Node;

// Called by a world again and again, outside of its fibers: before time moves, and now and then in between. For worlds
// that take turns on one thread: each runs in a fiber of another scheduler, on stacks of its own, and
// this yields to the next.
class Pause {
 public:
  virtual void pause() = 0;

 protected:
  ~Pause() = default;
};

// Asked before time moves whether something is left to do at this instant; it has made a fiber ready then. For a
// scenario that plays a machine with queues of its own (props/fake_kernel/), which nobody rings a bell for.
class LastLook {
 public:
  virtual bool look() noexcept = 0;

 protected:
  ~LastLook() = default;
};

struct WorldOptions {
  std::uint64_t seed = 0;
  FaultPlan faults = FaultPlan::none();
  Decisions::Base base = Decisions::Base::seeded;
  std::vector<Decision> edits;  // choices that override what `base` would give
  bool record = false;          // keep every choice other than 0 (Decisions::recorded)
  DecisionSink* decision_sink = nullptr;
  Census* census = nullptr;  // told of every choice that could have been another one
  TraceSink* trace = nullptr;
  Watcher* watcher = nullptr;                        // told of suspensions and allocations
  Duration latency = std::chrono::microseconds(50);  // one way, before any fault
  std::size_t send_buffer = 64 * 1024;               // of a socket that does not ask otherwise
  std::size_t receive_buffer = 64 * 1024;
  Duration time_max = std::chrono::hours(24);  // of virtual time; beyond it the run is out_of_time
  std::uint64_t steps_max = 20'000'000;
  // Moves whenever a fiber runs or the time moves on, for a watchdog in another process. Not with every step: a fiber
  // that spins may make steps without end, and nobody but the watchdog can end that.
  volatile std::uint64_t* progress = nullptr;
  Pause* pause = nullptr;
  BufferPool* buffers = nullptr;  // to share by worlds that run one after another; else one's own
};

enum class Ending : std::uint8_t {
  finished,      // every fiber ended
  stuck,         // fibers wait for what can never happen: a deadlock
  out_of_time,   // time_max passed
  out_of_steps,  // steps_max were made: a livelock
};
std::string_view name(Ending ending) noexcept;

// A fiber that was alive when a run could not go on.
struct StuckFiber {
  std::string name;
  std::string waiting_for;
  TimePoint since;
};

struct RunReport {
  Ending ending = Ending::finished;
  std::uint64_t hash = 0;
  std::uint64_t steps = 0;
  TimePoint at;  // virtual time of the end
  std::array<SiteCount, site_count> counts{};
  std::array<bool, site_count> on{};  // faults that could strike, in this plan
  SometimesCounts reached{};          // transport/base/sometimes.h
  std::vector<StuckFiber> stuck;
  std::size_t leaked_buffers = 0;  // blocks still referenced after every fiber ended
  std::size_t leaked_sockets = 0;  // streams, acceptors and datagram sockets not destroyed
  std::exception_ptr failure;      // what left a fiber
};

// A thing that is due at an instant of virtual time.
class EventSource : public TimedNode {
 public:
  virtual void fire() = 0;

 protected:
  ~EventSource() = default;
};

class World final : public Host, private AllocationGate {
 public:
  // `stacks` may be shared by worlds that run one after another on one thread, and should be: fresh ones cost a third.
  World(const WorldOptions& options, StackPool& stacks);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  // A host of its own on the simulated network: 10.0.0.1, 10.0.0.2, ... in order of adding. Lives as long as the world.
  SimNetwork& add_node(std::string_view name);
  // The plan's calm begins at the latest then. For the beginning of a run: a node that is down already stays so for as
  // long as was drawn.
  void end_faults_at(TimePoint at) noexcept {
    options_.faults.calm = std::min(options_.faults.calm, at);
  }

  // Runs `main` in a fiber named "main", with a scope whose fibers it need not join, until every fiber has ended or
  // none can go on; then tells whoever is left to stop, and reports. Once per world.
  template <class F>
  RunReport run(F&& main) {
    Scope root(scheduler_);
    root.spawn("main", [&] { run_scope(scheduler_, main); });
    return finish(root);
  }

  // --- For the simulated network, and for scenarios that look inside ---------------------------------------------

  TimePoint now() noexcept override { return now_; }
  Scheduler& scheduler() noexcept { return scheduler_; }
  void reached(Sometimes state) noexcept { scheduler_.reached(state); }
  Decisions& decisions() noexcept { return decisions_; }
  const WorldOptions& options() const noexcept { return options_; }
  BufferPool& buffers() noexcept { return *buffers_; }
  // The address of the socket whose datagrams come from there, although a NAT may have given it another.
  Address origin_of(const Address& seen) const noexcept;
  // The root of all names; the nth node is child_entity(root_entity, n).
  static constexpr EntityId root_entity = 0x776f726c64;  // "world"
  EntityId entity() const noexcept { return root_entity; }

  // Queues an event, or moves it. Requires at >= now().
  void schedule(EventSource& event, TimePoint at) { events_.set(event, at); }
  void unschedule(EventSource& event) noexcept { events_.remove(event); }

  // `look` is asked from now on; nullptr: nobody.
  void look_last(LastLook* look) noexcept { last_look_ = look; }

  // The choice at a site, with the fault as the plan has it at that place and time.
  std::uint64_t choose(Site site, Place place, EntityId entity, std::uint64_t occurrence,
                       std::uint64_t bound = UINT64_MAX) noexcept {
    if (is_silent(site)) return 0;
    return choose_by_plan(site, place, entity, occurrence, bound);
  }
  const Fault& fault_at(Site site, Place place) const noexcept {
    if (is_calm() && site != Site::wake_order) return no_fault;
    const std::vector<FaultRule>& rules = options_.faults.rules;
    for (std::size_t i = rules.size(); i-- > 0;)
      if (rules[i].holds(site, place, now_) &&
          !(rules[i].is_scheduled() && (stands_at_byte(site) || strikes_node(site))))
        return rules[i].fault;
    return options_.faults[site];
  }
  // Whether the run is over and whoever is left was told to stop: what they do then says nothing of the run.
  bool is_unwinding() const noexcept { return unwinding_; }
  // Whether faults are over (FaultPlan::calm).
  bool is_calm() const noexcept { return now_ >= options_.faults.calm; }
  // Whether a rule puts a fault that stands at a byte at an instant.
  bool has_scheduled_trips() const noexcept { return scheduled_trips_; }
  // Whether choose() at this site returns 0 and counts nothing, wherever and whenever it is asked.
  bool is_silent(Site site) const noexcept {
    return chances_[static_cast<std::size_t>(site)] == Chance::none;
  }
  // Whether a choice at this site can be anything but 0: for what costs something to ask.
  bool may_strike(Site site) const noexcept { return may_strike_[static_cast<std::size_t>(site)]; }

  // Counts a step, folds it into the hash and, where somebody listens, tells: `describe()` makes the text.
  template <class Describe>
  void step(Step kind, EntityId who, std::uint64_t value, std::string_view who_name,
            Describe&& describe) {
    decisions_.hash().fold(kind, who ^ static_cast<std::uint64_t>(now_.ns), value);
    count_step();
    if (options_.trace != nullptr) [[unlikely]]
      tell(who_name, describe());
  }
  // A line in the trace that is no step: neither counted nor hashed.
  bool tracing() const noexcept { return options_.trace != nullptr; }
  void tell(std::string_view who, std::string_view what);

  std::size_t node_count() const noexcept { return nodes_.size(); }
  // The nth node's; "node n" where there is none.
  std::string name_of(std::uint32_t node) const;

  // Sockets alive, for the law against leaks.
  std::size_t sockets = 0;

 private:
  static constexpr Fault no_fault{};
  bool turn(TimePoint until, bool idle) override;
  std::uint64_t wake_priority(EntityId fiber, std::uint64_t nth_wake) noexcept override;
  void on_run(const Fiber& fiber) noexcept override;
  bool admit(std::size_t bytes) noexcept override;
  void count_step() noexcept { ++steps_; }
  void beat() noexcept {
    if (options_.progress != nullptr) *options_.progress = *options_.progress + 1;
  }
  RunReport finish(Scope& root);
  void settle_chances();
  std::uint64_t choose_by_plan(Site site, Place place, EntityId entity, std::uint64_t occurrence,
                               std::uint64_t bound) noexcept;

  // What the plan has of a site, so that a choice looks at its rules only where there are any.
  enum class Chance : std::uint8_t {
    none,  // neither a probability nor an edit anywhere
    one,   // the same in every place and at any time
    rules,
  };

  WorldOptions options_;
  std::array<bool, site_count> may_strike_;
  std::array<Chance, site_count> chances_{};
  Decisions decisions_;
  // Abandoned, not freed, where a run leaked a buffer: its holder may still use it.
  std::unique_ptr<BufferPool> own_buffers_;
  BufferPool* buffers_;
  std::size_t buffers_in_use_before_;
  bool scheduled_trips_ = false;
  std::uint64_t allocations_ = 0;
  TimePoint now_{0};
  std::uint64_t steps_ = 0;
  std::uint64_t latest_run_ = 0;  // ready order of the youngest wake that was run
  bool over_ = false;             // a limit was passed
  bool unwinding_ = false;
  LastLook* last_look_ = nullptr;
  Ending ending_ = Ending::finished;
  TimeHeap events_;
  bool watches_suspensions_;
  Suspensions suspensions_{*this};
  SometimesCounts reached_{};
  Scheduler scheduler_;
  std::unique_ptr<Fabric> fabric_;  // what connects the nodes
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace twinwire::sim
