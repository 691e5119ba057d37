// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/connection.h"

#include <algorithm>

#include "transport/base/plant.h"
#include "transport/bus/bus.h"
#include "transport/fiber/scope.h"

namespace twinwire::bus {
namespace {

constexpr std::size_t read_at_once = 64;  // messages that a handler gets together
constexpr Duration pause_without_memory = std::chrono::milliseconds(5);

}  // namespace

Connection::Connection(Bus& bus, Link& link, PeerId id, const Address& peer) noexcept
    : bus_(&bus), link_(&link), scheduler_(&bus.scheduler()), id_(id), peer_(peer) {}

bool Connection::prepare() noexcept {
  const BusOptions& options = bus_->options();
  return outbox_.allocate(options.queue_max) && batch_.reserve(options.max_batch) &&
         inbox_.reserve(read_at_once);
}

Deadline Connection::in(Duration d) noexcept { return {scheduler_->now() + d}; }

void Connection::serve() {
  run_scope(*scheduler_, [this](Scope& scope) {
    const auto writer = scope.try_spawn("bus.write", [this] { write_until_end(); });
    if (!writer) return bus_->leave(*this, writer.error());
    writer_ = *writer;
    if (doomed_) disconnect();  // by who was told that it is connected
    read_until_end();
  });
}

// --- Sending -------------------------------------------------------------------------------------------------------

Result<void> Connection::queue(Message& message) noexcept {
  if (outbox_.full()) return Errc::backpressure;
  if (PLANT(bus_batch_in_reverse))
    outbox_.push_front(std::move(message));
  else
    outbox_.push(std::move(message));
  news_.wake_one(*scheduler_);
  return {};
}

// The writer's fiber. However it ends, the place is free, the application told, and the reader awake.
void Connection::write_until_end() {
  Error why{Errc::broken, 0};
  try {
    const Result<void> closed = write_all();
    ended_well_ = closed.has_value();
    why = closed ? Error{Errc::closed, 0} : closed.error();
  } catch (...) {  // then it is broken
  }
  if (!PLANT(bus_place_freed_late)) bus_->leave(*this, why);
  if (!ended_well_ && !PLANT(bus_reader_left_parked)) link_->drop();
}

// Until there is nothing left to send to a connection that is to end, or an error.
Result<void> Connection::write_all() {
  for (;;) {
    if (outbox_.empty()) {
      if (finishing_)
        return link_->close(std::max(Duration::zero(), finish_by_.at - scheduler_->now()));
      const Duration idle = is_replica() ? bus_->options().heartbeat_every : Duration::zero();
      const Deadline heartbeat = idle > Duration::zero() ? in(idle) : Deadline::never();
      const Wake wake = news_.wait(*scheduler_, heartbeat, "a message to send");
      if (wake == Wake::canceled) return Errc::canceled;
      if (!outbox_.empty() || finishing_) continue;
      if (wake == Wake::timed_out) batch_.push(bus_->heartbeat());
    }
    if (const auto sent = send_some(); !sent) return sent;
  }
}

// The only place on the way of a message to the wire that suspends.
Result<void> Connection::send_some() {
  const BusOptions& options = bus_->options();
  const bool heartbeat = !batch_.empty();
  outbox_.take(batch_, options.max_batch);
  const std::size_t messages = batch_.size();
  const Deadline limit =
      earlier(in(options.send_limit), finishing_ ? finish_by_ : Deadline::never());
  while (PLANT(bus_writers_take_turns) && bus_->writing_ != 0)
    if (!scheduler_->sleep_for(std::chrono::milliseconds(1))) break;
  ++bus_->writing_;
  const Result<void> sent = link_->send_batch(batch_, limit);
  --bus_->writing_;
  if (!sent) return sent;
  (heartbeat ? bus_->tally().heartbeats : bus_->tally().sent) += messages;
  return {};
}

void Connection::finish(Deadline by) noexcept {
  if (finishing_) return;
  finishing_ = true;
  finish_by_ = by;
  if (PLANT(bus_shutdown_does_not_flush) && draining) outbox_.clear();
  news_.wake_one(*scheduler_);
}

void Connection::disconnect() noexcept {
  doomed_ = true;
  scheduler_->cancel(writer_);
}

// --- Reading -------------------------------------------------------------------------------------------------------

// The connection's own fiber. However it ends, the place is free, the application told, and the writer on its way out.
void Connection::read_until_end() {
  Error why{Errc::broken, 0};
  bool failed = false;
  try {
    why = read_all();
  } catch (...) {
    failed = true;
  }
  if (failed) {
    ++bus_->tally().handler_failures;
    if (PLANT(bus_exception_leaks_slot)) return;
  }
  bus_->leave(*this, why);
  // Who has said good-bye may still read.
  if (why == Errc::closed)
    finish(in(bus_->options().drain_limit));
  else
    disconnect();
}

Error Connection::read_all() {
  const BusOptions& options = bus_->options();
  for (;;) {
    inbox_.clear();
    const bool bounded =
        is_replica() && options.silence_max > Duration::zero() && !PLANT(bus_silence_unnoticed);
    const Deadline deadline = bounded ? in(options.silence_max) : Deadline::never();
    const Result<void> got = link_->read_batch(inbox_, options.max_message, deadline);
    if (!got) {
      // Nothing is lost: what came waits in the connection.
      if (got.error() == Errc::no_resources && scheduler_->sleep_for(pause_without_memory))
        continue;
      if (got.error() == Errc::timed_out) ++bus_->tally().silent;
      return got.error();
    }
    if (!bus_->deliver(*this, inbox_.messages())) return {Errc::broken, 0};
    // A peer that sends without end must not keep the others from running.
    if (scheduler_->others_ready()) scheduler_->yield();
  }
}

}  // namespace twinwire::bus
