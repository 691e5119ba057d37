// SPDX-License-Identifier: Apache-2.0
// Sometimes: states that a healthy suite of tests must reach now and then. A law says what must always hold; it says
// nothing where the situation that would break it never comes. These are such situations, by name.
//
// Whoever is in one says so: scheduler.reached(Sometimes::tls_key_update). The World counts; on the Ring nobody does,
// and it costs a branch, at places where a connection seldom is. What each means, over which transports and in which
// scenario it must come: props/laws/sometimes.cc.
#pragma once

#include <cstddef>
#include <cstdint>

#include "transport/base/sometimes_counts.h"

namespace twinwire {

enum class Sometimes : std::uint8_t {
  // --- Streams, as the World sees them -------------------------------------------------------------------------------
  write_cut_in_last_piece,
  write_cut_between_pieces,
  writer_waited_for_room,
  window_closed,
  success_raced_stop,
  closed_with_bytes_unread,
  cut_inside_segment,
  bytes_read_after_reset,
  segments_merged,
  read_after_own_end,
  ends_crossed,
  backlog_full,
  connected_by_later_syn,
  lost_and_sent_again,
  given_up_after_silence,
  descriptors_out_and_back,
  memory_short_inside_write,
  listener_gone_before_connection,
  // --- Datagrams -----------------------------------------------------------------------------------------------------
  datagram_overtaken,
  datagram_buffer_full,
  datagram_to_forgotten_address,
  // --- The message seam ----------------------------------------------------------------------------------------------
  batch_of_512,
  message_larger_than_buffers,
  batch_ran_out_of_time,
  batch_canceled,
  batch_failed_half_written,
  write_failed_between_pieces,
  read_after_stopped_read,
  close_ran_out_of_time,
  // --- Inside the transports -----------------------------------------------------------------------------------------
  read_stopped_inside_frame,
  reader_woken_by_drop,
  close_took_over_read,
  handshake_timed_out,
  handshake_evicted,
  accept_paused,
  accept_held_back,
  tls_key_update,
  tls_resumed,
  tls_record_refused,
  tls_cut_without_goodbye,
  tls_plaintext_waits,
  ws_control_inside_message,
  ws_pong_sent,
  ws_closes_crossed,
  ws_inbox_full,
  ws_bytes_behind_upgrade,
  quic_retry,
  quic_path_changed,
  quic_credit_exhausted,
  quic_message_overtaken,
  quic_small_packets,
  quic_close_packet_repeated,
  quic_request_given_up,
  // --- The bus -------------------------------------------------------------------------------------------------------
  bus_backpressure,
  bus_duplicate_rejected,
  bus_late_cleanup,
  bus_forced_drain,
  bus_forward_met_loss,
  bus_forward_refused,
  bus_claimed_elsewhere,
  // --- The replicated log --------------------------------------------------------------------------------------------
  log_sent_again,
  log_answered_again,
  log_torn_end,
  log_unsynced_lost,
  log_caught_up_from_far,
};
inline constexpr std::size_t sometimes_count =
    static_cast<std::size_t>(Sometimes::log_caught_up_from_far) + 1;
static_assert(sometimes_count <= sometimes_max);

}  // namespace twinwire
