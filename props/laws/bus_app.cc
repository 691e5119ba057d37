// SPDX-License-Identifier: Apache-2.0
#include "props/laws/bus_app.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace twinwire::laws {
namespace {

// What a handler throws that is asked to fail.
struct AskedToFail {};

std::string peer_name(bus::ReplicaId id) { return "r" + std::to_string(id); }
std::string peer_name(bus::ClientId id) { return "client " + std::to_string(id.low); }

}  // namespace

// --- What the bus tells --------------------------------------------------------------------------------------------

void BusApp::connected(Peer& peer, const std::string& who) {
  judge().check(!peer.connected, "bus_notify",
                [&] { return name_ + " is told twice that " + who + " is connected"; });
  peer.connected = true;
  peer.out = book_->begin(name_ + " to " + who);
  peer.hearings.push_back(std::make_unique<BusBook::Hearing>());
  env_->tell(name_, [&] { return who + " is connected"; });
}

void BusApp::lost(Peer& peer, const std::string& who, Error why) {
  judge().check(std::exchange(peer.connected, false), "bus_notify",
                [&] { return name_ + " is told twice that " + who + " is lost"; });
  env_->tell(name_, [&] { return who + " is lost: " + to_string(why); });
}

void BusApp::on_client_connected(bus::ClientId id, const Address& /*peer*/) noexcept {
  judge().check(!clients_.contains(id), "bus_notify",
                [&] { return name_ + " gives the id of " + peer_name(id) + " a second time"; });
  connected(clients_[id], peer_name(id));
}
void BusApp::on_client_lost(bus::ClientId id, Error why) noexcept {
  lost(clients_[id], peer_name(id), why);
}
void BusApp::on_replica_connected(bus::ReplicaId id) noexcept {
  connected(replicas_[id], peer_name(id));
}
void BusApp::on_replica_lost(bus::ReplicaId id, Error why) noexcept {
  ++replicas_lost_;
  lost(replicas_[id], peer_name(id), why);
}
void BusApp::on_refused(bus::Plane, std::string_view what, Error why) noexcept {
  env_->tell(name_, [&] { return "refuses: " + std::string(what) + " (" + to_string(why) + ")"; });
}

void BusApp::on_client_messages(bus::ClientId from, std::span<const Message> messages) {
  heard(from, clients_[from], peer_name(from), messages);
}
void BusApp::on_replica_messages(bus::ReplicaId from, std::span<const Message> messages) {
  heard(from, replicas_[from], peer_name(from), messages);
}

template <class Id>
void BusApp::heard(Id from, Peer& peer, const std::string& who, std::span<const Message> messages) {
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
      case BusAsk::echo: (void)say(from, 100); break;
      case BusAsk::fail: throw AskedToFail();
      case BusAsk::doze: (void)network_->scheduler().sleep_for(times_->doze()); break;
      case BusAsk::stall: (void)network_->scheduler().sleep_for(times_->stall()); break;
    }
  }
}

// --- What it sends -------------------------------------------------------------------------------------------------

Result<void> BusApp::say(bus::ClientId to, std::size_t body_max, BusAsk ask) {
  Peer* const peer = find(to);
  if (peer == nullptr) return Errc::not_connected;
  return send(to, *peer, Command::reply, body_max, ask);
}
Result<void> BusApp::say(bus::ReplicaId to, std::size_t body_max, BusAsk ask) {
  return send(to, replicas_[to], Command::prepare, body_max, ask);
}

template <class Id>
Result<void> BusApp::send(Id to, Peer& peer, Command command, std::size_t body_max, BusAsk ask) {
  if (!peer.connected) return Errc::not_connected;
  auto made = book_->make(network_->buffers(), command, peer.out, body_max, ask);
  if (!made) return made.error();
  const SendNames names{name_, peer_name, peer_name};
  return judged_send(judge(), *book_, *bus_, names, to, peer.out, std::move(*made));
}

// --- Laws ----------------------------------------------------------------------------------------------------------

void BusApp::judge_end() {
  for (std::size_t i = 0; i < replicas_.size(); ++i)
    judge().check(!replicas_[i].connected, "bus_notify",
                  [&] { return name_ + " was not told that r" + std::to_string(i) + " is lost"; });
  for (const auto& [id, peer] : clients_)
    judge().check(!peer.connected, "bus_notify",
                  [&] { return name_ + " was not told that " + peer_name(id) + " is lost"; });
  judge().check(bus_->connections_alive() == 0 && bus_->clients() == 0 && bus_->replicas() == 0,
                "bus_left", [&] { return name_ + ": something is left after the shutdown"; });
}

bool BusApp::idle() const {
  if (handling_ != 0) return false;
  return std::ranges::all_of(
      replicas_, [&](const Peer& peer) { return !peer.connected || book_->owed(peer.out) == 0; });
}

std::optional<bus::ClientId> BusApp::client_of(BusBook::Session session) const {
  for (const auto& [id, peer] : clients_)
    if (peer.connected && peer.hearings.back()->is_of(session)) return id;
  return std::nullopt;
}

std::optional<bus::ClientId> BusApp::any_client(std::uint64_t nth) const {
  std::vector<bus::ClientId> connected;
  for (const auto& [id, peer] : clients_)
    if (peer.connected) connected.push_back(id);
  if (connected.empty()) return std::nullopt;
  return connected[nth % connected.size()];
}

}  // namespace twinwire::laws
