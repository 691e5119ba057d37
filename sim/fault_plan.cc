// SPDX-License-Identifier: Apache-2.0
#include "sim/fault_plan.h"

#include <algorithm>
#include <charconv>

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

// Decimal fraction to parts per million without floating point.
Result<std::uint32_t> parse_probability(std::string_view text) {
  std::uint64_t whole = 0;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, whole);
  if (error != std::errc{} || whole > 1) return Errc::invalid;
  std::uint64_t ppm = whole * certain;
  if (at != end) {
    if (*at != '.') return Errc::invalid;
    std::uint64_t unit = certain;
    for (++at; at != end; ++at) {
      if (*at < '0' || *at > '9') return Errc::invalid;
      unit /= 10;
      if (unit == 0 && *at != '0') return Errc::invalid;  // finer than it can be: it would be off
      ppm += unit * static_cast<std::uint64_t>(*at - '0');
    }
  }
  if (ppm > certain) return Errc::invalid;
  return static_cast<std::uint32_t>(ppm);
}

std::string format_probability(std::uint32_t ppm) {
  if (ppm == certain) return "1";
  std::string digits = std::to_string(ppm);
  digits.insert(0, 6 - digits.size(), '0');
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  return "0." + digits;
}

}  // namespace

FaultPlan FaultPlan::none() noexcept {
  FaultPlan plan;
  for (const SwarmRange& range : swarm_ranges) plan[range.site].bound = range.bound_high;
  plan[Site::wake_order] = {certain, std::uint64_t{1} << 32};
  return plan;
}

FaultPlan FaultPlan::swarm(std::uint64_t seed) noexcept {
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
  return plan;
}

Result<void> FaultPlan::set(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return Errc::invalid;
  const auto site = site_named(text.substr(0, equals));
  if (!site) return Errc::invalid;
  std::string_view value = text.substr(equals + 1);
  Fault fault = (*this)[*site];
  if (const std::size_t colon = value.find(':'); colon != std::string_view::npos) {
    const std::string_view bound = value.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(bound.data(), bound.data() + bound.size(), fault.bound);
    if (error != std::errc{} || end != bound.data() + bound.size() || fault.bound == 0)
      return Errc::invalid;
    value = value.substr(0, colon);
  }
  const auto ppm = parse_probability(value);
  if (!ppm) return ppm.error();
  fault.ppm = *ppm;
  (*this)[*site] = fault;
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
  return text;
}

}  // namespace twinwire::sim
