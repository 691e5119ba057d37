// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_listener.h"

namespace twinwire {

Result<TcpListener> TcpListener::listen(Network& network, Scope& background, const Address& address,
                                        const TcpOptions& options) {
  auto acceptor = network.listen(address, {options.backlog, options.stream});
  if (!acceptor) return acceptor.error();
  auto handshake = [&network, options](std::unique_ptr<ByteStream> stream,
                                       Deadline deadline) -> Result<TcpConn> {
    auto conn = TcpConn::over(network, std::move(stream), options);
    if (!conn || !options.accept_after_first_message) return conn;
    auto first = conn->await_first_message(options.first_message_max, deadline);
    if (!first) return first.error();
    return conn;
  };
  auto stage =
      AcceptStage<TcpConn>::start(network, background, std::move(*acceptor), options.accept,
                                  options.accept_after_first_message, std::move(handshake));
  if (!stage) return stage.error();
  return TcpListener(std::move(*stage));
}

}  // namespace twinwire
