// SPDX-License-Identifier: Apache-2.0
#include "sim/fault_plan.h"

#include <algorithm>

#include "transport/base/mix.h"

namespace twinwire::sim {
namespace {

// How strongly a fault may be on in a swarm. `often` and `seldom` are the ends of a geometric range of probabilities.
struct SwarmRange {
  Site site;
  std::uint32_t on_percent;
  std::uint32_t ppm_low;
  std::uint32_t ppm_high;
  std::uint64_t bound_low;
  std::uint64_t bound_high;
};

// Resets and silence end a connection, so they are on in fewer seeds: most must live long enough to meet the rest.
constexpr SwarmRange swarm_ranges[] = {
    {Site::connect_delay, 40, 100'000, 1'000'000, 1'000, 200'000'000},
    {Site::connect_refused, 10, 20'000, 300'000, 1, 1},
    {Site::connect_black_hole, 10, 20'000, 200'000, 1, 1},
    {Site::accept_failure, 20, 20'000, 300'000, 2, 2},
    {Site::segment_delay, 60, 10'000, 1'000'000, 1'000, 300'000'000},
    {Site::clog, 25, 1'000, 50'000, 1'000'000, 5'000'000'000},
    {Site::short_write, 60, 10'000, 900'000, 1, 70'000},
    {Site::short_read, 60, 10'000, 900'000, 1, 5'000},
    {Site::reset, 25, 50'000, 500'000, 1, 200'000},
    {Site::reset_one_side, 15, 50'000, 500'000, 1, 200'000},
    {Site::silent_loss, 15, 50'000, 400'000, 1, 200'000},
    {Site::early_fin, 15, 50'000, 400'000, 1, 200'000},
    {Site::reset_overtakes, 50, 100'000, 900'000, 1, 1},
    {Site::datagram_delay, 50, 10'000, 500'000, 1'000, 30'000'000},
    {Site::datagram_loss, 50, 1'000, 100'000, 1, 1},
    {Site::datagram_duplicate, 40, 1'000, 100'000, 1'000, 30'000'000},
    {Site::small_buffer, 30, 100'000, 1'000'000, 1, 60'000},
    {Site::bandwidth, 20, 200'000, 1'000'000, 1'000, 1'000'000},
    {Site::bit_flip, 15, 50'000, 500'000, 1, 800'000},
    {Site::datagram_burst, 25, 1'000, 50'000, 2, 60},
    {Site::datagram_flip, 30, 1'000, 100'000, 1, 12'000},
    {Site::datagram_cut, 25, 1'000, 100'000, 1, 1'500},
    {Site::mtu_black_hole, 15, 1'000, 50'000, 1, 300},
    {Site::address_change, 25, 1'000, 50'000, 1, 1},
    {Site::partition, 20, 1'000, 50'000, 1'000'000, 3'000'000'000},
    {Site::partition_one_way, 15, 1'000, 50'000, 1'000'000, 3'000'000'000},
    {Site::isolation, 15, 1'000, 50'000, 1'000'000, 3'000'000'000},
    {Site::clock_skew, 30, 200'000, 1'000'000, 1'000'000, 3'600'000'000'000},
    {Site::clock_drift, 30, 200'000, 1'000'000, 1, 500},
    {Site::no_descriptors, 15, 20'000, 300'000, 1, 1},
    {Site::no_memory, 20, 1'000, 50'000, 1, 1},
    {Site::crash, 40, 100, 5'000, 1'000'000, 2'000'000'000},
    {Site::power_loss, 35, 100, 5'000, 1'000'000, 5'000'000'000},
    {Site::pause, 35, 100, 10'000, 1'000'000, 3'000'000'000},
    {Site::unsynced_kept, 50, 200'000, 1'000'000, 1, 16},
    {Site::split, 15, 500, 20'000, 1'000'000, 3'000'000'000},
    {Site::timer_drift, 40, 200'000, 1'000'000, 1, 500},
    {Site::short_backlog, 20, 200'000, 1'000'000, 1, 4},
    {Site::short_datagram_queue, 20, 200'000, 1'000'000, 1, 64},
    {Site::ring_delay, 70, 50'000, 1'000'000, 1'000, 20'000'000},
    {Site::ring_short_send, 50, 10'000, 700'000, 200, 70'000},
    {Site::ring_short_receive, 50, 10'000, 700'000, 200, 5'000},
    {Site::ring_interrupted, 40, 10'000, 300'000, 2, 2},
    {Site::ring_cancel_race, 60, 100'000, 700'000, 3, 3},
    {Site::ring_no_buffers, 40, 10'000, 300'000, 1, 1},
    {Site::ring_multishot_end, 50, 10'000, 500'000, 1, 1},
    {Site::ring_no_notification, 40, 50'000, 500'000, 1, 1},
    {Site::ring_notification, 60, 100'000, 1'000'000, 1'000, 200'000'000},
    {Site::ring_enter, 40, 10'000, 300'000, 3, 3},
    {Site::ring_submission_queue, 50, 1'000'000, 1'000'000, 1, 4},
    {Site::ring_completion_queue, 50, 1'000'000, 1'000'000, 1, 4},
    {Site::ring_old_kernel, 40, 1'000'000, 1'000'000, 63, 63},
    {Site::ring_accept, 20, 20'000, 300'000, 2, 2},
    {Site::ring_reset, 20, 50'000, 500'000, 1, 200'000},
    {Site::mail_delay, 70, 20'000, 1'000'000, 1'000, 100'000'000},
};

class Draw {
 public:
  explicit Draw(std::uint64_t seed) noexcept : state_(scramble(seed ^ 0x5177a24bULL)) {}
  std::uint64_t below(std::uint64_t bound) noexcept {
    state_ += 0x9e3779b97f4a7c15ULL;
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(scramble(state_)) * bound) >>
                                      64);
  }
  // Log-uniform by powers of two: small values are as likely as large ones.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {
    std::uint64_t octaves = 0;
    while ((low << octaves) < high) ++octaves;
    const std::uint64_t base = low << below(octaves + 1);
    return std::min(high, base + below(base));
  }

 private:
  std::uint64_t state_;
};

}  // namespace

void FaultPlan::off(Site site) noexcept {
  (*this)[site].ppm = 0;
  std::erase_if(rules, [site](const FaultRule& rule) { return rule.site == site; });
}

bool FaultPlan::may_strike(Site site) const noexcept {
  return (*this)[site].ppm != 0 ||
         std::any_of(rules.begin(), rules.end(),
                     [site](const FaultRule& r) { return r.site == site && r.fault.ppm != 0; });
}

FaultPlan FaultPlan::none() noexcept {
  FaultPlan plan;
  for (const SwarmRange& range : swarm_ranges) plan[range.site].bound = range.bound_high;
  plan[Site::wake_order] = {certain, std::uint64_t{1} << 32};
  // No swarm has it: a scenario must say what becomes of whoever is told to stop.
  plan[Site::cancel].bound = 2;
  return plan;
}

FaultPlan FaultPlan::all() noexcept {
  FaultPlan plan = none();
  for (const SwarmRange& range : swarm_ranges) {
    std::uint32_t ppm = range.ppm_low;
    while (std::uint64_t{ppm} * ppm < std::uint64_t{range.ppm_low} * range.ppm_high) ppm += ppm / 4;
    plan[range.site].ppm = ppm;
  }
  return plan;
}

FaultPlan FaultPlan::swarm(std::uint64_t seed) {
  FaultPlan plan = none();
  Draw draw(seed);
  if (draw.below(20) == 0)
    plan[Site::wake_order].ppm = 0;  // first woken, first run: also a schedule
  for (const SwarmRange& range : swarm_ranges) {
    // Drawn even where the fault stays off, so that a change to one range moves no other.
    const bool on = draw.below(100) < range.on_percent;
    const std::uint64_t ppm = draw.between(range.ppm_low, range.ppm_high);
    const std::uint64_t bound = draw.between(range.bound_low, range.bound_high);
    if (on) plan[range.site] = {static_cast<std::uint32_t>(ppm), bound};
  }
  // Some of them in one place only: what a fault does to one side hides where both suffer.
  Draw places(seed ^ 0x9fb21c651e98df25ULL);
  for (const SwarmRange& range : swarm_ranges) {
    const std::uint64_t place = places.below(20);
    Fault& fault = plan[range.site];
    const Reach reach = reach_of(range.site);
    if (place >= 4 || fault.ppm == 0 || reach == Reach::world) continue;
    FaultRule rule;
    rule.site = range.site;
    rule.fault = fault;
    rule.scope = place < 2 || reach != Reach::direction ? FaultRule::Scope::node
                                                        : FaultRule::Scope::direction;
    rule.first = place % 2 == 0 ? "#1" : "#2";
    if (rule.scope == FaultRule::Scope::direction) rule.second = place % 2 == 0 ? "#2" : "#1";
    fault.ppm = 0;
    plan.rules.push_back(std::move(rule));
  }
  // In some runs the faults end: what they leave behind must not last.
  Draw end(seed ^ 0x2545f4914f6cdd1dULL);
  if (end.below(10) < 3)
    plan.calm = TimePoint{static_cast<std::int64_t>(end.between(1'000'000, 30'000'000'000))};
  return plan;
}

Result<void> FaultPlan::set(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return Errc::invalid;
  const std::string_view value = text.substr(equals + 1);
  const std::string_view where = text.substr(0, equals);
  if (where == "calm") {
    const auto at = parse_instant(value);
    if (!at) return at.error();
    calm = *at;
    return {};
  }
  if (where.find('@') != std::string_view::npos || value.find('/') != std::string_view::npos) {
    auto rule = FaultRule::parse(text);
    if (!rule) return rule.error();
    if (value.substr(0, value.find('/')).find(':') == std::string_view::npos)
      rule->fault.bound = (*this)[rule->site].bound;
    rules.push_back(std::move(*rule));
    return {};
  }
  const auto site = site_named(where);
  if (!site) return Errc::invalid;
  const auto fault = parse_fault(value, (*this)[*site]);
  if (!fault) return fault.error();
  (*this)[*site] = *fault;
  return {};
}

std::string FaultPlan::to_text() const {
  std::string text;
  for (std::size_t i = 0; i < site_count; ++i) {
    if (faults[i].ppm == 0) continue;
    if (!text.empty()) text += ' ';
    text += std::string(name(static_cast<Site>(i))) + "=" + format_probability(faults[i].ppm) +
            ":" + std::to_string(faults[i].bound);
  }
  for (const FaultRule& rule : rules) text += (text.empty() ? "" : " ") + rule.to_text();
  if (calm != TimePoint::never())
    text += (text.empty() ? "calm=" : " calm=") + format_instant(calm);
  return text;
}

}  // namespace twinwire::sim
