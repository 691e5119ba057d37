// SPDX-License-Identifier: Apache-2.0
#include "sim/site.h"

namespace twinwire::sim {
namespace {

constexpr std::array<std::string_view, site_count> names{"wake_order",
                                                         "connect_delay",
                                                         "connect_refused",
                                                         "connect_black_hole",
                                                         "accept_failure",
                                                         "segment_delay",
                                                         "clog",
                                                         "short_write",
                                                         "short_read",
                                                         "reset",
                                                         "reset_one_side",
                                                         "silent_loss",
                                                         "early_fin",
                                                         "reset_overtakes",
                                                         "datagram_delay",
                                                         "datagram_loss",
                                                         "datagram_duplicate",
                                                         "small_buffer",
                                                         "bandwidth",
                                                         "bit_flip",
                                                         "datagram_burst",
                                                         "datagram_flip",
                                                         "datagram_cut",
                                                         "mtu_black_hole",
                                                         "address_change",
                                                         "partition",
                                                         "partition_one_way",
                                                         "isolation",
                                                         "clock_skew",
                                                         "clock_drift",
                                                         "no_descriptors",
                                                         "no_memory",
                                                         "crash",
                                                         "power_loss",
                                                         "pause",
                                                         "unsynced_kept",
                                                         "split",
                                                         "timer_drift",
                                                         "short_backlog",
                                                         "short_datagram_queue",
                                                         "cancel",
                                                         "ring_delay",
                                                         "ring_short_send",
                                                         "ring_short_receive",
                                                         "ring_interrupted",
                                                         "ring_cancel_race",
                                                         "ring_no_buffers",
                                                         "ring_multishot_end",
                                                         "ring_no_notification",
                                                         "ring_notification",
                                                         "ring_enter",
                                                         "ring_submission_queue",
                                                         "ring_completion_queue",
                                                         "ring_old_kernel",
                                                         "ring_accept",
                                                         "ring_reset",
                                                         "mail_delay"};

}  // namespace

std::string_view name(Site site) noexcept { return names[static_cast<std::size_t>(site)]; }

std::optional<Site> site_named(std::string_view text) noexcept {
  for (std::size_t i = 0; i < site_count; ++i)
    if (names[i] == text) return static_cast<Site>(i);
  return std::nullopt;
}

}  // namespace twinwire::sim
