// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic_endpoint.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/quic/quic_connection.h"

namespace twinwire {
namespace {

constexpr std::size_t gone_max = 8192;

// Of an id as long as ours all of it.
std::uint64_t beginning_of(const QuicCid& cid) noexcept {
  std::uint64_t beginning = 0;
  for (std::size_t i = 0; i < sizeof beginning; ++i) beginning = beginning << 8 | cid.bytes[i];
  return beginning;
}

// Why a datagram that leads nowhere may not begin a connection.
std::string_view stray_words(const QuicDatagram& description, std::byte first) noexcept {
  if ((first & std::byte{0x40}) == std::byte{0}) return "not a QUIC packet";
  return description.long_header ? "its first packet is none that may begin a connection"
                                 : "a packet of no connection that is here";
}

}  // namespace

Result<std::shared_ptr<QuicEndpoint>> QuicEndpoint::open(Network& network, const Address& local,
                                                         const QuicOptions& options) {
  if (options.tls.credentials == nullptr) return Errc::invalid;
  auto socket = network.bind(local, options.datagrams());
  if (!socket) return socket.error();
  try {
    const QuicServices services{&network.scheduler(), &network.clock(), &network.random(),
                                &network.buffers(), &network.background()};
    auto endpoint = std::make_shared<QuicEndpoint>(services, options, std::move(*socket));
    if (auto receiving = endpoint->receive_from(endpoint->socket_); !receiving)
      return receiving.error();
    return endpoint;
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

QuicEndpoint::QuicEndpoint(const QuicServices& services, const QuicOptions& options,
                           std::shared_ptr<DatagramSocket> socket)
    : services_(services), options_(options), socket_(std::move(socket)), local_(socket_->local()) {
  if (options.secret)
    secret_ = *options.secret;
  else
    services_.random->fill(secret_);
}

Result<void> QuicEndpoint::receive_from(std::shared_ptr<DatagramSocket> socket) {
  auto fiber = services_.background->try_spawn(
      "quic.receive",
      [self = shared_from_this(), from = std::move(socket)] { self->receive_all(from); });
  if (!fiber) return fiber.error();
  receiver_ = *fiber;
  receiving_ = true;
  return {};
}

Result<void> QuicEndpoint::move_to(Network& network, const Address& local, QuicEngine& engine) {
  auto bound = network.bind(local, options_.datagrams());
  if (!bound) return bound.error();
  try {
    const std::shared_ptr<DatagramSocket> socket = std::move(*bound);
    const FiberHandle before = receiver_;
    if (auto receiving = receive_from(socket); !receiving) return receiving.error();
    if (auto moved =
            engine.migrate({socket->local(), engine.path().remote}, services_.clock->now());
        !moved) {
      services_.scheduler->cancel(std::exchange(receiver_, before));
      return moved;
    }
    socket_ = socket;
    local_ = socket->local();
    services_.scheduler->cancel(before);
    return {};
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

// --- Receiving -------------------------------------------------------------------------------------------------------

void QuicEndpoint::receive_all(const std::shared_ptr<DatagramSocket>& socket) {
  for (;;) {
    auto batch = socket->receive(Deadline::never());
    if (!batch) {
      if (batch.error() == Errc::canceled) break;
      if (batch.error() == Errc::refused && !ever_listened_) {
        for (const auto& [cid, connection] : std::map(routes_)) connection->refused(batch.error());
        continue;
      }
      if (!services_.scheduler->sleep_for(std::chrono::milliseconds(1))) break;
      continue;
    }
    for (const ReceivedDatagram& datagram : *batch) {
      std::span<const std::byte> rest = datagram.bytes.bytes();
      const std::size_t step = datagram.segment_size != 0 ? datagram.segment_size : rest.size();
      while (!rest.empty()) {
        const std::size_t n = std::min(step, rest.size());
        take(datagram, rest.first(n));
        rest = rest.subspan(n);
      }
    }
  }
  if (socket != socket_) return;  // moved away from it
  receiving_ = false;
  stop_listening();
  socket_.reset();
}

void QuicEndpoint::take(const ReceivedDatagram& datagram, std::span<const std::byte> bytes) {
  // A dialer has one local address, whatever its socket is bound to.
  const QuicPath path{ever_listened_ && datagram.local.port != 0 ? datagram.local : local_,
                      datagram.remote};
  const bool is_short =
      bytes.size() > quic_cid_size && (bytes[0] & std::byte{0x80}) == std::byte{0};
  if (is_short && latest_ != nullptr &&
      std::memcmp(&bytes[1], latest_cid_.data(), quic_cid_size) == 0) {
    const std::shared_ptr<QuicConnection> keep = latest_->shared_from_this();
    keep->receive(path, datagram.ecn, bytes);
    return;
  }
  QuicDatagram description = describe_quic_datagram(bytes);
  if (description.kind == QuicKind::garbage) return turn_away(datagram.remote, "not a QUIC packet");
  if (const auto found = routes_.find(description.header.destination); found != routes_.end()) {
    const std::shared_ptr<QuicConnection> keep = found->second->shared_from_this();
    if (is_short) {
      latest_ = keep.get();
      std::memcpy(latest_cid_.data(), &bytes[1], quic_cid_size);
    }
    keep->receive(path, datagram.ecn, bytes);
    return;
  }
  if (is_dialer()) {
    // A stateless reset comes without an id that anybody knows; the connection knows its token.
    if (!description.long_header && !routes_.empty())
      if (const auto keep = routes_.begin()->second->shared_from_this(); !keep->over())
        keep->receive(path, datagram.ecn, bytes);
    return;
  }
  // What is left of a listener begins nothing, and still resets.
  if (listening_ && description.kind == QuicKind::initial) {
    begin(path, datagram.ecn, description.header, bytes);
    return;
  }
  std::array<std::byte, quic_packet_max> packet;
  std::size_t size = 0;
  if (description.kind == QuicKind::unknown_version)
    size = write_version_negotiation(packet, description, *services_.random);
  else if (!description.long_header)
    size = write_stateless_reset(packet, description.header.destination, bytes.size(), secret_,
                                 *services_.random);
  if (size != 0) answer(path, std::span(packet).first(size));
  // What is late is no stranger's; and whoever was told our versions may come back with one of them (RFC 9000, 6.2).
  if (description.kind != QuicKind::unknown_version && !told(path.remote) &&
      !was_here(description.header.destination))
    turn_away(path.remote, stray_words(description, bytes[0]));
}

void QuicEndpoint::begin(const QuicPath& path, Ecn ecn, QuicInitial initial,
                         std::span<const std::byte> bytes) {
  if (ready_.size() >= options_.accept.ready_max) return;  // the client will try again
  if (PLANT(quic_handshake_in_accept_loop) && !unfinished_.empty()) return;
  const TimePoint now = services_.clock->now();
  if (is_retry_token(initial.token)) {
    if (!verify_retry_token(initial, path.remote, secret_, now))
      return turn_away(path.remote, "a token that is not its own, or too old");
  } else if (unfinished_.size() >= options_.retry_from) {
    std::array<std::byte, quic_packet_max> packet;
    const std::size_t size =
        write_retry(packet, initial, path.remote, secret_, *services_.random, now);
    services_.scheduler->reached(Sometimes::quic_retry);
    if (size != 0) answer(path, std::span(packet).first(size));
    return;
  }
  if (unfinished_.size() >= options_.accept.handshakes_max) {
    ++counters_.handshakes_evicted;
    services_.scheduler->reached(Sometimes::handshake_evicted);
    const auto oldest = unfinished_.front();
    oldest->explain("evicted by newer handshakes");
    oldest->drop({Errc::broken, 0}, QuicCode::dropped);
  }
  try {
    auto connection =
        std::make_shared<QuicConnection>(shared_from_this(), options_, path, true,
                                         services_.clock->in(options_.accept.handshake_timeout));
    unfinished_.push_back(connection);
    if (!connection->start(&initial)) {
      std::erase(unfinished_, connection);
      return;
    }
    ++counters_.accepted;
    connection->receive(path, ecn, bytes);
  } catch (const std::bad_alloc&) {
    return;  // the client will try again
  }
}

void QuicEndpoint::answer(const QuicPath& path, std::span<const std::byte> packet) {
  const Datagram datagram{.remote = path.remote, .local = source(path.local), .bytes = packet};
  (void)socket_->send({&datagram, 1}, Deadline::never());
}

// A peer may send many of them, so one word about it has to do for the time that a handshake has.
bool QuicEndpoint::told(const Address& peer) const noexcept {
  return peer == stranger_ && services_.clock->now() < stranger_until_;
}

void QuicEndpoint::turn_away(const Address& peer, std::string_view why) noexcept {
  if (!listening_ || told(peer)) return;
  stranger_ = peer;
  stranger_until_ = services_.clock->now() + options_.accept.handshake_timeout;
  ++counters_.handshakes_failed;
  if (options_.accept.on_refused) options_.accept.on_refused(peer, why);
}

void QuicEndpoint::remember(const QuicCid& gone) noexcept {
  if (!ever_listened_) return;
  try {
    if (gone_.size() < gone_max) gone_.push_back(0);
  } catch (const std::bad_alloc&) {  // then what is late looks strange
    return;
  }
  gone_[gone_next_++ % gone_max] = beginning_of(gone);
}

bool QuicEndpoint::was_here(const QuicCid& cid) const noexcept {
  return std::find(gone_.begin(), gone_.end(), beginning_of(cid)) != gone_.end();
}

// --- For connections -------------------------------------------------------------------------------------------------

Address QuicEndpoint::source(const Address& local) const noexcept {
  return !ever_listened_ || local == local_ ? Address{} : local;
}

bool QuicEndpoint::send(std::span<const Datagram> datagrams, QuicConnection& connection) {
  const std::shared_ptr<DatagramSocket> socket = socket_;  // which may be replaced meanwhile
  if (socket == nullptr) return false;  // nobody receives any more: the connection is over
  while (!datagrams.empty()) {
    auto taken = socket->send(datagrams, Deadline::never());
    if (taken) {
      datagrams = datagrams.subspan(*taken);
      continue;
    }
    switch (taken.error().code) {
      case Errc::canceled: return false;
      case Errc::refused:
      case Errc::unreachable:
        if (!ever_listened_) connection.refused(taken.error());
        break;
      default: break;  // too large: a probe for a larger MTU; no resources: lost
    }
    if (taken.error() != Errc::refused) datagrams = datagrams.subspan(1);
  }
  return true;
}

void QuicEndpoint::route(const QuicCid& cid, QuicConnection& connection) {
  latest_ = nullptr;
  routes_.insert_or_assign(cid, &connection);
}

void QuicEndpoint::forget(QuicConnection& connection) noexcept {
  latest_ = nullptr;
  for (const QuicCid& cid : connection.cids()) {
    const auto found = routes_.find(cid);
    if (found == routes_.end() || found->second != &connection) continue;
    routes_.erase(found);
    remember(cid);
  }
}

void QuicEndpoint::left(QuicConnection& connection) noexcept {
  forget(connection);
  --connections_;
  close_if_unused();
}

void QuicEndpoint::close_if_unused() noexcept {
  if (connections_ == 0 && !listening_ && receiving_) services_.scheduler->cancel(receiver_);
}

// --- Dialling and listening ------------------------------------------------------------------------------------------

Result<QuicConn> QuicEndpoint::dial(const Address& remote, Deadline deadline) {
  std::shared_ptr<QuicConnection> connection;
  try {
    connection = std::make_shared<QuicConnection>(shared_from_this(), options_,
                                                  QuicPath{local_, remote}, false, deadline);
  } catch (const std::bad_alloc&) {
    close_if_unused();
    return Errc::no_resources;
  }
  if (auto started = connection->start(nullptr); !started) {
    close_if_unused();
    return started.error();
  }
  if (auto done = connection->wait_until_established(deadline); !done) {
    connection->drop(done.error(), QuicCode::dropped);
    return done.error();
  }
  return QuicConn(connection);
}

void QuicEndpoint::listen(FiberHandle watch) noexcept {
  listening_ = ever_listened_ = true;
  watch_ = watch;
}

void QuicEndpoint::stop_listening() noexcept {
  if (!listening_) return;
  listening_ = false;
  services_.scheduler->cancel(watch_);
  const auto unfinished = std::exchange(unfinished_, {});
  for (const auto& connection : unfinished) connection->drop({Errc::broken, 0}, QuicCode::dropped);
  const auto ready = std::exchange(ready_, {});
  for (const auto& connection : ready) connection->drop({Errc::broken, 0}, QuicCode::dropped);
  arrivals_.wake_all(*services_.scheduler);
  close_if_unused();
}

void QuicEndpoint::ready(std::shared_ptr<QuicConnection> connection) {
  std::erase(unfinished_, connection);
  if (!listening_) return connection->drop({Errc::broken, 0}, QuicCode::dropped);
  ready_.push_back(std::move(connection));
  arrivals_.wake_one(*services_.scheduler);
}

void QuicEndpoint::handshake_failed(QuicConnection& connection, const Error& error,
                                    std::string_view cause) noexcept {
  ++counters_.handshakes_failed;
  if (options_.accept.on_refused && listening_)
    options_.accept.on_refused(connection.path().remote,
                               cause.empty() ? refusal_words(error.code) : cause);
  std::erase_if(unfinished_, [&](const auto& other) { return other.get() == &connection; });
}

Result<std::pair<QuicConn, Address>> QuicEndpoint::accept(Deadline deadline) {
  for (;;) {
    // What is ready comes first, also for a fiber that was canceled on its way here: its wake is used up.
    if (!ready_.empty()) {
      const std::shared_ptr<QuicConnection> next = std::move(ready_.front());
      ready_.pop_front();
      return std::pair(QuicConn(next), next->path().remote);
    }
    if (services_.scheduler->cancel_pending()) return Errc::canceled;
    if (!listening_) return Errc::shutting_down;
    const Wake wake = arrivals_.wait(*services_.scheduler, deadline, "a connection to accept");
    if (wake != Wake::ready && ready_.empty()) return to_errc(wake);
  }
}

}  // namespace twinwire
