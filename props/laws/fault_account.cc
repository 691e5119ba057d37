// SPDX-License-Identifier: Apache-2.0
#include "props/laws/fault_account.h"

namespace twinwire::laws {
namespace {

enum class Meets : std::uint8_t { all, streams, datagrams, calendars, ciphers, nodes, who_asks };

constexpr Meets what_it_meets(sim::Site site) noexcept {
  using sim::Site;
  switch (site) {
    case Site::wake_order:
    case Site::partition:
    case Site::partition_one_way:
    case Site::isolation:
    case Site::no_descriptors:
    case Site::split:
    case Site::no_memory: return Meets::all;
    case Site::crash:
    case Site::power_loss:
    case Site::pause:
    case Site::unsynced_kept:
    case Site::timer_drift: return Meets::nodes;
    case Site::cancel:                              // in no swarm
    case Site::mail_delay: return Meets::who_asks;  // in the swarms of who has shards
    case Site::datagram_delay:
    case Site::datagram_loss:
    case Site::datagram_duplicate:
    case Site::datagram_burst:
    case Site::datagram_flip:
    case Site::datagram_cut:
    case Site::mtu_black_hole:
    case Site::short_datagram_queue:
    case Site::address_change: return Meets::datagrams;
    case Site::clock_skew:
    case Site::clock_drift: return Meets::calendars;
    case Site::bit_flip: return Meets::ciphers;
    default: return Meets::streams;
  }
}

template <std::size_t... i>
constexpr std::array<bool, transport_count> datagram_transports(std::index_sequence<i...>) {
  return {over_datagrams<std::tuple_element_t<i, Transports>>...};
}
constexpr auto by_datagrams = datagram_transports(std::make_index_sequence<transport_count>{});

}  // namespace

void count_faults(FaultTallies& tallies, const sim::RunReport& report) noexcept {
  for (std::size_t i = 0; i < sim::site_count; ++i) {
    const sim::SiteCount& count = report.counts[i];
    FaultTally& tally = tallies[i];
    tally.count.drawn += count.drawn;
    tally.count.struck += count.struck;
    tally.count.bit += count.bit;
    tally.seeds_on += report.on[i] ? 1 : 0;
    tally.seeds_bit += count.bit != 0 ? 1 : 0;
  }
}

void add(FaultTallies& to, const FaultTallies& more) noexcept {
  for (std::size_t i = 0; i < sim::site_count; ++i) {
    to[i].count.drawn += more[i].count.drawn;
    to[i].count.struck += more[i].count.struck;
    to[i].count.bit += more[i].count.bit;
    to[i].seeds_on += more[i].seeds_on;
    to[i].seeds_bit += more[i].seeds_bit;
    to[i].reruns += more[i].reruns;
    to[i].changed += more[i].changed;
  }
}

bool meets(sim::Site site, std::size_t transport, bool nodes, bool kernel) noexcept {
  if (sim::is_of_ring(site)) return kernel;
  if (kernel) return site == sim::Site::wake_order || site == sim::Site::no_memory;
  switch (what_it_meets(site)) {
    case Meets::all: return true;
    case Meets::streams: return !by_datagrams[transport];
    case Meets::datagrams: return by_datagrams[transport];
    case Meets::calendars: return transport_encrypts(transport);
    case Meets::nodes: return nodes;
    case Meets::who_asks: return false;
    case Meets::ciphers: return transport_encrypts(transport) && !by_datagrams[transport];
  }
  return true;
}

std::vector<Toothless> toothless(const FaultTallies& tallies, std::size_t transport, bool nodes,
                                 const Enough& enough, bool kernel) {
  std::vector<Toothless> found;
  for (std::size_t i = 0; i < sim::site_count; ++i) {
    const auto site = static_cast<sim::Site>(i);
    const FaultTally& tally = tallies[i];
    if (!meets(site, transport, nodes, kernel)) continue;
    if (tally.seeds_on >= enough.seeds_on && tally.count.drawn == 0)
      found.push_back({site, false});
    else if (tally.count.struck >= enough.struck && tally.count.bit == 0)
      found.push_back({site, true});
  }
  return found;
}

}  // namespace twinwire::laws
