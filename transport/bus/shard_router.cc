// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/shard_router.h"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/bus/dealt_plane.h"

namespace twinwire::bus {
namespace {

constexpr Duration pause_until_room = std::chrono::milliseconds(1);
constexpr unsigned replica_bits = 8;
// 40 bits of a claim's token, and 8 of the replica's id.
static_assert(OwnerClaim::token_max << replica_bits <= Envelope::number_max);

Envelope envelope_of(Envelope::Kind kind, std::uint64_t number, Errc why = Errc::closed) noexcept {
  Envelope envelope;
  envelope.number = number & Envelope::number_max;
  envelope.kind = static_cast<std::uint8_t>(kind);
  envelope.why = static_cast<std::uint8_t>(why);
  return envelope;
}

}  // namespace

Result<std::unique_ptr<ShardRouter>> ShardRouter::join(Bus& bus, ShardMail& mail,
                                                       OwnerTable& owners,
                                                       const ConnOptions& clients) {
  if (bus.options().shard != mail.shard() || bus.options().shards != mail.shards())
    return Errc::invalid;
  std::unique_ptr<ShardRouter> router;
  try {
    router.reset(new ShardRouter(bus, mail, clients));
  } catch (const std::exception&) {
    return Errc::no_resources;
  }
  const auto fiber =
      router->fibers_.try_spawn("bus.mail", [own = router.get()] { own->keep_posting(); });
  if (!fiber) return fiber.error();
  bus.forward_by(router.get());
  bus.owned_by(&owners);
  mail.receive_by(router.get());
  return router;
}

ShardRouter::ShardRouter(Bus& bus, ShardMail& mail, const ConnOptions& clients)
    : bus_(&bus),
      mail_(&mail),
      clients_(clients),
      waiting_(mail.shards()),
      phases_(mail.shards(), ShutdownPhase::none),
      next_(mail.shard()),
      fibers_(bus.scheduler()) {}

// --- From here -----------------------------------------------------------------------------------------------------

Result<void> ShardRouter::forward(ClientId to, Message& message) noexcept {
  if (to.shard() >= mail_->shards()) return Errc::unreachable;
  // An id that was never given is nobody's, and must not be cut to one that was.
  if (to.low > Envelope::number_max || to != ClientId::of(to.shard(), to.low))
    return Errc::not_connected;
  return forward(to.shard(), envelope_of(Envelope::Kind::to_client, to.low), message);
}

Result<void> ShardRouter::forward(ReplicaId to, OwnerClaim seen, Message& message) noexcept {
  return forward(seen.shard(),
                 envelope_of(Envelope::Kind::to_replica, seen.token() << replica_bits | to),
                 message);
}

Result<void> ShardRouter::forward(std::uint16_t shard, const Envelope& envelope,
                                  Message& message) noexcept {
  Result<void> sent = mail_->send(shard, envelope, message);
  while (PLANT(bus_forward_waits) && !sent && sent.error() == Errc::backpressure) {
    if (!bus_->scheduler().sleep_for(pause_until_room)) break;
    sent = mail_->send(shard, envelope, message);
  }
  if (PLANT(bus_forward_overtakes) && !sent && sent.error() == Errc::backpressure) {
    post(shard, envelope, std::move(message));  // and does not keep others from going before it
    return {};
  }
  if (sent) {
    ++counters_.forwarded;
    return sent;
  }
  ++counters_.forward_refused;
  if (sent.error() == Errc::backpressure) bus_->scheduler().reached(Sometimes::bus_forward_refused);
  return sent;
}

void ShardRouter::shut_down_all() noexcept {
  if (std::exchange(all_told_, true)) return;
  bus_->trigger_shutdown();
  for (std::uint16_t to = 0; to < mail_->shards(); ++to)
    if (to != mail_->shard()) post(to, envelope_of(Envelope::Kind::shut_down, 0), {});
}

void ShardRouter::deal(std::unique_ptr<ByteStream>& stream, Deadline deadline) {
  const std::uint16_t to = next_;
  next_ = static_cast<std::uint16_t>((next_ + 1) % mail_->shards());
  if (to == mail_->shard()) return;
  const Result<void> given = mail_->hand_over(to, stream, deadline);
  if (given) {
    ++counters_.streams_given;
  } else if (stream == nullptr) {
    ++counters_.streams_lost;
    bus_->lost_between_shards(given.error());
  }
}

// --- To here -------------------------------------------------------------------------------------------------------

void ShardRouter::on_mail(std::uint16_t from, const Envelope& envelope, Message message) noexcept {
  const std::uint64_t number = envelope.number;
  if (ended_) return on_late_mail(from, envelope, message);
  const Error why{static_cast<Errc>(envelope.why), 0};
  switch (static_cast<Envelope::Kind>(envelope.kind)) {
    case Envelope::Kind::to_client:
    case Envelope::Kind::to_replica: return deliver(from, envelope, message);
    case Envelope::Kind::client_refused:
      ++counters_.came_back;
      return bus_->forward_refused(PeerId::of(ClientId::of(from, number)), std::move(message), why);
    case Envelope::Kind::replica_refused:
      ++counters_.came_back;
      return bus_->forward_refused(PeerId::of(static_cast<ReplicaId>(number)), std::move(message),
                                   why);
    case Envelope::Kind::shut_down: return bus_->trigger_shutdown();
    case Envelope::Kind::phase:
      phases_[from] = std::max(phases_[from], static_cast<ShutdownPhase>(number));
      phased_.wake_all(bus_->scheduler());
      return;
  }
}

// The bus is shut down, and its handler is told nothing more.
void ShardRouter::on_late_mail(std::uint16_t from, const Envelope& envelope,
                               Message& message) noexcept {
  switch (static_cast<Envelope::Kind>(envelope.kind)) {
    case Envelope::Kind::to_client:
    case Envelope::Kind::to_replica:
      deliver(from, envelope, message);  // which refuses it
      return drop_waiting();
    case Envelope::Kind::client_refused:
    case Envelope::Kind::replica_refused: ++counters_.came_back; return;
    case Envelope::Kind::shut_down:
    case Envelope::Kind::phase: return;
  }
}

// For a peer here, or for nobody. What cannot be queued goes back to where it came from: never on, whoever may have
// that peer by now.
void ShardRouter::deliver(std::uint16_t from, const Envelope& envelope, Message& message) noexcept {
  ++counters_.arrived;
  const std::uint64_t number = envelope.number;
  const bool to_client = envelope.kind == static_cast<std::uint8_t>(Envelope::Kind::to_client);
  const Result<void> queued =
      to_client
          ? bus_->deliver_forwarded(ClientId::of(mail_->shard(), number), message)
          : bus_->deliver_forwarded(static_cast<ReplicaId>(number),
                                    OwnerClaim(mail_->shard(), number >> replica_bits), message);
  if (queued) return;
  ++counters_.arrived_refused;
  if (PLANT(bus_self_forward) && mail_->send(mail_->shard(), envelope, message)) return;
  if (PLANT(bus_forward_leaks))
    return (void)std::make_unique<Message>(std::move(message)).release();
  if (PLANT(bus_forward_refusal_untold)) return;
  post(from,
       envelope_of(to_client ? Envelope::Kind::client_refused : Envelope::Kind::replica_refused,
                   number, queued.error().code),
       std::move(message));
}

void ShardRouter::on_stream_lost(std::uint16_t, Error why) noexcept {
  ++counters_.streams_dropped;
  if (!ended_) bus_->lost_between_shards(why);
}

void ShardRouter::on_stream(std::uint16_t, std::unique_ptr<ByteStream> stream) noexcept {
  ++counters_.streams_taken;
  if (PLANT(bus_handed_over_leaks) && bus_->stopping()) return (void)stream.release();
  const Address peer = stream->peer();
  auto link = tcp_link(bus_->network(), std::move(stream), clients_);
  if (!link || !bus_->adopt(std::move(*link), peer)) ++counters_.streams_dropped;
}

// --- What must not be lost for want of room ------------------------------------------------------------------------

std::size_t ShardRouter::waiting() const noexcept {
  std::size_t sum = 0;
  for (const auto& queue : waiting_) sum += queue.size();
  return sum;
}

// Bounded: each message is one that another shard lent, of which it lends only so many.
void ShardRouter::post(std::uint16_t to, const Envelope& envelope, Message message) noexcept {
  try {
    waiting_[to].push_back({envelope, std::move(message)});
  } catch (const std::bad_alloc&) {
    ++counters_.untold;
    return;
  }
  if (!post_waiting()) post_.wake_one(bus_->scheduler());
}

// False: there is no room for some of it.
bool ShardRouter::post_waiting() noexcept {
  bool all = true;
  for (std::uint16_t to = 0; to < mail_->shards(); ++to) {
    std::deque<Outgoing>& queue = waiting_[to];
    while (!queue.empty()) {
      const auto sent = mail_->send(to, queue.front().envelope, queue.front().message);
      if (!sent && sent.error() != Errc::shutting_down) {
        all = false;
        break;
      }
      if (!sent) count_untold(queue.front());
      queue.pop_front();
    }
  }
  return all;
}

void ShardRouter::keep_posting() {
  Scheduler& scheduler = bus_->scheduler();
  while (!ended_) {
    if (post_waiting())
      (void)post_.wait(scheduler, Deadline::never(), "mail that finds no room");
    else
      (void)scheduler.sleep_for(pause_until_room);
    if (scheduler.cancel_pending()) return;
  }
}

// --- The end -------------------------------------------------------------------------------------------------------

bool ShardRouter::all_have(ShutdownPhase phase) const noexcept {
  for (std::uint16_t shard = 0; shard < mail_->shards(); ++shard)
    if (shard != mail_->shard() && phases_[shard] < phase) return false;
  return true;
}

// The word of a phase comes behind what this shard has forwarded, and behind what it has given back.
void ShardRouter::await_all(ShutdownPhase phase, Deadline deadline) {
  Scheduler& scheduler = bus_->scheduler();
  for (std::uint16_t to = 0; to < mail_->shards(); ++to)
    if (to != mail_->shard())
      post(to, envelope_of(Envelope::Kind::phase, static_cast<std::uint64_t>(phase)), {});
  if (PLANT(bus_shards_do_not_wait)) return;
  while (!all_have(phase) && phased_.wait(scheduler, deadline, "the other shards") == Wake::ready) {
  }
}

// It goes on receiving, so that what comes too late is given back.
void ShardRouter::end() {
  ended_ = true;
  fibers_.cancel();
  fibers_.join();
  drop_waiting();
}

// There is nobody any more who would try again.
void ShardRouter::drop_waiting() noexcept {
  for (auto& queue : waiting_) {
    for (const Outgoing& outgoing : queue) count_untold(outgoing);
    queue.clear();
  }
}

}  // namespace twinwire::bus
