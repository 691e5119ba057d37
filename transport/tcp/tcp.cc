// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp.h"

namespace twinwire {

Result<FramedListener> Tcp::listen(Network& network, Scope& background, const Address& address,
                                   const ConnOptions& options) {
  return FramedListener::listen(network, background, address, options);
}

Result<FramedConn> Tcp::dial(Network& network, const Address& address, const ConnOptions& options,
                             Deadline deadline) {
  auto stream = network.dial(address, options.stream, deadline);
  if (!stream) return stream.error();
  return FramedConn::over(network, std::move(*stream), options);
}

}  // namespace twinwire
