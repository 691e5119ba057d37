// SPDX-License-Identifier: Apache-2.0
// exchange: one short connection, the same for every seed: messages of 256, 257 and 1,500 bytes both ways, then the
// end. Small enough that everything that can go wrong in it can be tried (props/exhaustive/). Held to the laws of
// `traffic`, and to two more: whatever
// happens, it is over within a bounded time; and where nothing happens that a connection may die of (`harmless`), every
// message arrives and both closes succeed.
#pragma once

#include <string>
#include <vector>

#include "props/laws/scenarios/traffic.h"

namespace twinwire::laws {

struct Exchange {
  static constexpr std::string_view name = "exchange";
  static constexpr std::string_view summary =
      "one short connection, alike for every seed: what `exhaust` breaks in every place";

  // Handshake, patience with a silent peer, close, and what a side adds to see that all is over.
  static constexpr Duration whole_limit = std::chrono::seconds(150);

  template <Transport T>
  static void run(Env& env) {
    Network& server = env.node("server");
    const TimePoint start = server.clock().now();
    const bool harmless = env.knob("harmless", 0, 0, 1) != 0;
    const bool whole = Traffic::run_plan<T>(env, plan_of(env));
    env.judge().check(
        whole || !harmless, "close_delivers",
        "nothing happened that a connection may die of, and not everything arrived and was closed");
    const TimePoint end = server.clock().now();
    env.judge().check(!env.simulated() || end - start <= whole_limit, "deadline", [&] {
      return "the connection was over only after " +
             std::to_string((end - start).count() / 1'000'000) + " ms";
    });
  }

 private:
  // Longer than the news of a fault takes: so there are batches that meet a connection which has failed.
  static constexpr Duration pause = std::chrono::microseconds(200);
  static constexpr Duration stop_after = std::chrono::milliseconds(400);

  static TrafficPlan plan_of(Env& env) {
    // 0: the client closes, and the server when it has read the end; 1: the other way round; 2: both at once.
    const std::int64_t closes = env.knob("closes", 0, 0, 2);
    TrafficPlan plan;
    plan.serve_at_once = true;
    ConnPlan& conn = plan.conns.emplace_back();
    // Bodies: a header of 256 bytes comes before each.
    conn.client.batches = {{.bodies = {0, 1}}, {.bodies = {1244}, .pause = pause}};
    conn.server.batches = {{.bodies = {1244, 0}}, {.bodies = {1}, .pause = pause}};
    // 0: as large as usual; else so small that a batch waits in the middle of a message.
    conn.send_buffer = static_cast<std::size_t>(env.knob("send_buffer", 0, 0, 1 << 20));
    // Nobody waits in one read for long: what was read of a message must not be lost.
    conn.client.reader = {.stop_percent = 100, .stop_after = stop_after};
    conn.server.reader = {.stop_percent = 100, .stop_after = stop_after, .by_cancel = true};
    conn.client.end = closes == 1 ? SideEnd::follow : SideEnd::close_after_peer;
    conn.server.end = closes == 0 ? SideEnd::follow : SideEnd::close_after_peer;
    return plan;
  }
};

}  // namespace twinwire::laws
