// SPDX-License-Identifier: Apache-2.0
#include "sim/node.h"

#include <algorithm>
#include <utility>

#include "sim/fabric.h"

namespace twinwire::sim {
namespace {

constexpr std::uint64_t drift_max = 500'000;  // ppm: half as fast, or half as fast again

constexpr Site node_faults[] = {Site::crash, Site::power_loss, Site::pause};

}  // namespace

Node::Node(World& world, Fabric& fabric, std::string_view name, std::size_t ordinal)
    : world_(&world), fabric_(&fabric), name_(name), ordinal_(ordinal) {
  incarnations_.push_back(std::make_unique<SimNetwork>(world, fabric, *this, ordinal, 0, ports_));
  for (const Site site : node_faults) may_fail_ = may_fail_ || world.may_strike(site);
}

Node::~Node() {
  world_->unschedule(wakeup_);
  for (Appointment& appointment : appointments_) world_->unschedule(appointment);
}

Place Node::place() const noexcept {
  return {static_cast<std::uint32_t>(ordinal_), static_cast<std::uint32_t>(ordinal_)};
}

void Node::run(const Program& program) {
  TWINWIRE_CHECK(running_ == nullptr, "a node runs one program at a time");
  const std::vector<FaultRule>& rules = world_->options().faults.rules;
  for (std::size_t i = 0; i < rules.size() && may_fail_; ++i) {
    const TimePoint at = std::max(rules[i].from, world_->now());
    if (!strikes_node(rules[i].site) || !rules[i].is_scheduled() ||
        !rules[i].holds(rules[i].site, place(), at))
      continue;
    world_->schedule(appointments_.emplace_back(*this, i), at);
  }
  if (world_->may_strike(Site::timer_drift) && !std::exchange(ran_, true)) {
    const auto ppm = static_cast<std::int64_t>(
        world_->choose(Site::timer_drift, place(), network().entity(), 0, drift_max));
    drift_ppm = ppm % 2 == 0 ? ppm : -ppm;
  }
  Scheduler& scheduler = world_->scheduler();
  struct Stopped {
    Scope*& running;
    ~Stopped() { running = nullptr; }
  } stopped{running_};
  for (;;) {
    SimNetwork& mine = network();
    run_scope(scheduler, [&](Scope& scope) {
      running_ = &scope;
      const FiberHandle main = scope.spawn(name_, [&] {
        program(mine);
        if (!mine.severed()) running_ = nullptr;  // it has ended by itself: nothing ends it now
      });
      main.get()->group = this;
    });
    running_ = nullptr;
    if (!mine.severed()) return;
    mine.background().join();
    if (world_->now() < up_at_ && !scheduler.sleep_until(up_at_)) return;
    if (scheduler.cancel_pending()) return;
    incarnations_.push_back(std::make_unique<SimNetwork>(*world_, *fabric_, *this, ordinal_,
                                                         incarnations_.size(), ports_));
    disk_.open_again();
    world_->step(Step::started, network().entity(), incarnations_.size(), name_,
                 [] { return std::string("starts again"); });
  }
}

void Node::clock_seen_wrong() noexcept {
  if (std::exchange(drift_bit_, true)) return;
  world_->decisions().bit(Site::timer_drift);
  if (world_->tracing()) world_->tell(name_, "timer_drift: " + std::to_string(drift_ppm) + " ppm");
}

// Every one is asked, so that what one draws moves no other's key.
void Node::draw_fault() {
  if (!running()) return;
  const std::uint64_t nth = occasions_++;
  Site struck{};
  std::uint64_t length = 0;
  for (const Site site : node_faults) {
    const std::uint64_t choice = world_->choose(site, place(), network().entity(), nth, delay_max);
    if (choice == 0 || length != 0) continue;
    struck = site;
    length = choice;
  }
  if (length != 0) strike(struck, Duration(length));
}

void Node::keep(std::size_t number) {
  if (number >= world_->options().faults.rules.size() || !running() || world_->is_calm()) return;
  const FaultRule& rule = world_->options().faults.rules[number];
  const std::uint64_t choice = world_->decisions().choose(
      rule.site, rule.fault, network().entity(), appointment(rule.site, number), delay_max);
  if (choice == 0) return;
  // What stands in the plan ends when the plan says.
  const bool ends = rule.until != TimePoint::never();
  strike(rule.site, ends ? rule.until - world_->now() : Duration(choice));
}

void Node::strike(Site site, Duration length) {
  // Of what lasts nothing outlasts the calm.
  if (world_->is_calm()) return;
  if (const TimePoint calm = world_->options().faults.calm; calm != TimePoint::never())
    length = std::min(length, calm - world_->now());
  if (site != Site::pause) world_->decisions().bit(site);
  if (site == Site::crash) crash(length);
  if (site == Site::power_loss) lose_power(length);
  if (site == Site::pause) pause(length);
}

void Node::tell_fault(Site site, Duration length) {
  world_->step(Step::fault, network().entity(), static_cast<std::uint64_t>(site), name_, [&] {
    return std::string(sim::name(site)) + " for " + std::to_string(length.count()) + " ns";
  });
}

void Node::crash(Duration down) {
  if (!running()) return;
  tell_fault(Site::crash, down);
  take_down(down, false);
}

void Node::lose_power(Duration down) {
  if (!running()) return;
  tell_fault(Site::power_loss, down);
  fabric_->outages().power_off(ordinal_, world_->now() + down);
  take_down(down, true);
}

void Node::take_down(Duration down, bool power) {
  up_at_ = world_->now() + down;
  network().sever(power);
  const std::size_t unsynced = disk_.unsynced();
  std::size_t kept = 0;
  if (unsynced > 0)
    kept = static_cast<std::size_t>(
        world_->choose(Site::unsynced_kept, place(), network().entity(), downs_, unsynced));
  ++downs_;
  if (kept > 0) world_->decisions().bit(Site::unsynced_kept);
  if (unsynced > 0 && world_->tracing())
    world_->tell(name_, "loses " + std::to_string(unsynced - kept) + " of " +
                            std::to_string(unsynced) + " records that were not synced");
  disk_.close(kept);
  running_->cancel();
  // What stood still could not unwind.
  if (held) resume();
}

void Node::pause(Duration length) {
  if (!running() || held) return;
  tell_fault(Site::pause, length);
  world_->scheduler().hold(*this);
  world_->schedule(wakeup_, world_->now() + length);
}

void Node::resume() {
  world_->unschedule(wakeup_);
  if (held_count > 0) world_->decisions().bit(Site::pause);
  world_->step(Step::started, network().entity(), held_count, name_, [this] {
    return "goes on: " + std::to_string(held_count) + " fibers were woken meanwhile";
  });
  world_->scheduler().release(*this);
}

}  // namespace twinwire::sim
