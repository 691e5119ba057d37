// SPDX-License-Identifier: Apache-2.0
#include "transport/ws/ws.h"

namespace twinwire {

Result<WsListener> Ws::listen(Network& network, Scope& background, const Address& address,
                              const WsOptions& options) {
  return WsListener::listen(network, background, address, options);
}

Result<WsConn> Ws::dial(Network& network, const Address& address, const WsOptions& options,
                        Deadline deadline) {
  auto stream = network.dial(address, options.stream, deadline);
  if (!stream) return stream.error();
  return WsConn::connect(network, std::move(*stream), options, deadline);
}

}  // namespace twinwire
