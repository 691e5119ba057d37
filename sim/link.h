// SPDX-License-Identifier: Apache-2.0
// Link: one direction of a connection: send buffer, network, receive buffer.
//
//   write -> [ unsent | in flight | received ] -> read
//
// All three are one FIFO of segments, so a byte is copied once, when it is written. Arrivals are monotone: a segment
// that is late holds up those behind it, as TCP's order does; so a link needs one entry in the World's heap.
// What comes back (acknowledgements, window updates) takes a latency too, but is an event only where a writer waits.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "sim/outages.h"
#include "sim/ring_buffer.h"
#include "sim/world.h"
#include "transport/wire/block.h"

namespace twinwire::sim {

class Connection;

class Link {
 public:
  static constexpr std::size_t segment_max = 64 * 1024;
  // tcp_retries2 = 15: how long Linux retransmits what nobody acknowledges.
  static constexpr Duration retransmission_limit = std::chrono::seconds(924);
  // When a sender that met a closed window asks again.
  static constexpr Duration probe_interval = std::chrono::milliseconds(200);

  // `side`: of `connection`, the one that sends. Draws the direction's faults.
  Link(World& world, Connection& connection, unsigned side, EntityId entity, Place place,
       std::size_t send_buffer, std::size_t receive_buffer, std::string who);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { discard_all(); }

  EntityId entity() const noexcept { return entity_; }
  Place place() const noexcept { return place_; }
  const std::string& who() const noexcept { return who_; }

  // --- The sender's kernel ---------------------------------------------------------------------------------------

  // Bytes that write() may take now.
  std::size_t room() noexcept {
    take_returns();
    return send_buffer_ - static_cast<std::size_t>(written_ - acked_);
  }
  // Takes the first n bytes of the pieces; 1 <= n <= room(). Returns how many: fewer where memory ran out.
  std::size_t send(std::span<const iovec> pieces, std::size_t n);
  // The end of the stream, behind what was written.
  void send_fin();
  // A reset, behind what is in flight; it passes what is unsent. `overtakes`: it may be drawn to destroy what is in
  // flight. `later`: besides the latency.
  void send_reset(bool overtakes, Duration later = Duration(0));
  // The handshake's last step: opens the other side.
  void send_open();
  void discard_unsent() noexcept;
  // A writer waits for room, or no longer does.
  void set_writer_waiting(bool waiting) {
    writer_waiting_ = waiting;
    if (waiting) rearm();
  }
  std::uint64_t written() const noexcept { return written_; }
  bool has_unsent() const noexcept { return segments_.size() > received_ + in_flight_; }
  // Whether a probe of the closed window would find nobody.
  void probe_if_stuck();

  // --- The receiver's kernel -------------------------------------------------------------------------------------

  // Bytes that wait to be read.
  std::size_t readable() const noexcept { return static_cast<std::size_t>(delivered_ - consumed_); }
  std::uint64_t consumed() const noexcept { return consumed_; }
  // Whether the end has arrived (behind what is readable).
  bool ended() const noexcept { return ended_; }
  // The size of what one read gets; small segments may be merged. Requires readable() > 0.
  std::size_t prepare_read();
  // The first n bytes of the front segment; n <= prepare_read().
  Slice lend(std::size_t n);
  // Copies n bytes across segments; n <= readable().
  void copy_out(std::byte* into, std::size_t n);
  void discard_received() noexcept;

  // The sender's machine lost power: what it would send, or send again, never comes. Whether the handshake's last step
  // was among it.
  bool lose_power() noexcept;
  void discard_all() noexcept;
  // Takes it out of the World's heap.
  void unschedule() noexcept;

 private:
  struct Segment {
    Block* block;  // one reference; nullptr: dropped
    std::uint32_t begin;
    std::uint32_t size;
    TimePoint arrival;
  };
  enum class ControlKind : std::uint8_t { open, fin, reset };
  struct Control {
    ControlKind kind;
    std::uint64_t behind;  // bytes that were sent before it
    TimePoint arrival;
  };
  // What the receiver's kernel told the sender's.
  struct Return {
    TimePoint arrival;
    std::uint64_t acked;
    std::uint64_t edge;
  };
  struct Arrivals final : EventSource {
    explicit Arrivals(Link& l) noexcept : link(&l) {}
    void fire() override { link->arrive(); }
    Link* link;
  };
  struct Returns final : EventSource {
    explicit Returns(Link& l) noexcept : link(&l) {}
    void fire() override { link->returned(); }
    Link* link;
  };

  static void drop(Block* block) noexcept {
    if (block != nullptr && --block->references == 0) block->owner->reclaim(block);
  }
  Link& reverse() noexcept;
  std::optional<std::size_t> send_at_once(std::span<const iovec> pieces, std::size_t n);
  // When these bytes, which leave now, arrive.
  TimePoint next_arrival(std::uint64_t offset, std::size_t size);
  // --- What goes wrong: link_faults.cc -------------------------------------------------------------------------------

  // Those of a direction, which are drawn once.
  void draw_faults();
  // How much longer the network takes for what leaves now: a line of little bandwidth, an outage.
  Duration hold_up(std::size_t size) {
    if (ns_per_kib_ == 0 && !outages_->possible()) [[likely]]
      return Duration(0);
    return hold_up_drawn(size);
  }
  Duration hold_up_drawn(std::size_t size);
  void draw_scheduled_trips();
  void flip(Segment& segment);
  void trip(std::uint32_t size);  // a fault of this direction meets the bytes that arrive

  void transmit();
  void schedule_arrivals();
  void push_control(ControlKind kind, TimePoint arrival);
  // Drops those behind the first `left`, which never arrive. Whether one was the handshake's last step.
  bool drop_controls(std::size_t left) noexcept;

  void arrive();
  void deliver();  // the first segment in flight
  void deliver_fin();
  void drop_front_in_flight() noexcept;
  // The receiver's machine is without power: what arrives is lost, and sent again later.
  bool postponed();
  void lost();  // something of this direction did not arrive and never will

  void push_return();
  void take_returns() noexcept {
    while (!returns_.empty() && returns_.front().arrival <= world_->now()) {
      acked_ = returns_.front().acked;
      edge_ = returns_.front().edge;
      returns_.pop_front();
    }
  }
  void returned();
  void rearm();
  void start_timeout();
  void consume(std::size_t n);

  World* world_;
  Connection* connection_;
  Outages* outages_;
  unsigned side_;
  EntityId entity_;
  Place place_;
  std::string who_;  // for the trace; empty where nobody listens
  std::size_t send_buffer_;
  std::size_t receive_buffer_;

  RingBuffer<Segment> segments_;
  std::size_t received_ = 0;   // of segments_, from the front
  std::size_t in_flight_ = 0;  // of segments_, behind those

  std::uint64_t written_ = 0;    // by the application
  std::uint64_t sent_ = 0;       // into the network
  std::uint64_t acked_ = 0;      // as the sender knows
  std::uint64_t edge_ = 0;       // end of the window, as the sender knows
  std::uint64_t arrived_ = 0;    // out of the network, delivered or dropped
  std::uint64_t delivered_ = 0;  // into the receive buffer
  std::uint64_t consumed_ = 0;   // by the application
  std::uint64_t announced_ = 0;  // consumed_ as last told to the sender

  TimePoint last_arrival_{0};
  TimePoint resent_{
      0};  // what arrives then, or later, was lost once: it comes only where its sender lives
  RingBuffer<Control> controls_;
  RingBuffer<Return> returns_;
  Arrivals arrivals_{*this};
  Returns returns_event_{*this};
  TimePoint timeout_at_ = TimePoint::never();
  bool writer_waiting_ = false;
  bool fin_wanted_ = false;
  bool fin_sent_ = false;
  bool reset_sent_ = false;
  bool ended_ = false;
  bool cut_ = false;     // early_fin happened: data and FIN are dropped
  bool silent_ = false;  // silent_loss happened
  bool merge_next_ = false;

  // The fault that is next to happen, and the byte at which it does.
  std::uint64_t trip_at_ = UINT64_MAX;
  Site trip_site_ = Site::reset;
  std::uint64_t trips_drawn_ = 0;  // rules that are scheduled, by their number

  std::uint64_t flip_at_ = UINT64_MAX;  // the bit of the stream that arrives as the other one
  std::uint64_t ns_per_kib_ = 0;        // bandwidth; 0: without end
  TimePoint line_free_{0};              // when the last byte has left
  bool bandwidth_bit_ = false;
};

}  // namespace twinwire::sim
