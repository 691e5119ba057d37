// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_datagram.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sim/fabric.h"
#include "sim/lie.h"
#include "sim/sim_network.h"
#include "transport/base/sometimes.h"

namespace twinwire::sim {
namespace {

void release(Block*& block) noexcept {
  if (block != nullptr && --block->references == 0) block->owner->reclaim(block);
  block = nullptr;
}

std::uint64_t number(const Address& address) noexcept {
  std::uint64_t value = address.port;
  for (const std::uint8_t byte : address.ip) value = scramble(value ^ byte);
  return value;
}

}  // namespace

// --- On the way ----------------------------------------------------------------------------------------------------

void FlyingDatagram::drop() noexcept {
  if (world != nullptr) world->unschedule(*this);
  release(block);
}

void FlyingDatagram::fire() {
  SimDatagram* socket = fabric_->datagram_socket(to);
  const auto who = [this] { return to_string(shown(from)) + ">" + to_string(shown(to)); };
  if (socket != nullptr) {
    Decisions& decisions = world->decisions();
    if (lost) {
      if (counts) decisions.bit(fault);
      if (world->tracing())
        world->tell(who(), std::string(name(fault)) + ": a datagram of " + std::to_string(size) +
                               " bytes is lost");
    } else if (socket->deliver(*this)) {
      if (fault != Site::wake_order) decisions.bit(fault);
      if (delayed) decisions.bit(Site::datagram_delay);
      if (duplicate) decisions.bit(Site::datagram_duplicate);
    } else if (world->tracing()) {
      world->tell(who(),
                  "datagram of " + std::to_string(size) + " bytes dropped: receive buffer full");
    }
  }
  release(block);
  fabric_->put_datagram(*this);
}

// --- The socket ----------------------------------------------------------------------------------------------------

SimDatagram::SimDatagram(SimNetwork& network, Fabric& fabric, EntityId entity, const Address& bound,
                         const DatagramOptions& options)
    : network_(&network),
      fabric_(&fabric),
      entity_(entity),
      bound_(bound),
      address_(network.address(bound.port)),
      receive_buffer_(options.receive_buffer != 0 ? options.receive_buffer : receive_buffer),
      buffer_asked_(receive_buffer_) {
  World& world = network.world();
  ++world.sockets;
  if (!world.may_strike(Site::short_datagram_queue)) return;
  const std::uint64_t more =
      world.choose(Site::short_datagram_queue, at_node(address_), entity, 0, receive_buffer / 512);
  if (more != 0)
    receive_buffer_ = std::min(
        receive_buffer_, short_queue_least + static_cast<std::size_t>(more) * short_queue_step);
}

SimDatagram::~SimDatagram() {
  if (network_ != nullptr) sever();
}

void SimDatagram::sever() noexcept {
  Scheduler& scheduler = network_->scheduler();
  discard_received();
  fabric_->forget_name(address_);
  network_->remove(*this);
  --network_->world().sockets;
  network_ = nullptr;
  waiters_.wake_all(scheduler);
}

void SimDatagram::forget() noexcept {
  discard_received();
  network_ = nullptr;
}

void SimDatagram::discard_received() noexcept {
  for (; !received_.empty(); received_.pop_front()) release(received_.front().block);
  received_cost_ = 0;
}

SimDatagram::Pair& SimDatagram::pair(const Address& remote) {
  const auto at = std::lower_bound(pairs_.begin(), pairs_.end(), remote,
                                   [](const Pair& p, const Address& a) { return p.remote < a; });
  if (at != pairs_.end() && at->remote == remote) return *at;
  return *pairs_.insert(at,
                        Pair{.remote = remote, .entity = child_entity(entity_, number(remote))});
}

void SimDatagram::damage(FlyingDatagram& flying, Pair& to, std::uint64_t nth) {
  World& world = network_->world();
  const Place place = between(address_, flying.to.address);
  const auto choose = [&](Site site, std::uint64_t bound) {
    return world.may_strike(site) ? world.choose(site, place, to.entity, nth, bound) : 0;
  };
  const auto lose = [&](Site site, bool counts = true) {
    flying.lost = true;
    flying.fault = site;
    flying.counts = counts;
  };
  // Gilbert-Elliott: in a burst seven of eight are lost.
  if (const std::uint64_t burst = choose(Site::datagram_burst, 10'000); burst != 0) {
    to.burst_until = std::max(to.burst_until, nth + burst);
    to.burst_key = mix(to.entity, burst);
    to.burst_bit = false;
  }
  if (const std::uint64_t limit = choose(Site::mtu_black_hole, payload_max); limit != 0) {
    to.size_max = 1199 + limit;  // QUIC needs 1,200 (RFC 9000, section 14)
    to.hole_bit = false;
  }
  if (world.choose(Site::datagram_loss, place, to.entity, nth, 1) != 0 &&
      !LIE(datagram_loss_does_nothing))
    return lose(Site::datagram_loss);
  const bool calm = world.is_calm();
  if (!calm && nth < to.burst_until && mix(to.burst_key, nth) % 8 != 0)
    return lose(Site::datagram_burst, !std::exchange(to.burst_bit, true));
  if (!calm && flying.size > to.size_max)
    return lose(Site::mtu_black_hole, !std::exchange(to.hole_bit, true));
  if (flying.size == 0) return;
  const auto tell = [&](const std::string& what) {
    world.tell(to_string(shown(flying.from)) + ">" + to_string(shown(flying.to)), what);
  };
  if (const std::uint64_t cut = choose(Site::datagram_cut, flying.size - 1); cut != 0) {
    if (world.tracing())
      tell("datagram_cut: only the first " + std::to_string(cut) + " of " +
           std::to_string(flying.size) + " bytes arrive");
    flying.size = static_cast<std::uint32_t>(cut);
    flying.fault = Site::datagram_cut;
  }
  if (const std::uint64_t bit = choose(Site::datagram_flip, std::uint64_t{8} * flying.size);
      bit != 0) {
    // Its copy on its own: the sender's bytes may be shared with others.
    Block* changed = world.buffers().allocate(flying.size);
    if (changed == nullptr) return;
    std::memcpy(changed->data, flying.block->data + flying.begin, flying.size);
    release(flying.block);
    flying.block = changed;
    flying.begin = 0;
    changed->data[(bit - 1) / 8] ^= std::byte{1} << ((bit - 1) % 8);
    flying.fault = Site::datagram_flip;
    if (world.tracing())
      tell("datagram_flip: bit " + std::to_string((bit - 1) % 8) + " of byte " +
           std::to_string((bit - 1) / 8) + " arrives as the other one");
  }
}

void SimDatagram::fly(Block* block, std::size_t begin, std::size_t size, const Datagram& datagram,
                      const Way& way) {
  World& world = network_->world();
  Pair& to = pair(datagram.remote);
  const Place place = between(address_, way.to.address);
  const std::uint64_t nth = to.sent++;
  if (!was_spoken_to_) spoke_first_ = true;
  if (spoke_first_ && world.may_strike(Site::address_change) &&
      world.choose(Site::address_change, place, to.entity, nth, 1) != 0) {
    world.decisions().bit(Site::address_change);
    const Address now_seen = fabric_->rename(address_);
    if (world.tracing())
      world.tell(to_string(address_),
                 "address_change: from now on it is seen as " + to_string(now_seen));
  }
  FlyingDatagram& flying = *fabric_->take_datagram();
  flying.world = &world;
  flying.block = block;
  ++block->references;
  flying.begin = static_cast<std::uint32_t>(begin);
  flying.size = static_cast<std::uint32_t>(size);
  flying.from = {fabric_->seen_as(address_), way.from.realm};
  flying.to = way.to;
  flying.ecn = datagram.ecn;
  flying.pair = to.entity;
  flying.duplicate = false;
  flying.nth = nth;
  flying.fault = Site::wake_order;
  flying.counts = true;
  flying.lost = false;
  damage(flying, to, nth);
  const auto delay = Duration(world.choose(Site::datagram_delay, place, to.entity, nth, delay_max));
  flying.delayed = delay != Duration(0);
  if (flying.delayed && !flying.lost && world.tracing())
    world.tell(to_string(shown(way.from)) + ">" + to_string(shown(way.to)),
               "datagram of " + std::to_string(size) + " bytes delayed by " +
                   std::to_string(delay.count()) + " ns");
  const auto again =
      Duration(world.choose(Site::datagram_duplicate, place, to.entity, nth, delay_max));
  const TimePoint arrival = world.now() + world.options().latency + delay;
  world.schedule(flying, arrival);
  if (again == Duration(0)) return;
  FlyingDatagram& copy = *fabric_->take_datagram();
  copy.world = &world;
  copy.block = block;
  ++block->references;
  copy.begin = static_cast<std::uint32_t>(begin);
  copy.size = static_cast<std::uint32_t>(size);
  copy.from = flying.from;
  copy.to = flying.to;
  copy.ecn = flying.ecn;
  copy.pair = flying.pair;
  copy.fault = Site::wake_order;
  copy.counts = true;
  copy.lost = false;
  copy.delayed = false;
  copy.duplicate = true;
  copy.nth = nth;
  world.schedule(copy, arrival + again);
}

// What Linux says of an address that this socket cannot have: EINVAL of port 0, EAFNOSUPPORT of IPv6 on a socket of
// IPv4, ENETUNREACH of IPv4 on one of IPv6 alone, and of a source that is not the node's.
Result<SimDatagram::Way> SimDatagram::way_of(const Datagram& datagram) const noexcept {
  const auto no = [](int os_errno) { return Error{Errc::unreachable, os_errno}; };
  const bool v4 = datagram.remote.is_v4();
  const bool v4_socket = bound_.is_v4();
  if (v4_socket && !v4 && !LIE(families_mix)) return no(EAFNOSUPPORT);
  if (!v4_socket && v4 && !is_unspecified(bound_) && !LIE(families_mix)) return no(ENETUNREACH);
  if (datagram.remote.port == 0 && !LIE(port_zero_is_silence)) return no(EINVAL);
  const Address asked = is_unspecified(datagram.local) ? bound_ : datagram.local;
  const Spot to = network_->destination(datagram.remote, asked);
  if (!v4 && fabric_->node(to.address) == nullptr) return no(ENETUNREACH);
  auto from = network_->source_of(asked, to);
  if (!from && LIE(foreign_source_taken)) from = Spot{address_, to.realm};
  if (!from) return from.error().os_errno == EADDRNOTAVAIL ? no(ENETUNREACH) : from.error();
  if (LIE(loopback_has_no_address) && is_loopback(from->realm))
    from->realm = is_v4(from->realm) ? Realm::v4 : Realm::v6;
  return Way{to, *from};
}

Result<std::size_t> SimDatagram::send(std::span<const Datagram> datagrams, Deadline deadline) {
  if (network_ == nullptr) [[unlikely]]
    return Errc::canceled;
  World& world = network_->world();
  if (const auto refused = world.scheduler().refuses(deadline);
      refused && !(refused == Errc::timed_out && LIE(late_send_sends)))
    return *refused;
  std::size_t taken = 0;
  for (const Datagram& datagram : datagrams) {
    Errc failure{};
    int os_errno = 0;
    const std::size_t size = datagram.bytes.size();
    const std::size_t step = datagram.segment_size != 0 && !LIE(segments_are_one)
                                 ? datagram.segment_size
                                 : std::max<std::size_t>(size, 1);
    const auto way = way_of(datagram);
    const std::size_t first = LIE(segments_bounded_together) ? size : std::min(step, size);
    const std::size_t most = datagram.remote.is_v4() ? payload_max : payload_max6;
    if (way ? first > most + (LIE(one_byte_too_many) ? 1 : 0) : first > UINT16_MAX) {
      failure = Errc::too_large;
      os_errno = EMSGSIZE;
    } else if (!way) {
      failure = way.error().code;
      os_errno = way.error().os_errno;
    } else if (Block* block = world.buffers().allocate(std::max<std::size_t>(size, 1));
               block == nullptr) {
      failure = Errc::no_resources;
      os_errno = ENOBUFS;
    } else {
      if (size > 0) std::memcpy(block->data, datagram.bytes.data(), size);
      std::size_t begin = 0;
      const bool heard = !fabric_->outages().cut(between(address_, way->to.address));
      do {
        const std::size_t part = std::min(step, size - begin);
        if (heard)
          fly(block, begin, part, datagram, *way);
        else
          ++pair(datagram.remote).sent;  // an outage moves no later one's key
        begin += part;
      } while (begin < size);
      release(block);
      ++taken;
      continue;
    }
    if (taken > 0 && !LIE(too_large_ends_the_batch)) break;  // told when it is the first of a call
    return Error{failure, os_errno};
  }
  return taken;
}

bool SimDatagram::deliver(FlyingDatagram& datagram) {
  World& world = network_->world();
  // A glued datagram's parts share a block: each pays for its bytes, and at least for the smallest block.
  const std::size_t cost = std::max<std::size_t>(datagram.size, 512);
  // An empty queue takes whatever comes.
  const bool room = received_cost_ + cost <= receive_buffer_ ||
                    (received_.empty() && !LIE(small_buffer_starves)) ||
                    LIE(receive_buffer_without_bound);
  if (!room && received_cost_ + cost <= buffer_asked_) {
    world.decisions().bit(Site::short_datagram_queue);
    buffer_asked_ = 0;  // once for each time that it was drawn
  }
  if (!room && LIE(overflow_drops_oldest)) {
    received_cost_ -= std::max<std::size_t>(received_.front().size, 512);
    release(received_.front().block);
    received_.pop_front();
  } else if (!room) {
    world.reached(Sometimes::datagram_buffer_full);
    return false;
  }
  if (datagram.size == 0 && LIE(empty_datagram_lost)) return true;
  received_cost_ += cost;
  was_spoken_to_ = true;
  if (datagram.pair == newest_pair_ && datagram.nth < newest_nth_) {
    world.reached(Sometimes::datagram_overtaken);
  } else {
    newest_pair_ = datagram.pair;
    newest_nth_ = datagram.nth;
  }
  const std::uint64_t value = digest({datagram.block->data + datagram.begin, datagram.size});
  world.step(Step::datagram, datagram.pair, value,
             world.tracing() ? to_string(shown(datagram.from)) + ">" + to_string(shown(datagram.to))
                             : std::string(),
             [&] {
               return std::string(datagram.duplicate ? "delivered again" : "delivered") +
                      " a datagram of " + std::to_string(datagram.size) + " bytes";
             });
  received_.push_back({shown(datagram.from), shown(datagram.to),
                       LIE(mark_lost) ? Ecn::not_ect : datagram.ecn, datagram.block, datagram.begin,
                       datagram.size});
  ++datagram.block->references;
  waiters_.wake_one(world.scheduler());
  return true;
}

Result<DatagramBatch> SimDatagram::receive(Deadline deadline) {
  if (network_ == nullptr) [[unlikely]]
    return Errc::canceled;
  Scheduler& scheduler = network_->scheduler();
  if (const auto refused = scheduler.refuses(deadline)) return *refused;
  while (received_.empty()) {
    const Wake wake = waiters_.wait(scheduler, deadline, "a datagram");
    if (network_ == nullptr) return Errc::canceled;
    if (wake != Wake::ready && received_.empty()) return to_errc(wake);
  }
  DatagramBatch batch;
  batch.reserve(std::min(received_.size(), batch_max));
  while (!received_.empty() && batch.size() < batch_max) {
    const Received& first = received_.front();
    received_cost_ -= std::max<std::size_t>(first.size, 512);
    batch.push_back({.remote = first.remote,
                     .local = first.local,
                     .ecn = first.ecn,
                     .bytes = Slice(first.block, first.block->data + first.begin, first.size)});
    received_.pop_front();
  }
  if (!received_.empty()) waiters_.wake_one(scheduler);
  return batch;
}

}  // namespace twinwire::sim
