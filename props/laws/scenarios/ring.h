// SPDX-License-Identifier: Apache-2.0
// ring: the traffic of many connections over the ring's own code (real/), on a kernel that is played inside the World.
// The laws of traffic, and those of a ring: props/fake_kernel/, docs/ring_under_test.md.
#pragma once

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <utility>

#include "props/fake_kernel/fake_machine.h"
#include "props/laws/registry.h"
#include "props/laws/scenarios/traffic.h"

namespace twinwire::laws {

struct RingUnderTest {
  static constexpr std::string_view name = "ring";
  static constexpr std::string_view summary =
      "traffic over the ring's own code, on a kernel that is played; all laws, and the ring's";
  static constexpr bool plays_kernel = true;
  template <class T>
  static constexpr bool runs_over = std::is_same_v<T, Tcp>;

  // What happens to the World's own network happens to nobody here.
  static void limit_faults(sim::FaultPlan& plan) {
    for (std::size_t i = 0; i < sim::site_count; ++i) {
      const auto site = static_cast<sim::Site>(i);
      if (!sim::is_of_ring(site) && site != sim::Site::wake_order && site != sim::Site::no_memory)
        plan.off(site);
    }
  }

  template <Transport T>
  static void run(Env& env) {
    if (env.world() == nullptr) return;  // a real kernel need not be played
    fake::FakeMachines machines(env, options_of(env), env.draw(2) + 1);
    TrafficPlan plan = plan_of(env);
    run_scope(env.world()->scheduler(), [&](Scope& scope) {
      machines.start(scope);
      env.put_on(&machines, std::chrono::seconds(1));
      run_scope(env.world()->scheduler(), [&](Scope& beside) {
        beside.spawn("strays", [&env] { acceptor_goes(env); });
        (void)Traffic::run_plan<T>(env, std::move(plan));
      });
      env.put_on(nullptr, {});
      machines.settle();
      machines.stop();
    });
  }

 private:
  static real::RingOptions options_of(Env& env) {
    constexpr std::uint32_t buffers[] = {4096, 4, 8, 16, 64};
    constexpr std::size_t zero_copy[] = {0, 1, 300, 3000};
    real::RingOptions options;
    options.submission_entries = 64;
    options.completion_entries = 256;
    options.receive_buffers_max = buffers[env.draw(std::size(buffers))];
    options.provided_buffers = 16U >> env.draw(4);
    options.zero_copy_min = zero_copy[env.draw(std::size(zero_copy))];
    options.multishot_receive = env.draw(8) != 7;
    options.multishot_accept = env.draw(8) != 7;
    return options;
  }

  static constexpr Duration stray_life = std::chrono::seconds(1);

  // An acceptor that goes away while connections come, taken or not.
  static void acceptor_goes(Env& env) {
    Network& server = env.node("server");
    Network& client = env.node("strays");
    Scheduler& scheduler = server.scheduler();
    std::uint64_t takes = env.draw(8);
    const Duration stays = std::chrono::microseconds(env.draw(100));
    const std::uint64_t dials = env.draw(7);
    auto acceptor = server.listen(env.bind_address("server"), {});
    if (!env.listens(acceptor)) return;
    const Address address = (*acceptor)->local();
    // All at once: more cancels than a small queue holds.
    const Deadline end = client.clock().in(2 * stays + std::chrono::milliseconds(1));
    std::vector<std::unique_ptr<ByteStream>> taken;
    run_scope(scheduler, [&](Scope& strays) {
      for (std::uint64_t i = 0; i < dials; ++i)
        strays.spawn("stray", [&, pause = std::chrono::microseconds(env.draw(60))] {
          (void)scheduler.sleep_for(pause);
          auto stream = client.dial(address, {}, client.clock().in(stray_life / 4));
          if (stream) (void)(*stream)->read(end);
        });
      for (; takes != 0; --takes)
        if (auto stream = (*acceptor)->accept(server.clock().in(stays)))
          taken.push_back(std::move(*stream));
      (void)scheduler.sleep_for(stays);
      acceptor->reset();
    });
  }

  // Small messages by and by: a ring changes its way of receiving for those.
  static void chat(Env& env, SidePlan& side) {
    if (env.draw(2) == 0) return;
    const std::uint64_t more = 1 + env.draw(12);
    side.batches.reserve(side.batches.size() + more);
    for (std::uint64_t i = 0; i < more; ++i)
      side.batches.push_back({.bodies = {static_cast<std::uint32_t>(env.draw(500))},
                              .pause = std::chrono::microseconds(1 + env.draw(40))});
  }

  // The connections of some plans at once; and readers that keep what they read.
  static TrafficPlan plan_of(Env& env) {
    TrafficPlan plan = traffic_plan_of(env.seed());
    for (std::uint64_t more = env.draw(4); more != 0; --more) {
      TrafficPlan next = traffic_plan_of(mix(env.seed(), more));
      std::move(next.conns.begin(), next.conns.end(), std::back_inserter(plan.conns));
    }
    for (ConnPlan& conn : plan.conns)
      for (SidePlan* side : {&conn.client, &conn.server}) {
        if (env.draw(3) == 2) side->reader.hold = static_cast<std::uint32_t>(1 + env.draw(40));
        chat(env, *side);
      }
    if (env.shaping()) reshape(plan, env);
    return plan;
  }
};

}  // namespace twinwire::laws
