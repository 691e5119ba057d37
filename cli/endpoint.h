// SPDX-License-Identifier: Apache-2.0
// Endpoint: where `serve` listens and `load` connects to, as it was typed: "127.0.0.1:4000", "[::1]:4000",
// "unix:/run/it.sock" or "unix:@name". And the network that leads there.
#pragma once

#include <concepts>
#include <list>
#include <optional>
#include <string>

#include "cli/socket_options.h"
#include "real/unix_network.h"
#include "transport/quic/quic_options.h"

namespace twinwire::cli {

struct Endpoint {
  std::string text;
  Address address{};  // all zero where it is a Unix-domain socket
  std::optional<real::UnixName> unix_name;
};

// Throws Failure(bad_usage) with one sentence. `to_connect`: port 0 is no address then.
Endpoint parse_endpoint(const std::string& text, bool to_connect);
// Throws where the transport runs over datagrams, or an option means nothing to Unix-domain sockets or to that address.
void require_streams(const Endpoint& endpoint, std::string_view transport, bool over_datagrams,
                     const SocketOptionsText& options);
// Throws where no process can listen on both, over streams.
void require_apart(const Endpoint& listen, bool v6_only, const Endpoint& metrics);

// One sentence on why nobody could listen on it, or connect to it.
std::string explain_listen(const Endpoint& endpoint, const SocketOptionsText& options,
                           const Error& error);
std::string explain_dial(const Endpoint& endpoint, const SocketOptionsText& options,
                         const Error& error);

// Whether a transport runs over datagrams.
template <class T>
inline constexpr bool over_datagrams = std::derived_from<typename T::Options, QuicOptions>;

// A peer in a log: Unix-domain sockets have no addresses.
std::string peer_name(const Address& peer);

// The networks of a ring.
class Networks {
 public:
  explicit Networks(real::Ring& ring) : ring_(&ring), internet_(ring) {}
  // The one that leads to `endpoint`.
  Network& to(const Endpoint& endpoint) {
    if (!endpoint.unix_name) return internet_;
    return local_.emplace_back(*ring_, internet_, *endpoint.unix_name);
  }

 private:
  real::Ring* ring_;
  real::RingNetwork internet_;
  std::list<real::UnixNetwork> local_;
};

}  // namespace twinwire::cli
