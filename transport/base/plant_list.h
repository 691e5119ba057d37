// SPDX-License-Identifier: Apache-2.0
// The catalogue of planted bugs. Compiled only into the library that tests and `twinwire-planted` link.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace twinwire::plant {

// X(name, what the bug does, the law that must catch it)
#define TWINWIRE_PLANT_LIST(X)                                                                   \
  X(resume_at_wrong_offset, "a short write resumes one byte early", "prefix")                    \
  X(resume_at_piece_start, "a short write resumes at the start of the piece it stopped in",      \
    "prefix")                                                                                    \
  X(short_write_is_success, "a short write counts as the whole batch", "accepted")               \
  X(success_before_accepted, "what a short write left is queued, and success reported at once",  \
    "accepted")                                                                                  \
  X(retry_failed_batch, "a failed batch is sent again on the same connection", "drop")           \
  X(keep_connection_after_failure, "a failed batch leaves the connection up", "drop")            \
  X(drain_batch_on_failure, "a failed batch is emptied", "batch_kept")                           \
  X(failed_batch_reports_success, "a failed batch reports success", "batch_reused")              \
  X(free_batch_allocation, "success frees the batch's memory instead of keeping it",             \
    "batch_reused")                                                                              \
  X(swap_two_messages, "two messages of a batch change places", "prefix")                        \
  X(skip_last_of_large_batch, "the last message of a batch of more than 64 is left out",         \
    "accepted")                                                                                  \
  X(coalesce_swaps_pieces, "a large message overtakes small ones that were copied", "prefix")    \
  X(coalesce_reuses_space, "copies are overwritten before a short write has been resumed",       \
    "prefix")                                                                                    \
  X(coalesce_drops_when_full, "a message that needs the space anew is left out", "accepted")     \
  X(coalesce_drops_boundary, "a message of just the size from which none is copied is left out", \
    "accepted")                                                                                  \
  X(coalesce_copies_large, "messages above the bound are copied, too", "zero_copy")              \
  X(shared_withdrawn_is_sent, "a message that its sender was told is withdrawn is sent",         \
    "shared_order")                                                                              \
  X(shared_leader_unshielded, "a sender that is told to stop costs all others the connection",   \
    "shared_alone")                                                                              \
  X(shared_others_told_success, "of a failed batch only the sender that led is told",            \
    "batch_reused")                                                                              \
  X(shared_newest_first, "messages that wait to be sent leave newest first", "shared_order")     \
  X(shared_last_not_woken, "the last sender of a batch is not told", "stuck")                    \
  X(shared_lost_beyond_limit, "what does not fit into a batch is lost, and success reported",    \
    "accepted")                                                                                  \
  X(shared_queue_not_told, "who waits behind a failed batch is not told", "stuck")               \
  X(shared_success_when_queued, "whoever waits behind a batch is told success", "accepted")      \
  X(shared_close_forgets_queue, "close drops what is queued, and reports success", "accepted")   \
  X(drop_by_fin, "a dropped connection says good-bye instead of resetting", "drop")              \
  X(reader_sleeps_when_writer_dies, "the writer's failure does not wake the reader", "drop")     \
  X(reader_waits_for_dead_writer, "the reader of a dropped connection goes on waiting",          \
    "reader_wakes")                                                                              \
  X(lose_bytes_when_read_stops, "a read that is told to stop drops the partial frame",           \
    "read_checks")                                                                               \
  X(accept_oversize_frame, "a frame over the reader's maximum is accepted", "read_checks")       \
  X(accept_unknown_command, "a frame with an unknown command is accepted", "read_checks")        \
  X(allocate_before_size_check, "memory is taken before the size is checked", "read_bounded")    \
  X(yield_cut_off_message, "a message cut off by the end of the stream is yielded", "prefix")    \
  X(eof_inside_frame_is_closed, "the end of the stream inside a frame reads as a clean close",   \
    "read_end")                                                                                  \
  X(keep_connection_after_invalid, "a peer that violates the protocol stays connected",          \
    "read_checks")                                                                               \
  X(read_ignores_deadline, "read_message waits beyond its deadline", "deadline")                 \
  X(close_without_drain, "close does not wait for the peer's end", "close_delivers")             \
  X(close_without_bound, "close waits for ever", "close_returns")                                \
  X(close_ignores_timeout, "close reports success when its grace ran out", "close_delivers")     \
  X(accept_waits_for_handshake, "the handshake runs inside the accept loop", "accept")           \
  X(handshake_without_timeout, "a mute peer's handshake never ends", "accept")                   \
  X(handshakes_without_bound, "unfinished handshakes pile up", "accept")                         \
  X(ready_without_bound, "connections that nobody accepts pile up", "accept")                    \
  X(evict_newest_handshake, "at the bound the newest handshake makes room", "accept")            \
  X(accept_error_ends_listener, "one failed accept ends the listener", "accept")                 \
  X(accept_spins_without_descriptors, "accept spins while descriptors are out", "accept")        \
  X(accept_sleeps_after_shortage, "after a shortage nobody is accepted until accept is called",  \
    "recovery")

// The same for bugs in TLS: to be looked for over that transport.
#define TWINWIRE_TLS_PLANT_LIST(X)                                                           \
  X(eof_without_close_notify_is_closed, "a TLS stream cut off between records ends cleanly", \
    "read_end")                                                                              \
  X(write_returns_before_flush, "a TLS write succeeds while its ciphertext is still queued", \
    "accepted")                                                                              \
  X(ciphertext_held_back, "the end of the ciphertext waits for the next write", "accepted")  \
  X(close_notify_not_sent, "a TLS stream is ended without close_notify", "close_delivers")   \
  X(abort_sends_close_notify, "a TLS connection that is dropped says good-bye", "drop")      \
  X(canceled_read_loses_plaintext, "a TLS read that is told to stop loses what comes next",  \
    "read_checks")                                                                           \
  X(inbound_without_bound, "decrypted bytes pile up while nobody reads", "backpressure")     \
  X(record_number_not_given_back, "records that we sealed leave GnuTLS at the old number",   \
    "close_delivers")                                                                        \
  X(verify_off, "the server's certificate is not verified", "identity")                      \
  X(failed_handshake_keeps_slot, "a handshake that fails counts as unfinished for ever", "recovery")

// In WebSocket.
#define TWINWIRE_WS_PLANT_LIST(X)                                                                  \
  X(ws_success_when_queued, "what a short write left is forgotten, and success reported",          \
    "accepted")                                                                                    \
  X(ws_bypass_size_limit, "a message over the reader's maximum is taken", "read_checks")           \
  X(pong_splits_a_frame, "a pong may come between the pieces of a batch", "prefix")                \
  X(mask_restarts_with_each_piece, "unmasking starts anew with each piece that arrives", "prefix") \
  X(continuation_without_a_start, "a continuation of nothing is a message", "read_checks")         \
  X(size_field_unchecked, "a payload need not have its header's size", "read_checks")              \
  X(end_without_close_is_closed, "a stream that ends without a Close reads as closed", "read_end") \
  X(bytes_behind_upgrade_lost, "bytes behind the upgrade are lost", "prefix")                      \
  X(ws_reader_sleeps_when_dropped, "the writer's failure does not wake the reader", "reader_wakes")

// Where WebSocket and TLS are put together: wss is nothing else.
#define TWINWIRE_WSS_PLANT_LIST(X)                                                              \
  X(wss_verification_skipped, "wss: the server's certificate is not verified", "identity")      \
  X(wss_client_certificate_not_demanded, "wss: a client need not show the certificate",         \
    "identity")                                                                                 \
  X(wss_bytes_behind_tls_lost, "wss: what came behind the TLS handshake is lost", "accept")     \
  X(wss_handshake_budget_twice, "wss: TLS and the upgrade have the whole time each", "accept")  \
  X(wss_close_notify_before_close, "wss: TLS ends before the Close frame", "close_delivers")    \
  X(wss_stream_not_ended, "wss: after the Close frames TLS is left as it is", "close_delivers") \
  X(wss_reset_at_close_notify, "wss: TLS is destroyed before the stream below it has ended",    \
    "close_delivers")                                                                           \
  X(wss_drop_leaves_the_stream, "wss: a connection that is dropped leaves TLS up", "drop")

// And in QUIC.
#define TWINWIRE_QUIC_PLANT_LIST(X)                                                                \
  X(quic_success_on_partial_write, "QUIC: a stream that is blocked counts as written", "accepted") \
  X(quic_yield_out_of_order, "QUIC: a message is yielded before an older one", "prefix")           \
  X(quic_yield_stream_without_fin, "QUIC: a message is yielded before its end arrived", "prefix")  \
  X(quic_references_freed_before_ack,                                                              \
    "QUIC: a message's memory changes before it is acknowledged", "prefix")                        \
  X(quic_credit_never_extended, "QUIC: the peer gets no credit after the first", "batch_limit")    \
  X(quic_close_before_acked, "QUIC: close does not wait for acknowledgements", "close_delivers")   \
  X(quic_reset_reads_as_closed, "QUIC: a connection that the peer dropped reads as closed",        \
    "drop")                                                                                        \
  X(quic_drop_without_close_packet, "QUIC: a dropped connection tells the peer nothing", "drop")   \
  X(quic_handshake_in_accept_loop, "QUIC: one unfinished handshake keeps others out", "accept")    \
  X(quic_reply_to_another_request, "QUIC: a reply goes to whoever waits, not to who asked",        \
    "reply_matches")                                                                               \
  X(quic_request_credit_lost, "QUIC: what requests took of the window never comes back",           \
    "request_answered")                                                                            \
  X(quic_late_reply_drops_connection, "QUIC: a request that times out drops the connection",       \
    "request_alone")

// In the bus; its replicas speak TCP here, and so do its clients.
#define TWINWIRE_BUS_PLANT_LIST(X)                                                                 \
  X(bus_stale_eviction, "bus: a late clean-up evicts the newer connection of the same replica",    \
    "bus_winner")                                                                                  \
  X(bus_double_notify, "bus: both fibers of a connection tell that it is lost", "bus_notify")      \
  X(bus_reader_left_parked, "bus: a writer that ends does not wake the reader", "bus_left")        \
  X(bus_exception_leaks_slot, "bus: an exception of a handler leaves the place taken", "bus_left") \
  X(bus_send_waits_for_room, "bus: a send to a full queue lets others run first", "bus_suspends")  \
  X(bus_full_queue_drops, "bus: a message to a full queue is dropped, and success reported",       \
    "bus_prefix")                                                                                  \
  X(bus_duplicate_is_served, "bus: a replica's second connection is served, too", "bus_duplicate") \
  X(bus_handshake_in_accept_loop, "bus: a mute newcomer holds up the accept loop", "bus_mesh")     \
  X(bus_handshake_without_limit, "bus: a newcomer may take for ever to say who it is",             \
    "bus_handshakes")                                                                              \
  X(bus_handshakes_without_bound, "bus: newcomers that say nothing pile up", "bus_handshakes")     \
  X(bus_accept_error_ends_plane, "bus: one failed accept ends a plane", "bus_mesh")                \
  X(bus_unauthenticated_is_served, "bus: who fails to prove who it is, is served", "bus_identity") \
  X(bus_drain_one_by_one, "bus: a peer that takes its time drains those behind it of theirs",      \
    "bus_drain")                                                                                   \
  X(bus_shutdown_does_not_flush, "bus: a shutdown drops what is queued", "bus_drain")              \
  X(bus_drain_without_bound, "bus: a shutdown waits for ever for who does not read", "bus_drain")  \
  X(bus_writers_take_turns, "bus: while one peer takes nothing, nobody is written to",             \
    "bus_alone")                                                                                   \
  X(bus_batch_in_reverse, "bus: what is queued leaves newest first", "bus_prefix")                 \
  X(bus_heartbeat_is_message, "bus: heartbeats reach the handler", "bus_prefix")                   \
  X(bus_silence_unnoticed, "bus: a replica that says nothing any more stays connected",            \
    "bus_mesh")                                                                                    \
  X(bus_dials_once, "bus: who was not there at the start is not dialed again", "bus_mesh")         \
  X(bus_dials_connected, "bus: who is connected is dialed all the same", "bus_duplicate")          \
  X(bus_delivers_after_loss, "bus: a connection whose loss was told goes on delivering",           \
    "bus_prefix")                                                                                  \
  X(bus_takes_when_stopping, "bus: a send during a shutdown succeeds", "bus_drain")                \
  X(bus_duplicate_wins, "bus: a replica's second connection ends the first", "bus_winner")         \
  X(bus_place_freed_late, "bus: a place is free only once a slow handler is through", "bus_mesh")  \
  X(bus_handlers_take_turns, "bus: while one handler works, no other is called", "bus_alone")      \
  X(bus_client_id_reused, "bus: the id of a client that is gone is given again", "bus_notify")     \
  X(bus_refusal_takes_message, "bus: a send that is refused takes the message", "bus_refusal")

// In the bus over several shards.
#define TWINWIRE_BUS_SHARDS_PLANT_LIST(X)                                                          \
  X(bus_self_forward, "bus: what was forwarded to a peer that is gone is forwarded once more",     \
    "bus_forward")                                                                                 \
  X(bus_forward_to_newer, "bus: what was forwarded for a connection goes over the next one",       \
    "bus_prefix")                                                                                  \
  X(bus_forward_never_arrives,                                                                     \
    "bus: what was forwarded always comes back, as if nobody were there", "bus_forward")           \
  X(bus_forward_waits, "bus: a send waits for room on the way to another shard", "bus_suspends")   \
  X(bus_forward_overtakes, "bus: what waits for room on that way is overtaken by what comes next", \
    "bus_forward")                                                                                 \
  X(bus_forward_leaks, "bus: what was forwarded to a peer that is gone is kept for ever",          \
    "bus_forward")                                                                                 \
  X(bus_forward_refusal_untold, "bus: nobody is told that what was forwarded could not be queued", \
    "bus_forward")                                                                                 \
  X(bus_forwards_lost_when_stopping, "bus: a shutdown takes nothing that is on its way to it",     \
    "bus_drain")                                                                                   \
  X(bus_shards_do_not_wait, "bus: each shard shuts down without regard to the others",             \
    "bus_drain")                                                                                   \
  X(bus_claim_overwrites, "bus: of two shards that claim a replica the last one has it",           \
    "bus_owner")                                                                                   \
  X(bus_release_unchecked, "bus: a late clean-up frees the newer claim of the same replica",       \
    "bus_owner")                                                                                   \
  X(bus_owner_not_cleared, "bus: a replica that is lost stays claimed", "bus_owner")               \
  X(bus_every_shard_dials, "bus: each shard dials all members", "bus_duplicate")                   \
  X(bus_handed_over_leaks, "bus: a connection handed over during a shutdown stays open", "leak")

// In the replicated log above the bus.
#define TWINWIRE_LOG_PLANT_LIST(X)                                                              \
  X(log_told_before_sync, "log: a replica says that it has what it has not synced yet",         \
    "log_applied")                                                                              \
  X(log_one_copy_is_enough, "log: what the primary alone has is committed", "log_applied")      \
  X(log_ack_counts_twice, "log: one backup's acknowledgement counts for two", "log_applied")    \
  X(log_sent_is_synced, "log: what was sent before a connection ended counts as synced",        \
    "log_applied")                                                                              \
  X(log_commit_is_assumed, "log: after a restart all that the log has counts as committed",     \
    "log_applied")                                                                              \
  X(log_applies_uncommitted, "log: what is synced is applied before it is committed",           \
    "log_applied")                                                                              \
  X(log_applies_in_pairs_reversed, "log: of two entries the later one is applied first",        \
    "log_applied")                                                                              \
  X(log_answers_too_early, "log: who asks again is answered before its request is committed",   \
    "log_majority")                                                                             \
  X(log_answer_of_before, "log: a request gets the answer to the one before", "log_answer")     \
  X(log_retry_is_new, "log: a request that comes again is put into the log again", "log_once")  \
  X(log_sessions_forgotten, "log: after a restart the primary knows of no session", "log_once") \
  X(log_sends_unsynced, "log: a backup is sent what the primary has not synced", "log_prefix")  \
  X(log_gap_is_taken, "log: a backup takes an entry that is not its next one", "log_prefix")    \
  X(log_failed_sync_is_retried, "log: a sync that failed is tried again, and then believed",    \
    "log_prefix")                                                                               \
  X(log_recovery_only_syncs,                                                                    \
    "log: what a failed sync has left is synced by recovery, and not written again",            \
    "log_applied")                                                                              \
  X(log_settles_too_little, "log: recovery writes the last entry again, not the last batch",    \
    "log_applied")                                                                              \
  X(log_torn_end_is_kept, "log: what a crash has torn stays, and the log goes on behind it",    \
    "log_prefix")                                                                               \
  X(log_whole_end_is_cut, "log: after a crash the last entry is cut off, though it is whole",   \
    "log_durable")                                                                              \
  X(log_torn_end_is_damage, "log: a torn end is taken for damage, and refused", "log_recovers") \
  X(log_resends_nothing, "log: a backup that comes back is sent what is new only",              \
    "log_delivered")                                                                            \
  X(log_resends_from_sent,                                                                      \
    "log: with a backup that comes back the primary goes on where it had stopped",              \
    "log_delivered")                                                                            \
  X(log_stale_read_is_sent,                                                                     \
    "log: what was read back is sent, though the backup has said meanwhile where to go on",     \
    "log_gap")                                                                                  \
  X(log_deaf_to_shutdown, "log: the work of the log goes on when the bus shuts down", "log_left")

// In the ring: real/, over the kernel that the scenario `ring` plays.
#define TWINWIRE_RING_PLANT_LIST(X)                                                                \
  X(ring_memory_freed_at_cancel, "ring: a canceled operation's memory is free at once",            \
    "ring_memory")                                                                                 \
  X(ring_cancel_discards_success, "ring: a cancel that comes too late discards the success",       \
    "prefix")                                                                                      \
  X(ring_cancel_lost_when_full, "ring: a cancel that meets a full submission queue is lost",       \
    "stuck")                                                                                       \
  X(ring_cancel_not_repeated, "ring: a cancel that just missed its operation is not repeated",     \
    "ring_left")                                                                                   \
  X(ring_cancel_of_result, "ring: a cancel is repeated though the result is there", "ring_spins")  \
  X(ring_generation_unchecked, "ring: a late completion is taken for that of the slot's next",     \
    "ring_errors")                                                                                 \
  X(ring_interrupted_surfaces, "ring: an interrupted operation fails", "ring_errors")              \
  X(ring_overflow_drops, "ring: of many completions at once some are dropped", "ring_left")        \
  X(ring_memory_freed_before_notification,                                                         \
    "ring: zero-copy memory is free at the first completion", "ring_memory")                       \
  X(ring_notification_is_result, "ring: a zero-copy notification counts as a result", "byte_seam") \
  X(ring_close_while_in_flight, "ring: a descriptor is closed with operations on it",              \
    "ring_descriptor")                                                                             \
  X(ring_failure_forgotten, "ring: a reset that the writer met reads as an end", "ring_end")       \
  X(ring_buffer_given_twice, "ring: a buffer that comes back is free twice", "ring_buffers")       \
  X(ring_buffer_wakes_nobody, "ring: a buffer that comes back wakes nobody", "ring_progress")      \
  X(ring_wrong_buffer, "ring: bytes are looked for in the buffer before theirs", "ring_buffers")   \
  X(ring_multishot_believed_alive, "ring: a receive that ended well is thought to go on",          \
    "ring_progress")                                                                               \
  X(ring_rearmed_on_result, "ring: a receive is started again though it goes on",                  \
    "ring_one_at_a_time")                                                                          \
  X(ring_no_buffers_is_end, "ring: a lack of buffers is the end of the stream", "ring_end")        \
  X(ring_no_buffers_never_resumed, "ring: after a lack of buffers nobody goes on",                 \
    "ring_progress")                                                                               \
  X(ring_short_send_is_whole, "ring: a short send counts as the whole", "prefix")                  \
  X(ring_accepted_left_open, "ring: an acceptor that goes leaves connections open", "ring_left")   \
  X(ring_last_accept_lost, "ring: the last connection of an accept that ends is lost", "ring_left")

// In the handshake of replicas.
#define TWINWIRE_HANDSHAKE_PLANT_LIST(X)                                                          \
  X(handshake_nonce_before_tag, "handshake: a nonce is used up before the tag was checked",       \
    "handshake_agrees")                                                                           \
  X(handshake_one_way, "handshake: the dialer does not check the acceptor's tags", "authentic")   \
  X(handshake_reflection_accepted, "handshake: a side takes what it said itself for the peer's",  \
    "authentic")                                                                                  \
  X(handshake_tag_without_role, "handshake: the tag does not say which side speaks", "authentic") \
  X(handshake_tag_without_ids, "handshake: the tag does not say between whom", "authentic")       \
  X(handshake_tag_without_cluster, "handshake: the tag does not say of which cluster",            \
    "authentic")                                                                                  \
  X(handshake_tag_without_plane, "handshake: the tag does not say for which plane", "authentic")  \
  X(handshake_tag_cut_short, "handshake: half of the tag is compared", "authentic")               \
  X(handshake_version_unchecked, "handshake: messages of every version are taken", "authentic")   \
  X(handshake_reserved_unchecked, "handshake: bytes that must be zero need not be", "authentic")  \
  X(handshake_ids_unchecked, "handshake: it does not matter which replica is meant", "authentic") \
  X(handshake_nonces_unchecked, "handshake: whose nonces a message has is not looked at",         \
    "authentic")                                                                                  \
  X(handshake_replay_answered, "handshake: what was finished may be begun again",                 \
    "handshake_replay")                                                                           \
  X(handshake_stale_accepted, "handshake: old messages are as good as new ones",                  \
    "handshake_fresh")                                                                            \
  X(handshake_old_key_for_ever, "handshake: a key is accepted after its time", "handshake_keys")  \
  X(handshake_nonces_without_bound, "handshake: nonces pile up", "handshake_bounded")             \
  X(handshake_early_acceptor,                                                                     \
    "handshake: the acceptor is done before the dialer has proven to be live", "authentic")       \
  X(handshake_early_dialer, "handshake: the dialer is done before the acceptor has verified it",  \
    "authentic")                                                                                  \
  X(handshake_told_before_live,                                                                   \
    "handshake: who is refused is told before it has proven to be live", "handshake_silent")

// The same where the channel encrypts.
#define TWINWIRE_HANDSHAKE_TLS_PLANT_LIST(X)                                             \
  X(handshake_tag_without_channel, "handshake: the tag does not say over which channel", \
    "authentic")

enum class Id : std::uint16_t {
  none,
#define TWINWIRE_PLANT_ID(name, what, law) name,
  TWINWIRE_PLANT_LIST(TWINWIRE_PLANT_ID) TWINWIRE_TLS_PLANT_LIST(TWINWIRE_PLANT_ID)
      TWINWIRE_WS_PLANT_LIST(TWINWIRE_PLANT_ID) TWINWIRE_WSS_PLANT_LIST(TWINWIRE_PLANT_ID)
          TWINWIRE_QUIC_PLANT_LIST(TWINWIRE_PLANT_ID) TWINWIRE_RING_PLANT_LIST(TWINWIRE_PLANT_ID)
              TWINWIRE_HANDSHAKE_PLANT_LIST(TWINWIRE_PLANT_ID)
                  TWINWIRE_BUS_PLANT_LIST(TWINWIRE_PLANT_ID)
                      TWINWIRE_BUS_SHARDS_PLANT_LIST(TWINWIRE_PLANT_ID)
                          TWINWIRE_LOG_PLANT_LIST(TWINWIRE_PLANT_ID)
                              TWINWIRE_HANDSHAKE_TLS_PLANT_LIST(TWINWIRE_PLANT_ID)
#undef TWINWIRE_PLANT_ID
};

struct Entry {
  Id id;
  std::string_view name;
  std::string_view what;
  std::string_view law;
  std::string_view transport;  // over which it shows
};
std::span<const Entry> catalogue() noexcept;

// The one plant that is live; none at start. A process-wide switch: set it while no transport runs.
extern Id active;

// Switches the plant of that name on ("" for none); false if there is none of that name.
bool activate(std::string_view name) noexcept;

}  // namespace twinwire::plant
