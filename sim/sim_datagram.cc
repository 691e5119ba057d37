// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_datagram.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "sim/fabric.h"
#include "sim/sim_network.h"

namespace twinwire::sim {
namespace {

void release(Block*& block) noexcept {
  if (block != nullptr && --block->references == 0) block->owner->reclaim(block);
  block = nullptr;
}

bool is_zero(const Address& address) noexcept { return address == Address{}; }

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
  const auto who = [this] { return to_string(from) + ">" + to_string(to); };
  if (socket != nullptr) {
    Decisions& decisions = world->decisions();
    if (lost) {
      decisions.bit(Site::datagram_loss);
      if (world->tracing())
        world->tell(who(), "datagram of " + std::to_string(size) + " bytes lost");
    } else if (socket->deliver(*this)) {
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

SimDatagram::SimDatagram(SimNetwork& network, Fabric& fabric, EntityId entity, const Address& local,
                         const DatagramOptions& options)
    : network_(&network),
      fabric_(&fabric),
      entity_(entity),
      local_(local),
      receive_buffer_(options.receive_buffer != 0 ? options.receive_buffer : receive_buffer) {
  ++network.world().sockets;
}

SimDatagram::~SimDatagram() {
  if (network_ == nullptr) return;
  discard_received();
  network_->remove(*this);
  --network_->world().sockets;
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
  return *pairs_.insert(at, Pair{remote, child_entity(entity_, number(remote)), 0});
}

void SimDatagram::fly(Block* block, std::size_t begin, std::size_t size, const Datagram& datagram) {
  World& world = network_->world();
  Pair& to = pair(datagram.remote);
  const std::uint64_t nth = to.sent++;
  FlyingDatagram& flying = *fabric_->take_datagram();
  flying.world = &world;
  flying.block = block;
  ++block->references;
  flying.begin = static_cast<std::uint32_t>(begin);
  flying.size = static_cast<std::uint32_t>(size);
  flying.from = local_;
  flying.to = datagram.remote;
  flying.ecn = datagram.ecn;
  flying.pair = to.entity;
  flying.duplicate = false;
  flying.lost = world.choose(Site::datagram_loss, to.entity, nth, 1) != 0;
  const auto delay = Duration(world.choose(Site::datagram_delay, to.entity, nth, delay_max));
  flying.delayed = delay != Duration(0);
  if (flying.delayed && !flying.lost && world.tracing())
    world.tell(to_string(local_) + ">" + to_string(datagram.remote),
               "datagram of " + std::to_string(size) + " bytes delayed by " +
                   std::to_string(delay.count()) + " ns");
  const auto again = Duration(world.choose(Site::datagram_duplicate, to.entity, nth, delay_max));
  const TimePoint arrival = world.now() + world.options().latency + delay;
  world.schedule(flying, arrival);
  if (again == Duration(0)) return;
  FlyingDatagram& copy = *fabric_->take_datagram();
  copy.world = &world;
  copy.block = block;
  ++block->references;
  copy.begin = flying.begin;
  copy.size = flying.size;
  copy.from = flying.from;
  copy.to = flying.to;
  copy.ecn = flying.ecn;
  copy.pair = flying.pair;
  copy.lost = false;
  copy.delayed = false;
  copy.duplicate = true;
  world.schedule(copy, arrival + again);
}

Result<std::size_t> SimDatagram::send(std::span<const Datagram> datagrams, Deadline deadline) {
  World& world = network_->world();
  if (const auto refused = world.scheduler().refuses(deadline)) return *refused;
  std::size_t taken = 0;
  for (const Datagram& datagram : datagrams) {
    Errc failure{};
    int os_errno = 0;
    const std::size_t size = datagram.bytes.size();
    const std::size_t step =
        datagram.segment_size != 0 ? datagram.segment_size : std::max<std::size_t>(size, 1);
    if (size > payload_max || (size + step - 1) / step > segments_max) {
      failure = Errc::too_large;
      os_errno = EMSGSIZE;
    } else if (!datagram.remote.is_v4()) {
      failure = Errc::unreachable;
      os_errno = ENETUNREACH;
    } else if (!is_zero(datagram.local) && datagram.local.ip != local_.ip) {
      failure = Errc::unreachable;
      os_errno = EADDRNOTAVAIL;
    } else if (Block* block = world.buffers().allocate(std::max<std::size_t>(size, 1));
               block == nullptr) {
      failure = Errc::no_resources;
      os_errno = ENOBUFS;
    } else {
      if (size > 0) std::memcpy(block->data, datagram.bytes.data(), size);
      std::size_t begin = 0;
      do {
        const std::size_t part = std::min(step, size - begin);
        fly(block, begin, part, datagram);
        begin += part;
      } while (begin < size);
      release(block);
      ++taken;
      continue;
    }
    if (taken > 0) break;  // told when it is the first of a call
    return Error{failure, os_errno};
  }
  return taken;
}

bool SimDatagram::deliver(FlyingDatagram& datagram) {
  World& world = network_->world();
  // A glued datagram's parts share a block: each pays for its bytes, and at least for the smallest block.
  const std::size_t cost = std::max<std::size_t>(datagram.size, 512);
  if (received_cost_ + cost > receive_buffer_) return false;
  received_cost_ += cost;
  const std::uint64_t value = digest({datagram.block->data + datagram.begin, datagram.size});
  world.step(
      Step::datagram, datagram.pair, value,
      world.tracing() ? to_string(datagram.from) + ">" + to_string(datagram.to) : std::string(),
      [&] {
        return std::string(datagram.duplicate ? "delivered again" : "delivered") +
               " a datagram of " + std::to_string(datagram.size) + " bytes";
      });
  received_.push_back({datagram.from, datagram.ecn, datagram.block, datagram.begin, datagram.size});
  ++datagram.block->references;
  waiters_.wake_one(world.scheduler());
  return true;
}

Result<DatagramBatch> SimDatagram::receive(Deadline deadline) {
  Scheduler& scheduler = network_->scheduler();
  if (const auto refused = scheduler.refuses(deadline)) return *refused;
  while (received_.empty()) {
    const Wake wake = waiters_.wait(scheduler, deadline, "a datagram");
    if (wake != Wake::ready && received_.empty()) return to_errc(wake);
  }
  DatagramBatch batch;
  batch.reserve(std::min(received_.size(), batch_max));
  while (!received_.empty() && batch.size() < batch_max) {
    const Received& first = received_.front();
    received_cost_ -= std::max<std::size_t>(first.size, 512);
    batch.push_back({.remote = first.remote,
                     .local = local_,
                     .ecn = first.ecn,
                     .bytes = Slice(first.block, first.block->data + first.begin, first.size)});
    received_.pop_front();
  }
  if (!received_.empty()) waiters_.wake_one(scheduler);
  return batch;
}

}  // namespace twinwire::sim
