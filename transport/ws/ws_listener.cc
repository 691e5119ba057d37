// SPDX-License-Identifier: Apache-2.0
#include "transport/ws/ws_listener.h"

namespace twinwire {

Result<WsListener> WsListener::listen(Network& network, Scope& background, const Address& address,
                                      const WsOptions& options, StreamHandshake handshake) {
  auto acceptor = network.listen(address, {options.backlog, options.stream});
  if (!acceptor) return acceptor.error();
  auto upgrade = [&network, options, handshake = std::move(handshake)](
                     std::unique_ptr<ByteStream> stream, Deadline deadline) -> Result<WsConn> {
    if (handshake) {
      auto secured = handshake(std::move(stream), deadline);
      if (!secured) return secured.error();
      stream = std::move(*secured);
    }
    return WsConn::accept(network, std::move(stream), options, deadline);
  };
  auto stage = AcceptStage<WsConn>::start(network, background, std::move(*acceptor), options.accept,
                                          true, std::move(upgrade));
  if (!stage) return stage.error();
  return WsListener(std::move(*stage));
}

}  // namespace twinwire
