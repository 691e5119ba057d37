// SPDX-License-Identifier: Apache-2.0
#include "transport/wss/wss.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "transport/base/plant.h"
#include "transport/tls/tls_stream.h"

namespace twinwire {
namespace {

using Secured = Result<std::unique_ptr<ByteStream>>;

Secured secure(Network& network, std::unique_ptr<ByteStream> stream, TlsConfig config,
               HandshakeTerms terms) {
  if (PLANT(wss_client_certificate_not_demanded)) config.require_client_certificate = false;
  auto secured = tls_accept(network, std::move(stream), config, terms);
  if (!secured) return secured.error();
  // What came with the last flight of the handshake.
  if (PLANT(wss_bytes_behind_tls_lost))
    (void)(*secured)->read(network.clock().in(std::chrono::milliseconds(1)));
  return std::move(*secured);
}

// The Host field (RFC 9110 section 7.2), where the port of wss goes without saying; empty: the dialled address serves.
std::string host_of(const std::string& name, std::uint16_t port) {
  if (name.find(':') != std::string::npos) return {};  // an address of IPv6, in no form for this
  return name.empty() || port == 443 ? name : name + ":" + std::to_string(port);
}

}  // namespace

Result<WsListener> Wss::listen(Network& network, Scope& background, const Address& address,
                               const WssOptions& options) {
  return WsListener::listen(network, background, address, options,
                            [&network, config = options.tls](std::unique_ptr<ByteStream> stream,
                                                             HandshakeTerms terms) -> Secured {
                              return secure(network, std::move(stream), config, terms);
                            });
}

Result<WsConn> Wss::dial(Network& network, const Address& address, const WssOptions& options,
                         Deadline deadline) {
  auto stream = network.dial(address, options.stream, deadline);
  if (!stream) return stream.error();
  TlsConfig config = options.tls;
  if (PLANT(wss_verification_skipped)) config.verify_server = false;
  auto secured = tls_connect(network, std::move(*stream), config, deadline);
  if (!secured) return secured.error();
  WsOptions upgrade = options;
  if (upgrade.host.empty()) upgrade.host = host_of(config.server_name, address.port);
  return WsConn::connect(network, std::move(*secured), upgrade, deadline);
}

}  // namespace twinwire
