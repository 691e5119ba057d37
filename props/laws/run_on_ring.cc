// SPDX-License-Identifier: Apache-2.0
#include "props/laws/run_on_ring.h"

#include <exception>
#include <map>
#include <memory>

#include "real/ring_network.h"

namespace twinwire::laws {
namespace {

// Every node is this machine; each has a network of its own over the one ring.
// They outlive the scenario's fiber: pumps of its connections may end after it.
using Nodes = std::vector<std::pair<std::string, std::unique_ptr<Network>>>;

class RingEnv final : public Env {
 public:
  RingEnv(real::Ring& ring, Nodes& nodes, Scope& scope, Judge& judge, std::uint64_t seed,
          std::vector<Knob> knobs)
      : Env(scope, judge, seed, std::move(knobs)),
        ring_(&ring),
        nodes_(&nodes),
        start_(ring.now()) {}

  Network& node(std::string_view name) override {
    for (const auto& [known, network] : *nodes_)
      if (known == name) return *network;
    nodes_->emplace_back(std::string(name), std::make_unique<real::RingNetwork>(*ring_));
    return *nodes_->back().second;
  }
  void run_node(std::string_view name,
                const std::function<void(Network&, sim::Disk::File)>& program) override {
    program(node(name), disk(name).file());
  }
  sim::Disk& disk(std::string_view name) override { return disks_[std::string(name)]; }
  Address bind_address(std::string_view /*name*/) override { return Address::v4(127, 0, 0, 1, 0); }
  bool simulated() const noexcept override { return false; }
  TimePoint calm() const noexcept override { return start_; }
  void note(std::string_view /*who*/, std::string_view /*text*/) override {}

 private:
  real::Ring* ring_;
  Nodes* nodes_;
  TimePoint start_;
  std::map<std::string, sim::Disk> disks_;
};

}  // namespace

RingVerdict run_on_ring(const ScenarioEntry& scenario, std::size_t transport, std::uint64_t seed,
                        std::vector<Knob> knobs, real::Ring& ring) {
  RingVerdict verdict;
  Judge judge;
  Scheduler& scheduler = ring.scheduler();
  const std::size_t buffers_before = ring.buffers().blocks_in_use();
  Nodes nodes;
  Scope root(scheduler);
  root.spawn("main", [&] {
    run_scope(scheduler, [&](Scope& scope) {
      RingEnv env(ring, nodes, scope, judge, seed, knobs);
      scenario.bodies[transport](env);
      scope.join();
      verdict.knobs_read = env.knobs_read();
      verdict.knobs_unread = env.knobs_unread();
    });
  });
  if (scheduler.run() == Scheduler::Outcome::stuck) {
    verdict.kind = VerdictKind::no_progress;
    verdict.law = "stuck";
    verdict.detail = "every fiber waits for what can never happen:";
    scheduler.for_each_fiber([&](const Fiber& fiber) {
      verdict.detail += "\n  " + std::string(fiber.name()) + " waits for " + fiber.waiting_for;
    });
    scheduler.cancel_all();
    while (scheduler.run() != Scheduler::Outcome::finished) scheduler.cancel_all();
  }
  try {
    root.rethrow_failure();
  } catch (const std::exception& e) {
    judge.violate("exception", e.what());
  } catch (...) {
    judge.violate("exception", "an exception that is no std::exception");
  }
  if (verdict.kind == VerdictKind::pass)
    judge.check(ring.buffers().blocks_in_use() == buffers_before, "leak",
                "buffers were still held at the end");
  if (judge.verdict()) {
    verdict.kind = VerdictKind::law_broken;
    verdict.law = judge.verdict()->law;
    verdict.detail = judge.verdict()->detail;
  }
  return verdict;
}

}  // namespace twinwire::laws
