// SPDX-License-Identifier: Apache-2.0
// LIE(name): something that the World would get wrong about TCP, switched on to prove that the oracle catches it.
//
// In the shipped archive LIE(x) is the constant false and leaves no trace. sim/ is compiled once more with
// TWINWIRE_PLANTS defined, for the tests of planted bugs; there one lie at a time is told. As PLANT
// (transport/base/plant.h), it may stand only in .cc files.
#pragma once

#include <string_view>

namespace twinwire::sim {

// X(name, what is untrue)
#define TWINWIRE_LIES(X)                                                                       \
  X(abort_ends_politely, "an abort, or a close with bytes unread, sends FIN in place of RST")  \
  X(reset_overtakes_bytes, "a reset destroys what is in flight before it")                     \
  X(reset_discards_received, "a reset throws away what waits to be read")                      \
  X(reset_after_end_is_reset, "a reset after the peer's end is ECONNRESET in place of EPIPE")  \
  X(reset_in_closing_is_epipe, "a reset after both ends is EPIPE in place of ECONNRESET")      \
  X(error_told_twice, "each write tells the error again, in place of EPIPE")                   \
  X(error_forgotten, "a failure that a write was told is the end to a read")                   \
  X(shutdown_tells_the_error, "shutdown() of a dead connection tells, and uses up, its error") \
  X(write_fails_after_peers_end, "the peer's half-close ends this side's writing as well")     \
  X(half_close_ends_both, "after this side's half-close nothing is read any more")             \
  X(write_after_shutdown_taken, "a write after this side's end is taken, and lost")            \
  X(end_lost_when_unsent, "the end is forgotten where bytes are still unsent")                 \
  X(window_never_reopens, "a closed window stays closed")                                      \
  X(buffers_without_bound, "a write takes whatever it is given")                               \
  X(first_bit_flipped, "the first bit of a segment arrives flipped")                           \
  X(refusal_is_silence, "a connect to a closed port is not answered")                          \
  X(backlog_one_short, "the backlog holds as many as asked for, and not one more")             \
  X(backlog_without_bound, "the backlog is never full")                                        \
  X(accept_newest_first, "the youngest connection is accepted first")                          \
  X(listener_forgets_waiting, "a listener that closes leaves waiting connections up")          \
  X(accepted_at_once, "the listener has a connection when the dialer has it")

// About datagrams.
#define TWINWIRE_DATAGRAM_LIES(X)                                                          \
  X(small_buffer_starves, "a datagram larger than the receive buffer never arrives")       \
  X(overflow_drops_oldest, "a full receive buffer drops what waits there, not what comes") \
  X(receive_buffer_without_bound, "the receive buffer is never full")                      \
  X(port_zero_is_silence, "a datagram to port 0 is taken, and lost")                       \
  X(segments_are_one, "a segment size does not cut")                                       \
  X(segments_bounded_together, "what is cut must fit one datagram before that")            \
  X(one_byte_too_many, "65,508 bytes are a datagram")                                      \
  X(too_large_ends_the_batch, "one that is too large fails those before it")               \
  X(empty_datagram_lost, "a datagram without bytes does not arrive")                       \
  X(mark_lost, "the ECN mark does not arrive")                                             \
  X(foreign_source_taken, "a datagram may be sent from anybody's address")                 \
  X(late_send_sends, "a send whose deadline has passed sends all the same")                \
  X(closed_socket_keeps_port, "a socket that is closed leaves its port in use")

// About addresses: of datagrams, and of listeners and those who dial.
#define TWINWIRE_ADDRESS_LIES(X)                                                  \
  X(bound_address_is_ignored, "a socket hears every address of its node")         \
  X(one_socket_to_a_port, "a port is in use on all addresses where it is on one") \
  X(any6_is_deaf_to_v4, "a socket on :: hears IPv6 alone")                        \
  X(families_mix, "a socket of one family sends to the other")                    \
  X(loopback_has_no_address, "what comes over loopback comes from the node's other address")

// About the ports of listeners and of those who dial.
#define TWINWIRE_PORT_LIES(X)                                                                 \
  X(no_time_wait, "a port is free as soon as its connection has ended")                       \
  X(dropped_connection_lingers, "a connection that was reset keeps its port for a minute")    \
  X(time_wait_stops_listeners, "a listener cannot have a port on which connections linger")   \
  X(dial_from_any_is_narrow, "a dial from a port of any address disturbs that address alone") \
  X(dial_from_served_port, "a dial may come from a port that accepted connections have")
// Those about faults, which no comparison with a kernel shows: the accounting of faults must (docs/faults.md).
#define TWINWIRE_FAULT_LIES(X)                                                     \
  X(short_read_does_nothing, "short_read strikes, and everything is handed out")   \
  X(datagram_loss_does_nothing, "datagram_loss strikes, and the datagram arrives") \
  X(reset_is_only_counted, "reset counts as having bitten, and nobody sees one")

enum class Lie : unsigned char {
  none,
#define TWINWIRE_LIE_ID(name, what) name,
  TWINWIRE_LIES(TWINWIRE_LIE_ID) TWINWIRE_DATAGRAM_LIES(TWINWIRE_LIE_ID)
      TWINWIRE_ADDRESS_LIES(TWINWIRE_LIE_ID) TWINWIRE_PORT_LIES(TWINWIRE_LIE_ID)
          TWINWIRE_FAULT_LIES(TWINWIRE_LIE_ID)
#undef TWINWIRE_LIE_ID
};

#ifdef TWINWIRE_PLANTS
// The one that is told; a process-wide switch: set it while no World runs.
extern Lie lie_told;
#define LIE(name) (::twinwire::sim::lie_told == ::twinwire::sim::Lie::name)
#else
#define LIE(name) false
#endif

}  // namespace twinwire::sim
