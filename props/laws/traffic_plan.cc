// SPDX-License-Identifier: Apache-2.0
#include "props/laws/traffic_plan.h"

#include <rapidcheck.h>

#include <iterator>
#include <numeric>

#include "transport/base/mix.h"

namespace twinwire::laws {
namespace {

using rc::Gen;
namespace gen = rc::gen;

Gen<std::int64_t> between(std::int64_t low, std::int64_t high) {
  return gen::inRange<std::int64_t>(low, high + 1);
}

// Log-uniform: an octave first, then a place in it.
Gen<Duration> pause_up_to(int octaves) {
  return gen::mapcat(gen::inRange(0, octaves + 1), [](int octave) {
    return gen::map(between(0, std::int64_t{1} << octave),
                    [](std::int64_t us) { return Duration(us * 1000); });
  });
}

// Bodies around what matters: none, a few bytes, a segment, a receive buffer, more than one.
Gen<std::uint32_t> body_size() {
  return gen::weightedOneOf<std::uint32_t>({
      {4, gen::just<std::uint32_t>(0)},
      {6, gen::inRange<std::uint32_t>(1, 300)},
      {4, gen::inRange<std::uint32_t>(300, 3000)},
      {2, gen::inRange<std::uint32_t>(3000, 20000)},
      {1, gen::inRange<std::uint32_t>(60000, 150000)},
  });
}

Gen<std::vector<std::uint32_t>> bodies() {
  const auto few = gen::mapcat(gen::inRange<std::size_t>(1, 7), [](std::size_t n) {
    return gen::container<std::vector<std::uint32_t>>(n, body_size());
  });
  const auto many = gen::mapcat(gen::element<std::size_t>(65, 100, 511, 512), [](std::size_t n) {
    return gen::map(gen::inRange<std::uint32_t>(0, 40),
                    [n](std::uint32_t size) { return std::vector<std::uint32_t>(n, size); });
  });
  return gen::weightedOneOf<std::vector<std::uint32_t>>({{15, few}, {1, many}});
}

Gen<BatchPlan> batch() {
  const auto pause =
      gen::weightedOneOf<Duration>({{2, gen::just(Duration(0))}, {1, pause_up_to(16)}});
  const auto patience =
      gen::weightedOneOf<Duration>({{9, gen::just(Duration(0))}, {1, pause_up_to(14)}});
  return gen::build<BatchPlan>(gen::set(&BatchPlan::bodies, bodies()),
                               gen::set(&BatchPlan::pause, pause),
                               gen::set(&BatchPlan::patience, patience));
}

Gen<ReaderPlan> reader() {
  return gen::build<ReaderPlan>(
      gen::set(&ReaderPlan::pause,
               gen::weightedOneOf<Duration>({{3, gen::just(Duration(0))}, {1, pause_up_to(13)}})),
      gen::set(&ReaderPlan::stop_percent, gen::element<std::uint32_t>(0, 0, 10, 60)),
      gen::set(&ReaderPlan::stop_after, pause_up_to(10)),
      gen::set(&ReaderPlan::by_cancel, gen::arbitrary<bool>()));
}

Gen<SidePlan> side(Gen<SideEnd> end) {
  const auto batches = gen::mapcat(gen::element<std::size_t>(0, 1, 1, 2, 3, 5), [](std::size_t n) {
    return gen::container<std::vector<BatchPlan>>(n, batch());
  });
  return gen::build<SidePlan>(
      gen::set(&SidePlan::batches, batches), gen::set(&SidePlan::reader, reader()),
      gen::set(&SidePlan::end, std::move(end)), gen::set(&SidePlan::cancel_after, pause_up_to(17)),
      gen::set(&SidePlan::grace, gen::map(pause_up_to(22), [](Duration d) {
        return d + std::chrono::microseconds(1);
      })));
}

Gen<ConnPlan> conn() {
  const auto client_end = gen::weightedElement<SideEnd>({{6, SideEnd::close_after_peer},
                                                         {2, SideEnd::close_early},
                                                         {1, SideEnd::vanish},
                                                         {1, SideEnd::canceled}});
  const auto server_end = gen::weightedElement<SideEnd>({{8, SideEnd::follow},
                                                         {1, SideEnd::close_early},
                                                         {1, SideEnd::vanish},
                                                         {1, SideEnd::canceled}});
  const auto buffer = gen::element<std::size_t>(0, 0, 2304, 4096, 10000, 65536);
  return gen::build<ConnPlan>(
      gen::set(&ConnPlan::dial_after, pause_up_to(10)), gen::set(&ConnPlan::send_buffer, buffer),
      gen::set(&ConnPlan::receive_buffer, buffer), gen::set(&ConnPlan::client, side(client_end)),
      gen::set(&ConnPlan::server, side(server_end)));
}

// In every fourth run; at sizes that messages have, and around them.
std::size_t coalesce_below_of(std::uint64_t seed) noexcept {
  constexpr std::size_t bounds[] = {256, 257, 300, 1000, 4000, std::size_t{1} << 20};
  const std::uint64_t variant = scramble(mix(seed, 0xc0));
  return variant % 4 == 1 ? bounds[variant / 4 % std::size(bounds)] : 0;
}

}  // namespace

TrafficPlan traffic_plan_of(std::uint64_t seed) {
  // Built once: making the generators costs more than drawing from them.
  static const Gen<TrafficPlan> generator = gen::build<TrafficPlan>(
      gen::set(&TrafficPlan::conns, gen::mapcat(gen::element<std::size_t>(1, 1, 1, 2, 3),
                                                [](std::size_t n) {
                                                  return gen::container<std::vector<ConnPlan>>(
                                                      n, conn());
                                                })),
      gen::set(&TrafficPlan::accept_after_first_message, gen::element(false, false, false, true)));
  // Size 100 is rapidcheck's full range: inRange does not narrow.
  TrafficPlan plan = generator(rc::Random(seed), 100).value();
  plan.coalesce_below = coalesce_below_of(seed);
  return plan;
}

std::size_t message_count(const SidePlan& side) noexcept {
  return std::accumulate(
      side.batches.begin(), side.batches.end(), std::size_t{0},
      [](std::size_t n, const BatchPlan& batch) { return n + batch.bodies.size(); });
}

}  // namespace twinwire::laws
