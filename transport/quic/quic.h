// SPDX-License-Identifier: Apache-2.0
// The QUIC transport: one frame per unidirectional stream. Start here.
//
//   QuicOptions options;  options.tls.credentials = *TlsCredentials::load(...);
//   auto listener = Quic::listen(network, background, address, options);
//   auto conn     = Quic::dial(network, address, options, deadline);
//   auto [reader, writer] = split(std::move(*conn));
//
// quic_halves.cc: what the halves do; quic_connection.cc: the pump; quic_engine.cc: the library. docs/quic.md: why.
#pragma once

#include <memory>
#include <string_view>
#include <utility>

#include "transport/quic/quic_endpoint.h"
#include "transport/quic/quic_options.h"
#include "transport/seam.h"

namespace twinwire {

class QuicListener {
 public:
  using Conn = QuicConn;

  explicit QuicListener(std::shared_ptr<QuicEndpoint> endpoint) noexcept
      : endpoint_(std::move(endpoint)) {}
  QuicListener(QuicListener&&) noexcept = default;
  QuicListener& operator=(QuicListener&&) noexcept = default;
  // Stops listening; connections that were accepted live on, and the port is free when the last has gone.
  ~QuicListener() {
    if (endpoint_ != nullptr) endpoint_->stop_listening();
  }

  // The next connection whose handshake is done, and its peer. One mute or slow peer delays no other.
  //
  // Suspends   While there is none.
  // Errors     timed_out · canceled · shutting_down (the background scope was canceled; final)
  Result<std::pair<QuicConn, Address>> accept(Deadline deadline) {
    return endpoint_->accept(deadline);
  }

  Address local() const noexcept { return endpoint_->local(); }
  const AcceptCounters& counters() const noexcept { return endpoint_->counters(); }
  std::size_t unfinished() const noexcept { return endpoint_->unfinished(); }

 private:
  std::shared_ptr<QuicEndpoint> endpoint_;
};

struct Quic {
  static constexpr std::string_view name = "quic";
  // Carried by datagrams: what is known of byte streams does not hold.
  static constexpr bool over_datagrams = true;
  using Options = QuicOptions;
  using Listener = QuicListener;
  using Conn = QuicConn;
  using Reader = QuicReader;
  using Writer = QuicWriter;

  // Listens on `address` until `background` is canceled or the listener destroyed. Never suspends.
  // Errors     invalid (no credentials) · as Network::bind
  static Result<QuicListener> listen(Network& network, Scope& background, const Address& address,
                                     const QuicOptions& options);
  // Errors     handshake (certificate, protocol name, version) · timed_out · refused · unreachable · canceled ·
  //            invalid (no credentials) · no_resources
  static Result<QuicConn> dial(Network& network, const Address& address, const QuicOptions& options,
                               Deadline deadline);
};

static_assert(Transport<Quic>);

}  // namespace twinwire
