// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp.h"

namespace twinwire {

Result<TcpListener> Tcp::listen(Network& network, Scope& background, const Address& address,
                                const TcpOptions& options) {
  return TcpListener::listen(network, background, address, options);
}

Result<TcpConn> Tcp::dial(Network& network, const Address& address, const TcpOptions& options,
                          Deadline deadline) {
  auto stream = network.dial(address, options.stream, deadline);
  if (!stream) return stream.error();
  return TcpConn::over(network, std::move(*stream), options);
}

}  // namespace twinwire
