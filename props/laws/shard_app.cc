// SPDX-License-Identifier: Apache-2.0
#include "props/laws/shard_app.h"

#include <algorithm>
#include <utility>

#include "sim/sim_network.h"

namespace twinwire::laws {
namespace {

// What a handler throws that is asked to fail.
struct ShardAskedToFail {};

std::string name_of(bus::ReplicaId id) { return "r" + std::to_string(id); }
std::string name_of(bus::ClientId id) {
  return "client " + std::to_string(id.shard()) + "." + std::to_string(id.low);
}
std::string name_of(const bus::PeerId& id) {
  return id.plane == bus::Plane::clients ? name_of(id.client) : name_of(id.replica);
}

}  // namespace

bool was_killed(const Network& network) noexcept {
  const auto* const simulated = dynamic_cast<const sim::SimNetwork*>(&network);
  return simulated != nullptr && simulated->severed();
}

// --- What the bus tells --------------------------------------------------------------------------------------------

void ShardApp::connected(Peer& peer, const std::string& who) {
  judge().check(!std::exchange(peer.connected, true), "bus_notify",
                [&] { return name_ + " is told twice that " + who + " is connected"; });
  peer.hearings.push_back(std::make_unique<BusBook::Hearing>());
  peer.hearings.back()->sessions_max = shards_max_;
  env_->tell(name_, [&] { return who + " is connected"; });
}

void ShardApp::lost(Peer& peer, const std::string& who, Error why) {
  judge().check(std::exchange(peer.connected, false), "bus_notify",
                [&] { return name_ + " is told twice that " + who + " is lost"; });
  env_->tell(name_, [&] { return who + " is lost: " + to_string(why); });
}

void ShardApp::on_client_connected(bus::ClientId id, const Address& /*peer*/) noexcept {
  judge().check(!clients_.contains(id) && id.shard() == shard_, "bus_notify",
                [&] { return name_ + " gives the id of " + name_of(id) + " a second time"; });
  board_->clients.push_back(id);
  if (board_->clients.size() > 6) board_->clients.pop_front();
  connected(clients_[id], name_of(id));
}

void ShardApp::on_client_lost(bus::ClientId id, Error why) noexcept {
  judge().check(!board_->draining_replicas, "bus_drain", [&] {
    return name_ + ": " + name_of(id) + " ends behind a replica that was drained on another shard";
  });
  lost(clients_[id], name_of(id), why);
}

void ShardApp::on_replica_connected(bus::ReplicaId id) noexcept {
  std::optional<std::uint16_t>& owner = board_->owner[id];
  judge().check(!owner, "bus_owner", [&] {
    return name_ + " has a connection to " + name_of(id) + ", and so has shard " +
           std::to_string(*owner);
  });
  owner = shard_;
  connected(replicas_[id], name_of(id));
}

void ShardApp::on_replica_lost(bus::ReplicaId id, Error why) noexcept {
  ++replicas_lost_;
  board_->owner[id].reset();
  if (why == Errc::shutting_down && !was_killed(*network_)) board_->draining_replicas = true;
  lost(replicas_[id], name_of(id), why);
  // On threads another shard may be told that it is connected as soon as the claim is given back.
  judge().check(bus_->owner_of(id) && bus_->owner_of(id).shard() == shard_, "bus_owner", [&] {
    return name_ + " has given back its claim of " + name_of(id) + " before it is told of the loss";
  });
}

void ShardApp::on_forward_refused(const bus::PeerId& to, Message message, Error why) noexcept {
  env_->tell(name_, [&] { return "a message to " + name_of(to) + " is back: " + to_string(why); });
  const bool known =
      why == Errc::not_connected || why == Errc::backpressure || why == Errc::shutting_down;
  judge().check(known, "bus_forward", [&] { return "a message came back as " + to_string(why); });
  judge().check(why != Errc::shutting_down || was_killed(*network_), "bus_drain", [&] {
    return name_ + ": what it sent to " + name_of(to) + " in time was refused by a shutdown";
  });
  book_->came_back(message);
}

void ShardApp::on_refused(bus::Plane, std::string_view what, Error why) noexcept {
  env_->tell(name_, [&] { return "refuses: " + std::string(what) + " (" + to_string(why) + ")"; });
}

void ShardApp::on_client_messages(bus::ClientId from, std::span<const Message> messages) {
  heard(from, clients_[from], name_of(from), messages);
}
void ShardApp::on_replica_messages(bus::ReplicaId from, std::span<const Message> messages) {
  heard(from, replicas_[from], name_of(from), messages);
}

template <class Id>
void ShardApp::heard(Id from, Peer& peer, const std::string& who,
                     std::span<const Message> messages) {
  if (!judge().check(peer.connected, "bus_notify", [&] {
        return name_ + " is given messages of " + who + ", which is not connected";
      }))
    return;
  BusBook::Hearing& hearing = *peer.hearings.back();
  struct Handling {
    explicit Handling(std::size_t& n) noexcept : count(n) { ++count; }
    ~Handling() { --count; }
    std::size_t& count;
  } handling(handling_);
  for (const Message& message : messages) book_->heard(hearing, message);
  for (const Message& message : messages) {
    switch (static_cast<BusAsk>(message.header().view())) {
      case BusAsk::nothing: break;
      case BusAsk::echo:
        // From whichever shard: an answer need not be made where the question was read.
        for (ShardApp* app : board_->apps)
          if (app != nullptr && !app->bus_->stopping()) (void)app->say(from, 100);
        break;
      case BusAsk::fail: throw ShardAskedToFail();
      case BusAsk::doze: (void)network_->scheduler().sleep_for(times_->doze()); break;
      case BusAsk::stall: (void)network_->scheduler().sleep_for(times_->stall()); break;
    }
  }
}

// --- What it sends -------------------------------------------------------------------------------------------------

BusBook::Session ShardApp::begin(const std::string& who) {
  begun_.push_back(book_->begin(name_ + " to " + who));
  return begun_.back();
}

BusBook::Session ShardApp::session_with(bus::ClientId to) {
  const auto at = to_clients_.find(to);
  return at != to_clients_.end() ? at->second : (to_clients_[to] = begin(name_of(to)));
}

// What it sends is for the connection that the node has at that time.
BusBook::Session ShardApp::session_with(bus::ReplicaId to) {
  const bus::OwnerClaim claim = bus_->owner_of(to);
  ToReplica& line = to_replicas_[to];
  if (!line.session || line.claim != claim) line = {claim, begin(name_of(to))};
  return *line.session;
}

Result<void> ShardApp::say(bus::ClientId to, std::size_t body_max, BusAsk ask) {
  return send(to, session_with(to), Command::reply, body_max, ask);
}

Result<void> ShardApp::say(bus::ReplicaId to, std::size_t body_max, BusAsk ask) {
  const bus::OwnerClaim claim = bus_->owner_of(to);
  const std::optional<std::uint16_t>& told = board_->owner[to];
  judge().check(
      bool(claim) == told.has_value() && (!told || claim.shard() == *told), "bus_owner", [&] {
        return name_ + ": " + name_of(to) +
               (told ? " is connected to shard " + std::to_string(*told) : " is not connected") +
               ", and the table says " +
               (claim ? std::to_string(claim.shard()) : std::string("nobody"));
      });
  return send(to, session_with(to), Command::prepare, body_max, ask);
}

template <class Id>
Result<void> ShardApp::send(Id to, BusBook::Session session, Command command, std::size_t body_max,
                            BusAsk ask) {
  auto made = book_->make(network_->buffers(), command, session, body_max, ask);
  if (!made) return made.error();
  const SendNames names{name_, name_of, name_of};
  return judged_send(judge(), *book_, *bus_, names, to, session, std::move(*made));
}

// --- Laws ----------------------------------------------------------------------------------------------------------

void ShardApp::judge_end() {
  for (std::size_t i = 0; i < replicas_.size(); ++i)
    judge().check(!replicas_[i].connected, "bus_notify",
                  [&] { return name_ + " was not told that r" + std::to_string(i) + " is lost"; });
  for (const auto& [id, peer] : clients_)
    judge().check(!peer.connected, "bus_notify",
                  [&] { return name_ + " was not told that " + name_of(id) + " is lost"; });
  judge().check(bus_->connections_alive() == 0 && bus_->clients() == 0 && bus_->replicas() == 0,
                "bus_left", [&] { return name_ + ": something is left after the shutdown"; });
  if (was_killed(*network_)) return;
  for (const BusBook::Session session : begun_) book_->told_all(session);
}

std::optional<bus::ClientId> ShardApp::client_of(BusBook::Session session) const {
  for (const auto& [id, peer] : clients_)
    if (peer.connected && peer.hearings.back()->is_of(session)) return id;
  return std::nullopt;
}

std::optional<BusBook::Session> ShardApp::session_to(bus::ClientId id) const {
  const auto at = to_clients_.find(id);
  return at == to_clients_.end() ? std::nullopt : std::optional(at->second);
}
std::optional<BusBook::Session> ShardApp::session_to(bus::ReplicaId id) const {
  return to_replicas_[id].session;
}

bool ShardApp::idle() const {
  if (handling_ != 0) return false;
  for (bus::ReplicaId id = 0; id < ShardBoard::replicas; ++id) {
    const ToReplica& line = to_replicas_[id];
    if (line.session && line.claim && line.claim == bus_->owner_of(id) &&
        book_->owed(*line.session) != 0)
      return false;
  }
  return true;
}

}  // namespace twinwire::laws
