// SPDX-License-Identifier: Apache-2.0
#include "transport/ws/ws_listener.h"

#include "transport/base/plant.h"

namespace twinwire {

Result<WsListener> WsListener::listen(Network& network, Scope& background, const Address& address,
                                      const WsOptions& options, StreamHandshake handshake) {
  auto acceptor = network.listen(address, options.listening());
  if (!acceptor) return acceptor.error();
  auto upgrade = [&network, options, handshake = std::move(handshake)](
                     std::unique_ptr<ByteStream> stream, HandshakeTerms terms) -> Result<WsConn> {
    if (handshake) {
      auto secured = handshake(std::move(stream), terms);
      if (!secured) return secured.error();
      stream = std::move(*secured);
    }
    if (PLANT(wss_handshake_budget_twice))
      terms.deadline = network.clock().in(options.accept.handshake_timeout);
    return WsConn::accept(network, std::move(stream), options, terms);
  };
  auto stage = AcceptStage<WsConn>::start(network, background, std::move(*acceptor), options.accept,
                                          true, std::move(upgrade));
  if (!stage) return stage.error();
  return WsListener(std::move(*stage));
}

}  // namespace twinwire
