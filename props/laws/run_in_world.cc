// SPDX-License-Identifier: Apache-2.0
#include "props/laws/run_in_world.h"

#include <exception>

#include "sim/node.h"
#include "sim/sim_network.h"

namespace twinwire::laws {
namespace {

class WorldEnv final : public Env {
 public:
  WorldEnv(sim::World& world, Scope& scope, Judge& judge, std::vector<Knob> knobs)
      : Env(scope, judge, world.options().seed, std::move(knobs)), world_(&world) {
    listen_to_notes(world.tracing());
  }

  Network& node(std::string_view name) override {
    Network& own = find(name).node().network();
    return machines() == nullptr ? own : machines()->network_of(name, own);
  }
  sim::World* world() noexcept override { return world_; }
  void run_node(std::string_view name,
                const std::function<void(Network&, sim::Disk::File)>& program) override {
    sim::Node& node = find(name).node();
    node.run([&](sim::SimNetwork& network) { program(network, node.disk().file()); });
  }
  sim::Disk& disk(std::string_view name) override { return find(name).node().disk(); }
  void end_faults_at(TimePoint at) override { world_->end_faults_at(at); }
  Address bind_address(std::string_view name) override { return find(name).address(); }
  bool simulated() const noexcept override { return true; }
  TimePoint calm() const noexcept override { return world_->options().faults.calm; }
  std::function<Address(const Address&)> origins() override {
    return [world = world_](const Address& seen) { return world->origin_of(seen); };
  }
  void note(std::string_view who, std::string_view text) override { world_->tell(who, text); }

 private:
  sim::SimNetwork& find(std::string_view name) {
    for (sim::SimNetwork* node : nodes_)
      if (node->name() == name) return *node;
    nodes_.push_back(&world_->add_node(name));
    tell(name, [&] { return "is " + to_string(nodes_.back()->address()); });
    return *nodes_.back();
  }

  sim::World* world_;
  std::vector<sim::SimNetwork*> nodes_;
};

std::string describe(const sim::RunReport& report) {
  std::string text = "the run ended " + std::string(name(report.ending)) + " at " +
                     std::to_string(report.at.ns) + " ns with " +
                     std::to_string(report.stuck.size()) + " fibers alive";
  for (const sim::StuckFiber& fiber : report.stuck)
    text += "\n  " + fiber.name + " waits for " + fiber.waiting_for + " since " +
            std::to_string(fiber.since.ns) + " ns";
  return text;
}

std::string what(std::exception_ptr failure) {
  try {
    std::rethrow_exception(std::move(failure));
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace

std::string Verdict::failure_key() const {
  switch (kind) {
    case VerdictKind::pass: return "pass";
    case VerdictKind::law_broken: return "law_broken:" + law;
    case VerdictKind::no_progress: return "no_progress:" + law;
  }
  return "unknown";
}

sim::FaultPlan plan_of(const WorldRun& run) {
  sim::FaultPlan plan = run.options.faults;
  // Nobody but cryptography finds a bit that TCP's checksum missed.
  if (!transport_encrypts(run.transport)) plan.off(sim::Site::bit_flip);
  if (!run.scenario->plays_kernel)
    for (std::size_t i = 0; i < sim::site_count; ++i)
      if (const auto site = static_cast<sim::Site>(i); sim::is_of_ring(site)) plan[site].ppm = 0;
  if (!run.scenario->has_shards) plan.off(sim::Site::mail_delay);
  if (run.scenario->limit_faults != nullptr) run.scenario->limit_faults(plan);
  return plan;
}

Verdict run_in_world(const WorldRun& run, StackPool& stacks) {
  Verdict verdict;
  Judge judge;
  sim::WorldOptions options = run.options;
  options.faults = plan_of(run);
  sim::World world(options, stacks);
  judge.ignore_while([&] { return world.is_unwinding(); });
  if (world.tracing())
    judge.on_violation(
        [&](const Violation& broken) { world.tell("law " + broken.law, broken.detail); });
  verdict.report = world.run([&](Scope& scope) {
    WorldEnv env(world, scope, judge, run.knobs);
    if (run.on_shape) env.on_shape(run.on_shape);
    env.keep_outcome(run.outcome);
    run.scenario->bodies[run.transport](env);
    // The scenario's fibers may go on after its body: they are joined before the knobs are read off.
    scope.join();
    verdict.outcome = env.outcome();
    verdict.knobs_read = env.knobs_read();
    verdict.knobs_unread = env.knobs_unread();
    verdict.course = env.course();
  });
  const sim::RunReport& report = verdict.report;
  if (report.failure) judge.violate("exception", what(report.failure));
  if (report.ending == sim::Ending::finished) {
    judge.check(report.leaked_sockets == 0, "leak", [&] {
      return std::to_string(report.leaked_sockets) + " sockets were never closed";
    });
    judge.check(report.leaked_buffers == 0, "leak", [&] {
      return std::to_string(report.leaked_buffers) + " buffers were still held at the end";
    });
  }
  if (judge.verdict()) {
    verdict.kind = VerdictKind::law_broken;
    verdict.law = judge.verdict()->law;
    verdict.detail = judge.verdict()->detail;
  } else if (report.ending != sim::Ending::finished) {
    verdict.kind = VerdictKind::no_progress;
    verdict.law = name(report.ending);
    verdict.detail = describe(report);
  }
  if (verdict.kind != VerdictKind::pass)
    verdict.outcome = mix(verdict.outcome, Env::key_of(verdict.failure_key()));
  if (run.options.record) verdict.decisions = world.decisions().recorded();
  verdict.edits_used = world.decisions().edits_used();
  return verdict;
}

}  // namespace twinwire::laws
