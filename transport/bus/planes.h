// SPDX-License-Identifier: Apache-2.0
// How transports come to the bus: the only part of it that is compiled for each of them.
//
// An authenticator is what proves on the replica plane who is who, by messages over the new connection:
//
//   Result<ReplicaId> dial(Network&, Reader&, Writer&, ReplicaId whom, std::span<const std::byte> binding, Deadline);
//   Result<ReplicaId> accept(Network&, Reader&, Writer&, std::span<const std::byte> binding, Deadline);
//
// Both const. They return the id that the peer has proven, once both sides know each other; `whom` is the one that was
// dialed. `binding` is what ties the proof to this connection (the TLS exporter); empty where the transport has none.
#pragma once

#include <algorithm>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/bus/bus.h"

namespace twinwire::bus {

template <class A, class T>
concept ReplicaAuthenticator =
    std::copy_constructible<A> &&
    requires(const A& a, Network& network, typename T::Conn::Reader& reader,
             typename T::Conn::Writer& writer, std::span<const std::byte> binding, Deadline d) {
      {
        a.dial(network, reader, writer, ReplicaId{}, binding, d)
      } -> std::same_as<Result<ReplicaId>>;
      { a.accept(network, reader, writer, binding, d) } -> std::same_as<Result<ReplicaId>>;
    };

namespace detail {

// What ties a proof to this connection; nothing where the transport has no such thing.
template <class Conn>
Result<std::vector<std::byte>> binding_of(const Conn& conn) {
  if constexpr (requires { conn.channel_binding(); }) {
    const auto binding = conn.channel_binding();
    if (binding) return std::vector<std::byte>(binding->begin(), binding->end());
    if (binding.error() != Errc::unsupported) return binding.error();
  }
  return std::vector<std::byte>();
}

template <Transport T>
using ClientLinkOf = LinkOf<Link, typename T::Conn::Reader, typename T::Conn::Writer>;

template <Transport T, class Authenticator>
class ReplicaLinkOf final
    : public LinkOf<ReplicaLink, typename T::Conn::Reader, typename T::Conn::Writer> {
 public:
  using Halves = std::pair<typename T::Conn::Reader, typename T::Conn::Writer>;
  ReplicaLinkOf(Halves halves, Authenticator authenticator, std::vector<std::byte> binding)
      : LinkOf<ReplicaLink, typename T::Conn::Reader, typename T::Conn::Writer>(
            std::move(halves.first), std::move(halves.second)),
        authenticator_(std::move(authenticator)),
        binding_(std::move(binding)) {}

  Result<ReplicaId> authenticate_dialer(Network& network, ReplicaId whom,
                                        Deadline deadline) override {
    return authenticator_.dial(network, this->reader_, *this->writer_, whom, binding_, deadline);
  }
  Result<ReplicaId> authenticate_acceptor(Network& network, Deadline deadline) override {
    return authenticator_.accept(network, this->reader_, *this->writer_, binding_, deadline);
  }

 private:
  Authenticator authenticator_;
  std::vector<std::byte> binding_;
};

template <Transport T, class Authenticator>
Result<std::unique_ptr<ReplicaLink>> replica_link(typename T::Conn conn,
                                                  const Authenticator& authenticator) {
  try {
    auto binding = binding_of(conn);
    if (!binding) return binding.error();
    return std::make_unique<ReplicaLinkOf<T, Authenticator>>(split(std::move(conn)), authenticator,
                                                             std::move(*binding));
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

template <Transport T>
class ClientDoorOf final : public Door<Link> {
 public:
  explicit ClientDoorOf(typename T::Listener listener) : listener_(std::move(listener)) {}
  Result<std::pair<std::unique_ptr<Link>, Address>> accept(Deadline deadline) override {
    auto accepted = listener_.accept(deadline);
    if (!accepted) return accepted.error();
    auto halves = split(std::move(accepted->first));
    try {
      return std::pair<std::unique_ptr<Link>, Address>(
          std::make_unique<ClientLinkOf<T>>(std::move(halves.first), std::move(halves.second)),
          accepted->second);
    } catch (const std::bad_alloc&) {
      return Errc::no_resources;
    }
  }

 private:
  typename T::Listener listener_;
};

template <Transport T, class Authenticator>
class ReplicaDoorOf final : public Door<ReplicaLink> {
 public:
  ReplicaDoorOf(typename T::Listener listener, Authenticator authenticator)
      : listener_(std::move(listener)), authenticator_(std::move(authenticator)) {}
  Result<std::pair<std::unique_ptr<ReplicaLink>, Address>> accept(Deadline deadline) override {
    auto accepted = listener_.accept(deadline);
    if (!accepted) return accepted.error();
    auto link = replica_link<T>(std::move(accepted->first), authenticator_);
    if (!link) return link.error();
    return std::pair(std::move(*link), accepted->second);
  }

 private:
  typename T::Listener listener_;
  Authenticator authenticator_;
};

template <Transport T, class Authenticator>
class DialerOf final : public Dialer {
 public:
  DialerOf(typename T::Options options, Authenticator authenticator)
      : options_(std::move(options)), authenticator_(std::move(authenticator)) {}
  Result<std::unique_ptr<ReplicaLink>> dial(Network& network, const Address& address,
                                            Deadline deadline) override {
    auto conn = T::dial(network, address, options_, deadline);
    if (!conn) return conn.error();
    return replica_link<T>(std::move(*conn), authenticator_);
  }

 private:
  typename T::Options options_;
  Authenticator authenticator_;
};

// The transport's own handshakes are bounded as those of the bus, and end in its log.
template <Transport T>
Result<typename T::Listener> listen(Bus& bus, Plane plane, const Address& address,
                                    typename T::Options options) {
  if (!options.accept.on_refused)
    options.accept.on_refused = [&bus, plane](const Address& peer, std::string_view why) {
      bus.refused_by_transport(plane, why, peer);
    };
  const BusOptions& own = bus.options();
  options.accept.handshakes_max = std::min(options.accept.handshakes_max, own.handshakes_max);
  options.accept.handshake_timeout =
      std::min(options.accept.handshake_timeout, own.handshake_limit);
  return T::listen(bus.network(), bus.listening(), address, options);
}

}  // namespace detail

// Accepts clients over T at `address` until the shutdown. Returns where it listens.
// Errors     as T::listen · no_resources · shutting_down
template <Transport T>
Result<Address> open_client_plane(Bus& bus, const Address& address,
                                  const typename T::Options& options) {
  auto listener = detail::listen<T>(bus, Plane::clients, address, options);
  if (!listener) return listener.error();
  const Address local = listener->local();
  const auto opened = bus.open(std::make_unique<detail::ClientDoorOf<T>>(std::move(*listener)));
  if (!opened) return opened.error();
  return local;
}

// The same for replicas, which prove who they are by `authenticator`. T is TCP or TLS.
template <Transport T, class Authenticator>
  requires ReplicaAuthenticator<Authenticator, T>
Result<Address> open_replica_plane(Bus& bus, const Address& address,
                                   const typename T::Options& options,
                                   const Authenticator& authenticator) {
  auto listener = detail::listen<T>(bus, Plane::replicas, address, options);
  if (!listener) return listener.error();
  const Address local = listener->local();
  const auto opened = bus.open(std::make_unique<detail::ReplicaDoorOf<T, Authenticator>>(
      std::move(*listener), authenticator));
  if (!opened) return opened.error();
  return local;
}

// Dials the members with a higher id than ours until the shutdown, whenever they are not connected.
// Errors     no_resources · shutting_down
template <Transport T, class Authenticator>
  requires ReplicaAuthenticator<Authenticator, T>
Result<void> join_mesh(Bus& bus, std::span<const Member> members,
                       const typename T::Options& options, const Authenticator& authenticator) {
  return bus.join(std::make_unique<detail::DialerOf<T, Authenticator>>(options, authenticator),
                  members);
}

}  // namespace twinwire::bus
