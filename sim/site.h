// SPDX-License-Identifier: Apache-2.0
// Site: where a choice is made. Names are stable across builds: capsules store them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace twinwire::sim {

// The comment says what the choice c means; 0 is always the benign one. Append only, never reorder.
enum class Site : std::uint8_t {
  wake_order,  // scheduling priority among ready fibers, lower first; occurrence: the fiber's nth wake
  connect_delay,       // c ns more until the connect is answered; entity: the connect
  connect_refused,     // c = 1: refused though somebody listens
  connect_black_hole,  // c = 1: the SYN is never answered
  accept_failure,  // c = 1: the connection dies in the backlog (ECONNABORTED); c = 2: out of descriptors (EMFILE)
  segment_delay,  // c ns more in the network; entity: connection direction; occurrence: byte offset
  clog,           // from this byte on nothing is delivered for c ns
  short_write,    // only c bytes are taken; occurrence: byte offset of the write
  short_read,     // only c bytes are handed out; occurrence: byte offset of the read
  reset,  // both sides see a reset when byte c - 1 would be delivered; drawn once per direction
  reset_one_side,   // only the receiver sees it
  silent_loss,      // from byte c - 1 on, nothing of this direction arrives any more
  early_fin,        // the receiver sees the end at byte c - 1, the sender a reset
  reset_overtakes,  // c = 1: a reset destroys what is still in flight before it
  datagram_delay,  // c ns more: overtaken by later ones; entity: socket pair; occurrence: nth datagram
  datagram_loss,       // c = 1: lost
  datagram_duplicate,  // c ns after the first, a second copy arrives
  small_buffer,  // a socket's buffer holds c bytes above the kernel's least; occurrence 0: send, 1: receive
  bandwidth,       // each KiB takes c ns more to leave; drawn once per direction
  bit_flip,        // bit c - 1 of the stream arrives as the other one; drawn once per direction
  datagram_burst,  // a burst of losses over the next c datagrams begins (Gilbert-Elliott)
  datagram_flip,   // its bit c - 1 arrives as the other one
  datagram_cut,    // only its first c bytes arrive
  mtu_black_hole,  // from this one on, none of more than 1,199 + c bytes arrives
  address_change,  // from this one on the sender has another port, as behind a NAT that forgot; c = 1
  partition,  // two nodes hear nothing of each other for c ns; entity: the two; occurrence: nth sending
  partition_one_way,  // the second hears nothing of the first for c ns; entity: both in order
  isolation,          // a node hears nobody, and nobody it, for c ns
  clock_skew,         // its calendar is wrong by c ns, odd: slow, even: fast; entity: node
  clock_drift,        // its calendar gains (even) or loses (odd) c ppm
  no_descriptors,     // c = 1: a dial or bind finds no descriptor; entity: the socket
  no_memory,          // c = 1: the pool says no; occurrence: nth allocation
  crash,  // its program is killed, and started again after c ns; entity: node; occurrence: nth run of a fiber of it
  power_loss,     // it is without power for c ns
  pause,          // its fibers do not run for c ns; its kernel goes on
  unsynced_kept,  // c of the records that were not synced outlive its crash; occurrence: nth crash
  split,  // the nodes are split into two groups that do not hear each other for c ns; occurrence: nth sending
  timer_drift,           // its monotonic clock gains (even) or loses (odd) c ppm; entity: node
  short_backlog,         // a listener's backlog holds c - 1 connections, and one; entity: listener
  short_datagram_queue,  // a datagram socket's buffer holds 16 KiB and c times 512 bytes; entity: socket
  cancel,  // a fiber that waits is told to stop: sim/suspensions.h; entity: fiber; occurrence: its wakes

  // Of a kernel that a scenario plays under a ring (props/fake_kernel/). Entity: the file or the ring; occurrence: how
  // often it came there.
  ring_delay,          // a completion comes c ns later, overtaken by others
  ring_short_send,     // a send takes only c bytes
  ring_short_receive,  // a receive brings only c bytes
  ring_interrupted,    // an operation ends with EINTR (c = 1) or EAGAIN (c = 2)
  ring_cancel_race,  // c = 1: an operation that can succeed does, before its cancel; c = 2: EALREADY, it ends later;
  // c = 3: ENOENT, though it goes on
  ring_no_buffers,       // c = 1: a receive finds none (ENOBUFS), though some are provided
  ring_multishot_end,    // c = 1: an operation that goes on ends with a good result
  ring_no_notification,  // c = 1: a zero-copy send has no second completion
  ring_notification,     // its second completion comes c ns later
  ring_enter,            // io_uring_enter(2) answers EINTR (c = 1), EBUSY (c = 2) or EAGAIN (c = 3)
  ring_submission_queue,  // the submission queue has 2^(c - 1) entries
  ring_completion_queue,  // the completion queue has 2^c entries
  ring_old_kernel,        // bits of c: what the kernel has not: see FakeRing
  ring_accept,  // an accept fails: the connection died (c = 1), no descriptor is left (c = 2)
  ring_reset,   // both sides of a connection see a reset when byte c - 1 of a direction is sent

  mail_delay,  // what one shard of a node sends to another comes c ns later; entity: the lane; occurrence: nth sent
};
inline constexpr std::size_t site_count = static_cast<std::size_t>(Site::mail_delay) + 1;

// Those of a kernel that a scenario plays.
constexpr bool is_of_ring(Site site) noexcept {
  return site >= Site::ring_delay && site <= Site::ring_reset;
}

// What a choice concerns: all, one node, two nodes, or what one sends to another. So narrow may a rule be; in the order
// of FaultRule::Scope.
enum class Reach : std::uint8_t { world, node, link, direction };
constexpr Reach reach_of(Site site) noexcept {
  switch (site) {
    case Site::wake_order:
    case Site::split:
    case Site::no_memory:
    case Site::cancel: return Reach::world;
    case Site::ring_delay:
    case Site::ring_short_send:
    case Site::ring_short_receive:
    case Site::ring_interrupted:
    case Site::ring_cancel_race:
    case Site::ring_no_buffers:
    case Site::ring_multishot_end:
    case Site::ring_no_notification:
    case Site::ring_notification:
    case Site::ring_enter:
    case Site::ring_submission_queue:
    case Site::ring_completion_queue:
    case Site::ring_old_kernel:
    case Site::ring_accept:
    case Site::ring_reset: return Reach::world;
    case Site::accept_failure:
    case Site::isolation:
    case Site::clock_skew:
    case Site::clock_drift:
    case Site::crash:
    case Site::power_loss:
    case Site::pause:
    case Site::unsynced_kept:
    case Site::timer_drift:
    case Site::short_backlog:
    case Site::short_datagram_queue:
    case Site::mail_delay:
    case Site::no_descriptors: return Reach::node;
    case Site::partition: return Reach::link;
    default: return Reach::direction;
  }
}

// Those that happen when a certain byte of a stream arrives.
constexpr bool stands_at_byte(Site site) noexcept {
  return site >= Site::reset && site <= Site::early_fin;
}

// Those that take down a node, or stop it: at an instant, where a rule says so.
constexpr bool strikes_node(Site site) noexcept {
  return site >= Site::crash && site <= Site::pause;
}

// "short_write"
std::string_view name(Site site) noexcept;
std::optional<Site> site_named(std::string_view text) noexcept;

}  // namespace twinwire::sim
