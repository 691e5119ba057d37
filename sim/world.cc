// SPDX-License-Identifier: Apache-2.0
#include "sim/world.h"

#include <algorithm>

#include "sim/fabric.h"
#include "sim/node.h"
#include "sim/sim_network.h"

namespace twinwire::sim {

std::string_view name(Ending ending) noexcept {
  switch (ending) {
    case Ending::finished: return "finished";
    case Ending::stuck: return "stuck";
    case Ending::out_of_time: return "out of time";
    case Ending::out_of_steps: return "out of steps";
  }
  return "unknown";
}

namespace {

std::array<bool, site_count> sites_of(const WorldOptions& options) {
  std::array<bool, site_count> may_strike{};
  for (std::size_t i = 0; i < site_count; ++i)
    may_strike[i] = options.faults.may_strike(static_cast<Site>(i));
  for (const Decision& edit : options.edits) may_strike[static_cast<std::size_t>(edit.site)] = true;
  if (options.census != nullptr) may_strike.fill(true);  // asked for, so that they are told of
  return may_strike;
}

}  // namespace

World::World(const WorldOptions& options, StackPool& stacks)
    : options_(options),
      may_strike_(sites_of(options)),
      decisions_(options.seed, options.base, options.edits),
      own_buffers_(options.buffers == nullptr ? std::make_unique<BufferPool>() : nullptr),
      buffers_(options.buffers == nullptr ? own_buffers_.get() : options.buffers),
      buffers_in_use_before_(buffers_->blocks_in_use()),
      watches_suspensions_(may_strike(Site::cancel) || options.watcher != nullptr),
      scheduler_(*this, stacks,
                 SchedulerOptions{.orders_wakes = true,
                                  .tells_runs = true,
                                  .runs_per_turn = 1024,
                                  .root_entity = root_entity}),
      fabric_(std::make_unique<Fabric>(*this)) {
  settle_chances();
  scheduler_.count_reached(&reached_);
  decisions_.record(options.record);
  decisions_.tell(options.decision_sink);
  decisions_.count_all(options.census);
  buffers_->set_poison(true);
  for (const FaultRule& rule : options_.faults.rules)
    scheduled_trips_ = scheduled_trips_ || (rule.is_scheduled() && stands_at_byte(rule.site));
  if (may_strike(Site::no_memory) || options_.watcher != nullptr) buffers_->set_gate(this);
}

void World::settle_chances() {
  for (std::size_t i = 0; i < site_count; ++i)
    chances_[i] = may_strike_[i] || !options_.edits.empty() ? Chance::one : Chance::none;
  for (const FaultRule& rule : options_.faults.rules) {
    Chance& chance = chances_[static_cast<std::size_t>(rule.site)];
    if (chance == Chance::one) chance = Chance::rules;
  }
}

std::uint64_t World::choose_by_plan(Site site, Place place, EntityId entity,
                                    std::uint64_t occurrence, std::uint64_t bound) noexcept {
  const Fault& fault = chances_[static_cast<std::size_t>(site)] == Chance::one && !is_calm()
                           ? options_.faults[site]
                           : fault_at(site, place);
  return decisions_.choose(site, fault, entity, occurrence, bound);
}

World::~World() {
  buffers_->set_gate(nullptr);
  nodes_.clear();
  fabric_.reset();
  if (own_buffers_ != nullptr && own_buffers_->blocks_in_use() != 0) (void)own_buffers_.release();
}

SimNetwork& World::add_node(std::string_view name) {
  for (FaultRule& rule : options_.faults.rules)
    rule.resolve(name, static_cast<std::uint32_t>(nodes_.size()));
  nodes_.push_back(std::make_unique<Node>(*this, *fabric_, name, nodes_.size()));
  return nodes_.back()->network();
}

std::string World::name_of(std::uint32_t node) const {
  return node < nodes_.size() ? nodes_[node]->network().name() : "node " + std::to_string(node + 1);
}

Address World::origin_of(const Address& seen) const noexcept { return fabric_->origin_of(seen); }

bool World::turn(TimePoint until, bool idle) {
  if (options_.pause != nullptr) [[unlikely]]
    options_.pause->pause();
  if (watches_suspensions_ && suspensions_.settle()) idle = false;
  if (steps_ > options_.steps_max) {
    over_ = true;
    ending_ = Ending::out_of_steps;
    scheduler_.stop();
  }
  if (!idle || over_) return true;
  if (last_look_ != nullptr && last_look_->look()) return true;
  const TimePoint next = std::min({until, events_.earliest(), suspensions_.earliest()});
  if (next == TimePoint::never()) return false;
  if (next.ns > options_.time_max.count()) {
    over_ = true;
    ending_ = Ending::out_of_time;
    scheduler_.stop();
    return true;
  }
  beat();
  now_ = std::max(now_, next);
  suspensions_.fire(now_);
  // Everything due now happens before a fiber runs: simultaneous events are simultaneous.
  while (!events_.empty() && events_.earliest() <= now_) {
    auto& event = static_cast<EventSource&>(*events_.top());
    events_.remove(event);
    event.fire();
  }
  return true;
}

std::uint64_t World::wake_priority(EntityId fiber, std::uint64_t nth_wake) noexcept {
  return choose(Site::wake_order, {}, fiber, nth_wake);
}

bool World::admit(std::size_t bytes) noexcept {
  if (options_.watcher != nullptr)
    options_.watcher->on_allocation(scheduler_.in_fiber() ? &scheduler_.current() : nullptr,
                                    allocations_, bytes);
  if (choose(Site::no_memory, {}, root_entity, allocations_++, 1) == 0) return true;
  decisions_.bit(Site::no_memory);
  if (tracing()) tell("memory", "none is left for " + std::to_string(bytes) + " bytes");
  return false;
}

void World::on_run(const Fiber& fiber) noexcept {
  if (watches_suspensions_) [[unlikely]]
    suspensions_.before_run(fiber);
  // The order bit where a fiber runs after one that was woken later.
  const bool overtaken = fiber.ready_order < latest_run_;
  if (overtaken) {
    decisions_.bit(Site::wake_order);
  } else {
    latest_run_ = fiber.ready_order;
  }
  decisions_.hash().fold(Step::run, fiber.entity ^ static_cast<std::uint64_t>(now_.ns),
                         fiber.wakes);
  count_step();
  beat();
  if (fiber.group != nullptr) [[unlikely]]
    static_cast<Node*>(fiber.group)->on_run();
  if (options_.trace != nullptr) [[unlikely]]
    tell(fiber.name(), overtaken ? "runs after one that was woken later" : "runs");
}

void World::tell(std::string_view who, std::string_view what) {
  if (options_.trace != nullptr)
    options_.trace->on_step({steps_, now_, who, what, decisions_.hash().value()});
}

RunReport World::finish(Scope& root) {
  RunReport report;
  Scheduler::Outcome outcome = scheduler_.run();
  bool failed_before = true;  // a fiber, before the run was over
  if (outcome != Scheduler::Outcome::finished) {
    report.ending = outcome == Scheduler::Outcome::stuck ? Ending::stuck : ending_;
    scheduler_.for_each_fiber([&](const Fiber& fiber) {
      report.stuck.push_back({std::string(fiber.name()), fiber.waiting_for, fiber.parked_since});
    });
    // Unwinding: everybody told to stop, and given room for it. Whoever goes on after that ignores cancellation.
    options_.steps_max = steps_ + 1'000'000;
    options_.time_max = Duration::max();
    over_ = false;
    failed_before = scheduler_.failures() != 0;
    unwinding_ = true;
    if (tracing()) tell("the run", "is over: " + std::string(name(report.ending)));
    while (outcome != Scheduler::Outcome::finished) {
      const std::uint64_t before = scheduler_.runs();
      scheduler_.cancel_all();
      outcome = scheduler_.run();
      TWINWIRE_CHECK(
          !over_ && (outcome == Scheduler::Outcome::finished || scheduler_.runs() > before),
          "a fiber does not obey cancellation: the world cannot end");
    }
    unwinding_ = false;
  }
  try {
    root.rethrow_failure();
  } catch (...) {
    // What somebody threw because it was told to stop says nothing of the run.
    if (failed_before) report.failure = std::current_exception();
  }
  fabric_->settle();
  report.hash = decisions_.hash().value();
  report.steps = steps_;
  report.at = now_;
  report.counts = decisions_.counts();
  report.on = may_strike_;
  report.reached = reached_;
  report.leaked_buffers = buffers_->blocks_in_use() - buffers_in_use_before_;
  report.leaked_sockets = sockets;
  return report;
}

}  // namespace twinwire::sim
