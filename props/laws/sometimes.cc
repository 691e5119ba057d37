// SPDX-License-Identifier: Apache-2.0
#include "props/laws/sometimes.h"

#include <array>

namespace twinwire::laws {
namespace {

constexpr std::uint32_t tcp = 1, tls = 2, ws = 4, wss = 8, quic = 16;
constexpr std::uint32_t framed = tcp | tls;
constexpr std::uint32_t secured = tls | wss;
constexpr std::uint32_t webbed = ws | wss;
constexpr std::uint32_t streams = tcp | tls | ws | wss;
constexpr std::uint32_t any_transport = streams | quic;
static_assert(transport_names() ==
              std::array<std::string_view, transport_count>{"tcp", "tls", "ws", "wss", "quic"});

constexpr std::uint64_t rare_seeds = 20'000;

using S = Sometimes;
constexpr SometimesEntry entries[] = {
    {S::write_cut_in_last_piece, "write_cut_in_last_piece",
     "a write of several pieces was cut inside the last of them", "traffic", streams},
    {S::write_cut_between_pieces, "write_cut_between_pieces",
     "a write of several pieces was cut between two of them", "traffic", streams},
    {S::writer_waited_for_room, "writer_waited_for_room",
     "backpressure reached a sender: its buffer was full", "traffic", streams},
    {S::window_closed, "window_closed", "a sender had bytes and the receiver had no window",
     "traffic", streams},
    {S::success_raced_stop, "success_raced_stop",
     "a cancellation or deadline came, and so had what was waited for", "traffic", streams},
    {S::closed_with_bytes_unread, "closed_with_bytes_unread",
     "a stream was dropped while bytes waited to be read", "traffic", streams},
    {S::cut_inside_segment, "cut_inside_segment",
     "a fault at a byte met the middle of what arrived", "traffic", streams},
    {S::bytes_read_after_reset, "bytes_read_after_reset",
     "bytes were read that had come before a reset", "traffic", streams},
    {S::segments_merged, "segments_merged", "one read got several segments together", "traffic",
     streams},
    {S::read_after_own_end, "read_after_own_end", "a side that had ended its half read on",
     "traffic", framed | wss},
    {S::ends_crossed, "ends_crossed", "both sides' ends were on their way at once", "traffic",
     streams},
    {S::backlog_full, "backlog_full", "a SYN was dropped, since the backlog was full", "crowd",
     streams},
    {S::connected_by_later_syn, "connected_by_later_syn",
     "a connect succeeded by a SYN that was sent again", "crowd", streams},
    {S::lost_and_sent_again, "lost_and_sent_again",
     "a partition healed: what was lost in it was sent again", "traffic", streams},
    {S::given_up_after_silence, "given_up_after_silence",
     "a connection died of silence (ETIMEDOUT)", "crowd", streams},
    {S::descriptors_out_and_back, "descriptors_out_and_back",
     "a connection was accepted after descriptors had run out for it", "accepting", streams,
     often_seeds},
    {S::memory_short_inside_write, "memory_short_inside_write",
     "a write was cut since memory ran out", "traffic", streams},
    {S::listener_gone_before_connection, "listener_gone_before_connection",
     "a connection opened where the listener had just gone", "crowd", streams},
    {S::datagram_overtaken, "datagram_overtaken", "a datagram came after a younger one", "traffic",
     quic},
    {S::datagram_buffer_full, "datagram_buffer_full",
     "a datagram was dropped, since the receive buffer was full", "requests", quic, often_seeds},
    {S::datagram_to_forgotten_address, "datagram_to_forgotten_address",
     "a datagram came to an address that a NAT had forgotten", "traffic", quic},
    {S::batch_of_512, "batch_of_512", "a batch of as many messages as one may have succeeded",
     "traffic", any_transport},
    {S::message_larger_than_buffers, "message_larger_than_buffers",
     "a message was read that both sockets' buffers together do not hold", "traffic",
     any_transport},
    {S::batch_ran_out_of_time, "batch_ran_out_of_time", "a batch failed by its deadline", "traffic",
     any_transport},
    {S::batch_canceled, "batch_canceled", "a batch failed by a cancellation", "traffic",
     any_transport},
    {S::batch_failed_half_written, "batch_failed_half_written",
     "a write failed behind one that had been cut", "traffic", streams},
    {S::write_failed_between_pieces, "write_failed_between_pieces",
     "the same, cut between two pieces: a reset between two messages", "traffic", streams,
     rare_seeds},
    {S::read_after_stopped_read, "read_after_stopped_read",
     "a read was told to stop, and the next one yielded a message", "traffic", any_transport},
    {S::close_ran_out_of_time, "close_ran_out_of_time", "a close ended by its time", "traffic",
     any_transport},
    {S::read_stopped_inside_frame, "read_stopped_inside_frame",
     "a read was told to stop with half a frame in the decoder", "traffic", framed},
    {S::reader_woken_by_drop, "reader_woken_by_drop",
     "this side dropped the connection under a reader", "traffic", framed},
    {S::close_took_over_read, "close_took_over_read", "a close took the stream from a reader",
     "traffic", framed},
    {S::handshake_timed_out, "handshake_timed_out", "a handshake ran out of time", "accepting",
     any_transport, often_seeds},
    {S::handshake_evicted, "handshake_evicted", "the oldest handshake made room for a newer one",
     "accepting", any_transport, often_seeds},
    {S::accept_paused, "accept_paused", "a listener waited for descriptors", "accepting", streams,
     often_seeds},
    {S::accept_held_back, "accept_held_back",
     "a listener held connections back, since nobody accepted", "crowd", streams},
    {S::tls_key_update, "tls_key_update", "keys were changed in the middle of traffic", "traffic",
     secured},
    {S::tls_resumed, "tls_resumed", "a session was resumed with a ticket", "traffic", secured},
    {S::tls_record_refused, "tls_record_refused", "a record did not authenticate", "traffic",
     secured},
    {S::tls_cut_without_goodbye, "tls_cut_without_goodbye",
     "a stream ended before its close_notify", "traffic", secured},
    {S::tls_plaintext_waits, "tls_plaintext_waits",
     "so much plaintext waited that no more was read", "traffic", secured, rare_seeds},
    {S::ws_control_inside_message, "ws_control_inside_message",
     "a ping or pong came between the frames of a message", "strict_reader", webbed, often_seeds},
    {S::ws_pong_sent, "ws_pong_sent", "a ping was answered between two batches", "traffic", webbed},
    {S::ws_closes_crossed, "ws_closes_crossed", "a Close came to a side that had sent its own",
     "traffic", webbed},
    {S::ws_inbox_full, "ws_inbox_full", "the pump waited for a reader, since the inbox was full",
     "traffic", webbed},
    {S::ws_bytes_behind_upgrade, "ws_bytes_behind_upgrade",
     "the first frame came together with the end of the handshake", "traffic", webbed},
    {S::quic_retry, "quic_retry", "a newcomer was asked to prove its address", "accepting", quic,
     often_seeds},
    {S::quic_path_changed, "quic_path_changed", "a connection went on over another path", "traffic",
     quic},
    {S::quic_credit_exhausted, "quic_credit_exhausted",
     "a stream had bytes to send and no credit, or there were no more streams", "traffic", quic},
    {S::quic_message_overtaken, "quic_message_overtaken", "a message was whole before an older one",
     "traffic", quic},
    {S::quic_small_packets, "quic_small_packets",
     "large packets got lost, and smaller ones took their place", "traffic", quic},
    {S::quic_close_packet_repeated, "quic_close_packet_repeated",
     "a close packet was sent again to a peer that had missed it", "traffic", quic},
    {S::quic_request_given_up, "quic_request_given_up",
     "a request was given up while its reply was on its way", "requests", quic, often_seeds},
    {S::bus_backpressure, "bus_backpressure", "a message found its peer's queue full", "bus",
     any_transport, often_seeds},
    {S::bus_duplicate_rejected, "bus_duplicate_rejected",
     "a replica came that was thought to be connected", "bus", any_transport},
    {S::bus_late_cleanup, "bus_late_cleanup",
     "a connection was cleaned up when a newer one of its peer was there", "bus", any_transport},
    {S::bus_forced_drain, "bus_forced_drain", "a peer did not end within a shutdown's bound", "bus",
     any_transport, often_seeds},
    {S::bus_forward_met_loss, "bus_forward_met_loss",
     "a message came from another shard, and its connection was gone", "bus_shards", any_transport,
     often_seeds},
    {S::bus_forward_refused, "bus_forward_refused", "the lane to another shard was full",
     "bus_shards", any_transport, often_seeds},
    {S::bus_claimed_elsewhere, "bus_claimed_elsewhere", "a replica came that another shard had",
     "bus_shards", any_transport, often_seeds},
    {S::log_sent_again, "log_sent_again",
     "an entry was sent again to a backup: its connection had ended before it was synced there",
     "log", any_transport, often_seeds},
    {S::log_answered_again, "log_answered_again",
     "a request came again after it had been applied, and was answered from the table", "log",
     any_transport, often_seeds},
    {S::log_torn_end, "log_torn_end", "a log's end was torn by a crash, and cut off", "log",
     any_transport, often_seeds},
    {S::log_unsynced_lost, "log_unsynced_lost",
     "a backup's crash took entries that it had not synced", "log", any_transport, often_seeds},
    {S::log_caught_up_from_far, "log_caught_up_from_far",
     "a backup came back that was further behind than the window", "log", any_transport,
     often_seeds},
};

constexpr bool is_in_order() {
  for (std::size_t i = 0; i < std::size(entries); ++i)
    if (entries[i].state != static_cast<Sometimes>(i)) return false;
  return std::size(entries) == sometimes_count;
}
static_assert(is_in_order());

}  // namespace

std::span<const SometimesEntry> sometimes_list() noexcept { return entries; }

const SometimesEntry& entry_of(Sometimes state) noexcept {
  return entries[static_cast<std::size_t>(state)];
}

bool is_due(const SometimesEntry& entry, std::size_t transport,
            std::string_view scenario) noexcept {
  return (entry.transports >> transport & 1) != 0 && entry.scenario == scenario;
}

void count_states(SometimesTallies& tallies, const SometimesCounts& reached) noexcept {
  for (std::size_t i = 0; i < sometimes_count; ++i) {
    tallies[i].times += reached[i];
    tallies[i].seeds += reached[i] != 0 ? 1 : 0;
  }
}

void add(SometimesTallies& to, const SometimesTallies& more) noexcept {
  for (std::size_t i = 0; i < sometimes_count; ++i) {
    to[i].times += more[i].times;
    to[i].seeds += more[i].seeds;
  }
}

std::vector<Sometimes> missing(const SometimesTallies& tallies, std::size_t transport,
                               std::string_view scenario, std::uint64_t seeds) {
  std::vector<Sometimes> found;
  for (const SometimesEntry& entry : entries)
    if (is_due(entry, transport, scenario) && entry.seeds <= seeds &&
        tallies[static_cast<std::size_t>(entry.state)].times == 0)
      found.push_back(entry.state);
  return found;
}

}  // namespace twinwire::laws
