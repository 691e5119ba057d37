// SPDX-License-Identifier: Apache-2.0
#include "sim/link.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/connection.h"
#include "sim/fabric.h"
#include "sim/lie.h"
#include "transport/base/sometimes.h"

namespace twinwire::sim {
namespace {

// Copies the first bytes of a list of pieces, some at a time.
class Cursor {
 public:
  explicit Cursor(std::span<const iovec> pieces) noexcept : piece_(pieces.data()) {}
  void copy(std::byte* into, std::size_t n) noexcept {
    while (n > 0) {
      const std::size_t some = std::min(n, piece_->iov_len - used_);
      if (some > 0)
        std::memcpy(into, static_cast<const std::byte*>(piece_->iov_base) + used_, some);
      into += some;
      n -= some;
      used_ += some;
      if (used_ == piece_->iov_len) {
        ++piece_;
        used_ = 0;
      }
    }
  }

 private:
  const iovec* piece_;
  std::size_t used_ = 0;
};

// A receiver tells of room only when it is worth a segment, as Linux does against the silly window.
constexpr std::uint64_t worth_telling = 1460;

// What one recv() with a common buffer would glue together.
constexpr std::size_t merge_max = 16 * 1024;

std::string bytes_at(std::string_view verb, std::uint64_t size, std::uint64_t offset) {
  return std::string(verb) + " " + std::to_string(size) + " bytes at offset " +
         std::to_string(offset);
}

}  // namespace

Link::Link(World& world, Connection& connection, unsigned side, EntityId entity, Place place,
           std::size_t send_buffer, std::size_t receive_buffer, std::string who)
    : world_(&world),
      connection_(&connection),
      outages_(&connection.fabric().outages()),
      side_(side),
      entity_(entity),
      place_(place),
      who_(std::move(who)),
      send_buffer_(send_buffer),
      receive_buffer_(receive_buffer),
      edge_(receive_buffer) {
  draw_faults();
}

Link& Link::reverse() noexcept { return connection_->link(1 - side_); }

// --- The sender's kernel -------------------------------------------------------------------------------------------

// What nearly every write is: it fits into the window, and nothing waits before it.
std::optional<std::size_t> Link::send_at_once(std::span<const iovec> pieces, std::size_t n) {
  if (has_unsent() || n > segment_max || written_ + n > edge_ || !controls_.empty())
    return std::nullopt;
  if (silent_ || reverse().silent_) return std::nullopt;
  // Bytes that nobody has a view of yet may be joined by more; that is send()'s business.
  if (in_flight_ > 0 && segments_.back().block->references == 1 &&
      segments_.back().block->capacity - segments_.back().begin - segments_.back().size >= n)
    return std::nullopt;
  Block* block = world_->buffers().allocate(n);
  if (block == nullptr) return 0;
  Cursor(pieces).copy(block->data, n);
  segments_.push_back({block, 0, static_cast<std::uint32_t>(n), next_arrival(written_, n)});
  written_ += n;
  sent_ += n;
  if (in_flight_++ == 0) schedule_arrivals();
  if (silent_) [[unlikely]]
    start_timeout();
  return n;
}

std::size_t Link::send(std::span<const iovec> pieces, std::size_t n) {
  if (const auto sent = send_at_once(pieces, n)) return *sent;
  Cursor cursor(pieces);
  std::size_t taken = 0;
  while (taken < n) {
    // Bytes that nobody has a view of yet go behind the last ones: into what is unsent, or onto a segment that
    // arrives at the same instant.
    Segment* last = segments_.empty() ? nullptr : &segments_.back();
    const bool unsent = has_unsent();
    const std::size_t spare = last != nullptr && (unsent || in_flight_ > 0) &&
                                      last->block != nullptr && last->block->references == 1
                                  ? last->block->capacity - last->begin - last->size
                                  : 0;
    const std::size_t chunk = std::min(n - taken, segment_max);
    TimePoint arrival = TimePoint::never();
    if (unsent) {
      if (spare > 0) {
        const std::size_t some = std::min(chunk, spare);
        cursor.copy(last->block->data + last->begin + last->size, some);
        last->size += static_cast<std::uint32_t>(some);
        written_ += some;
        taken += some;
        continue;
      }
    } else if (spare >= chunk && written_ + chunk <= edge_ && controls_.empty()) {
      arrival = next_arrival(written_, chunk);
      if (arrival == last->arrival) {
        cursor.copy(last->block->data + last->begin + last->size, chunk);
        last->size += static_cast<std::uint32_t>(chunk);
        written_ += chunk;
        sent_ += chunk;
        taken += chunk;
        continue;
      }
    }
    Block* block = world_->buffers().allocate(chunk);
    if (block == nullptr) break;
    cursor.copy(block->data, chunk);
    segments_.push_back({block, 0, static_cast<std::uint32_t>(chunk), arrival});
    written_ += chunk;
    taken += chunk;
    if (arrival != TimePoint::never()) {
      sent_ += chunk;
      ++in_flight_;
      schedule_arrivals();
    } else if (!unsent) {
      transmit();
    }
  }
  if (has_unsent()) {
    transmit();
    rearm();
    probe_if_stuck();
  }
  if (silent_ || reverse().silent_) start_timeout();
  return taken;
}

void Link::send_fin() {
  fin_wanted_ = !(LIE(end_lost_when_unsent) && has_unsent());
  transmit();
  if (silent_ || reverse().silent_) start_timeout();
}

void Link::send_reset(bool overtakes, Duration later) {
  if (reset_sent_ || connection_->end(1 - side_).dead) return;  // it would tell nobody anything
  reset_sent_ = true;
  if (overtakes && in_flight_ > 0 &&
      (LIE(reset_overtakes_bytes) ||
       world_->choose(Site::reset_overtakes, place_, entity_, sent_) != 0)) {
    std::uint64_t destroyed = 0;
    for (; in_flight_ > 0; --in_flight_) {
      destroyed += segments_.back().size;
      drop(segments_.back().block);
      segments_.pop_back();
    }
    arrived_ += destroyed;
    (void)drop_controls(0);
    last_arrival_ = world_->now();
    world_->decisions().bit(Site::reset_overtakes);
    if (world_->tracing())
      world_->tell(
          who_, "reset overtakes and destroys " + std::to_string(destroyed) + " bytes in flight");
  }
  push_control(
      ControlKind::reset,
      std::max(world_->now() + world_->options().latency + later + hold_up(0), last_arrival_));
}

void Link::send_open() {
  push_control(ControlKind::open,
               world_->now() + hold_up(0) +
                   (LIE(accepted_at_once) ? Duration(0) : world_->options().latency));
}

void Link::discard_unsent() noexcept {
  while (has_unsent()) {
    drop(segments_.back().block);
    segments_.pop_back();
  }
  fin_wanted_ = false;
  timeout_at_ = TimePoint::never();
  world_->unschedule(returns_event_);
}

void Link::probe_if_stuck() {
  // What is in flight would be answered without a probe.
  if (has_unsent() && in_flight_ == 0 && connection_->end(1 - side_).dead)
    reverse().send_reset(false, probe_interval + world_->options().latency);
}

TimePoint Link::next_arrival(std::uint64_t offset, std::size_t size) {
  const TimePoint soonest = world_->now() + world_->options().latency + hold_up(size);
  TimePoint arrival = std::max(soonest, last_arrival_);
  if (const std::uint64_t delay =
          world_->choose(Site::segment_delay, place_, entity_, offset, delay_max);
      delay != 0) {
    const TimePoint late = std::max(soonest + Duration(delay), last_arrival_);
    if (late != arrival) {
      world_->decisions().bit(Site::segment_delay);
      if (world_->tracing())
        world_->tell(who_, "delayed by " + std::to_string((late - arrival).count()) +
                               " ns at offset " + std::to_string(offset));
      arrival = late;
    }
  }
  if (const std::uint64_t clog = world_->choose(Site::clog, place_, entity_, offset, delay_max);
      clog != 0) {
    arrival = arrival + Duration(clog);
    world_->decisions().bit(Site::clog);
    if (world_->tracing())
      world_->tell(
          who_, "clogged for " + std::to_string(clog) + " ns at offset " + std::to_string(offset));
  }
  last_arrival_ = arrival;
  return arrival;
}

void Link::transmit() {
  bool sent = false;
  while (has_unsent()) {
    const std::size_t index = received_ + in_flight_;
    const std::uint64_t window = edge_ - sent_;
    if (window == 0) {
      world_->reached(Sometimes::window_closed);
      break;
    }
    if (segments_[index].size > window) {
      Segment rest = segments_[index];
      rest.begin += static_cast<std::uint32_t>(window);
      rest.size -= static_cast<std::uint32_t>(window);
      ++rest.block->references;
      segments_[index].size = static_cast<std::uint32_t>(window);
      segments_.insert(index + 1, rest);
    }
    segments_[index].arrival = next_arrival(sent_, segments_[index].size);
    sent_ += segments_[index].size;
    ++in_flight_;
    sent = true;
  }
  if (sent) schedule_arrivals();
  if (fin_wanted_ && !fin_sent_ && !has_unsent()) {
    fin_sent_ = true;
    push_control(ControlKind::fin, next_arrival(sent_, 0));
  }
}

bool Link::drop_controls(std::size_t left) noexcept {
  bool open = false;
  for (; controls_.size() > left; controls_.pop_back())
    open = open || controls_.back().kind == ControlKind::open;
  if (open) connection_->open_lost();
  return open;
}

void Link::push_control(ControlKind kind, TimePoint arrival) {
  controls_.push_back({kind, sent_, arrival});
  last_arrival_ = arrival;
  schedule_arrivals();
}

// The first of what is in flight is the next to arrive.
void Link::schedule_arrivals() {
  TimePoint next = TimePoint::never();
  if (in_flight_ > 0) next = segments_[received_].arrival;
  if (!controls_.empty() && controls_.front().behind <= arrived_) next = controls_.front().arrival;
  if (next == TimePoint::never()) {
    world_->unschedule(arrivals_);
  } else if (!arrivals_.queued() || arrivals_.due != next) {
    world_->schedule(arrivals_, next);
  }
}

// --- The network ---------------------------------------------------------------------------------------------------

void Link::arrive() {
  const TimePoint now = world_->now();
  for (;;) {
    if (!controls_.empty() && controls_.front().behind <= arrived_) {
      if (controls_.front().arrival > now) break;
      const ControlKind kind = controls_.front().kind;
      controls_.pop_front();
      if (kind == ControlKind::open) {
        world_->step(Step::opened, entity_, 0, who_, [] { return std::string("connected"); });
        connection_->open_arrived();
      } else if (kind == ControlKind::fin) {
        deliver_fin();
      } else if (!silent_ && !connection_->end(1 - side_).dead) {
        world_->step(Step::reset, entity_, delivered_, who_, [this] {
          return "reset arrives behind " + std::to_string(delivered_) + " bytes";
        });
        connection_->reset_arrived(1 - side_);
      }
    } else if (in_flight_ > 0) {
      if (segments_[received_].arrival > now) break;
      deliver();
    } else {
      break;
    }
  }
  schedule_arrivals();
  if (connection_->unseen()) connection_->fabric().release(*connection_);
}

void Link::deliver() {
  Segment& segment = segments_[received_];
  const End& receiver = connection_->end(1 - side_);
  if (receiver.dead || receiver.detached || silent_ || cut_) [[unlikely]] {
    if (postponed()) return;
    if (silent_) lost();
    // A kernel that does not know the connection answers with a reset, and so does one whose program is gone.
    if (!silent_ && !cut_) {
      reverse().send_reset(false);
      connection_->die(1 - side_, 0);
    }
    drop_front_in_flight();
    return;
  }
  if (world_->has_scheduled_trips()) [[unlikely]]
    draw_scheduled_trips();
  if (delivered_ + segment.size > trip_at_) [[unlikely]] {
    trip(segment.size);
    return;
  }
  if (flip_at_ < 8 * (delivered_ + segment.size)) [[unlikely]]
    flip(segment);
  if (LIE(first_bit_flipped)) segment.block->data[segment.begin] ^= std::byte{1};
  const std::uint64_t value = digest({segment.block->data + segment.begin, segment.size});
  world_->step(Step::delivered, entity_, value, who_,
               [&] { return bytes_at("delivered", segment.size, delivered_); });
  delivered_ += segment.size;
  arrived_ += segment.size;
  ++received_;
  --in_flight_;
  push_return();
  connection_->wake_reader(1 - side_);
}

void Link::drop_front_in_flight() noexcept {
  Segment& segment = segments_[received_];
  arrived_ += segment.size;
  drop(segment.block);
  --in_flight_;
  if (received_ == 0) {
    segments_.pop_front();
  } else {
    // Behind what waits to be read: an empty place, which the reader skips.
    segment.block = nullptr;
    segment.size = 0;
    ++received_;
  }
}

void Link::deliver_fin() {
  if (cut_) return;
  if (silent_) {
    lost();
    return;
  }
  const End& receiver = connection_->end(1 - side_);
  if (receiver.dead) {
    if (postponed()) return push_control(ControlKind::fin, last_arrival_);
    if (silent_) return lost();
    reverse().send_reset(false);
    return;
  }
  if (world_->has_scheduled_trips()) [[unlikely]]
    draw_scheduled_trips();
  // The end takes a place in the sequence, as the byte after the last.
  if (delivered_ >= trip_at_) {
    trip(0);
    return;
  }
  ended_ = true;
  if (reverse().fin_sent_ && !reverse().ended_) world_->reached(Sometimes::ends_crossed);
  world_->step(Step::fin, entity_, delivered_, who_,
               [this] { return "delivered the end at offset " + std::to_string(delivered_); });
  connection_->wake_reader(1 - side_);
}

void Link::lost() { start_timeout(); }

// --- What comes back -----------------------------------------------------------------------------------------------

void Link::push_return() {
  announced_ = consumed_;
  if (reverse().silent_) {
    start_timeout();
    return;
  }
  const bool waited_for = writer_waiting_ || has_unsent();
  if (!waited_for) take_returns();  // else returned() takes them, and acts on them
  Duration again(0);
  if (outages_->possible()) [[unlikely]]
    again = outages_->retransmission({place_.to, place_.from});
  if (again == Duration::max()) {
    start_timeout();
    return;
  }
  Return news{world_->now() + world_->options().latency + again, delivered_,
              consumed_ + receive_buffer_};
  if (!returns_.empty()) news.arrival = std::max(news.arrival, returns_.back().arrival);
  if (!returns_.empty() && returns_.back().arrival == news.arrival) {
    returns_.back() = news;
  } else {
    returns_.push_back(news);
  }
  if (waited_for) rearm();
}

void Link::returned() {
  take_returns();
  if (timeout_at_ <= world_->now()) {
    timeout_at_ = TimePoint::never();
    world_->reached(Sometimes::given_up_after_silence);
    connection_->die(side_, ETIMEDOUT);
    return;
  }
  transmit();
  // Linux wakes a writer once a third of its buffer is free.
  if (writer_waiting_ && room() >= std::max<std::size_t>(send_buffer_ / 3, 1))
    connection_->wake_writer(side_);
  rearm();
}

void Link::rearm() {
  TimePoint next = timeout_at_;
  if ((writer_waiting_ || has_unsent()) && !returns_.empty())
    next = std::min(next, std::max(returns_.front().arrival, world_->now()));
  if (next == TimePoint::never()) {
    world_->unschedule(returns_event_);
  } else if (!returns_event_.queued() || returns_event_.due != next) {
    world_->schedule(returns_event_, next);
  }
}

void Link::start_timeout() {
  if (timeout_at_ != TimePoint::never() || connection_->end(side_).dead) return;
  const std::uint64_t acked = returns_.empty() ? acked_ : returns_.back().acked;
  if (written_ == acked && !(fin_wanted_ && !ended_)) return;
  timeout_at_ = world_->now() + retransmission_limit;
  rearm();
}

// --- The receiver's kernel -----------------------------------------------------------------------------------------

std::size_t Link::prepare_read() {
  while (segments_.front().size == 0) {
    segments_.pop_front();
    --received_;
  }
  Segment& front = segments_.front();
  if (received_ < 2 || front.size + segments_[1].size > merge_max) [[likely]]
    return front.size;
  // Every second time, so that both are met.
  merge_next_ = !merge_next_;
  if (!merge_next_) return front.size;
  std::size_t count = 0;
  std::size_t total = 0;
  while (count < received_ && total + segments_[count].size <= merge_max)
    total += segments_[count++].size;
  Block* merged = world_->buffers().allocate(total);
  if (merged == nullptr) return front.size;
  world_->reached(Sometimes::segments_merged);
  std::size_t at = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Segment& part = segments_[i];
    if (part.size > 0) std::memcpy(merged->data + at, part.block->data + part.begin, part.size);
    at += part.size;
    drop(part.block);
  }
  for (std::size_t i = 1; i < count; ++i) segments_.pop_front();
  received_ -= count - 1;
  segments_.front() = {merged, 0, static_cast<std::uint32_t>(total), world_->now()};
  return total;
}

Slice Link::lend(std::size_t n) {
  Segment& front = segments_.front();
  const std::byte* data = front.block->data + front.begin;
  if (n == front.size) {
    Slice slice(front.block, data, n);
    segments_.pop_front();
    --received_;
    consume(n);
    return slice;
  }
  ++front.block->references;
  Slice slice(front.block, data, n);
  front.begin += static_cast<std::uint32_t>(n);
  front.size -= static_cast<std::uint32_t>(n);
  consume(n);
  return slice;
}

void Link::copy_out(std::byte* into, std::size_t n) {
  std::size_t left = n;
  while (left > 0) {
    Segment& front = segments_.front();
    const std::size_t some = std::min<std::size_t>(left, front.size);
    if (some > 0) std::memcpy(into, front.block->data + front.begin, some);
    into += some;
    left -= some;
    if (some == front.size) {
      drop(front.block);
      segments_.pop_front();
      --received_;
    } else {
      front.begin += static_cast<std::uint32_t>(some);
      front.size -= static_cast<std::uint32_t>(some);
    }
  }
  consume(n);
}

void Link::consume(std::size_t n) {
  consumed_ += n;
  if (LIE(window_never_reopens)) return;
  if (consumed_ - announced_ >= std::min<std::uint64_t>((receive_buffer_ + 1) / 2, worth_telling))
    push_return();
}

void Link::discard_received() noexcept {
  for (; received_ > 0; --received_) {
    drop(segments_.front().block);
    segments_.pop_front();
  }
  consumed_ = delivered_;
}

void Link::discard_all() noexcept {
  while (!segments_.empty()) {
    drop(segments_.front().block);
    segments_.pop_front();
  }
  received_ = 0;
  in_flight_ = 0;
  consumed_ = delivered_;
  controls_.clear();
  unschedule();
}

void Link::unschedule() noexcept {
  world_->unschedule(arrivals_);
  world_->unschedule(returns_event_);
}

}  // namespace twinwire::sim
