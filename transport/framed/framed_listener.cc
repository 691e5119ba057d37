// SPDX-License-Identifier: Apache-2.0
#include "transport/framed/framed_listener.h"

namespace twinwire {

Result<FramedListener> FramedListener::listen(Network& network, Scope& background,
                                              const Address& address, const ConnOptions& options,
                                              StreamHandshake stream_handshake) {
  auto acceptor = network.listen(address, options.listening());
  if (!acceptor) return acceptor.error();
  const bool suspends = stream_handshake != nullptr || options.accept_after_first_message;
  auto handshake = [&network, options, stream_handshake = std::move(stream_handshake)](
                       std::unique_ptr<ByteStream> stream,
                       HandshakeTerms terms) -> Result<FramedConn> {
    if (stream_handshake) {
      auto secured = stream_handshake(std::move(stream), terms);
      if (!secured) return secured.error();
      stream = std::move(*secured);
    }
    auto conn = FramedConn::over(network, std::move(stream), options);
    if (!conn || !options.accept_after_first_message) return conn;
    auto first = conn->await_first_message(options.first_message_max, terms.deadline);
    if (first) return conn;
    if (first.error() == Errc::closed || first.error() == Errc::broken)
      terms.explain("it ended the connection before its first message was whole");
    if (first.error() == Errc::invalid)
      terms.explain("it sent what is no frame, or one that is too large to begin with");
    return first.error();
  };
  auto stage = AcceptStage<FramedConn>::start(network, background, std::move(*acceptor),
                                              options.accept, suspends, std::move(handshake));
  if (!stage) return stage.error();
  return FramedListener(std::move(*stage));
}

}  // namespace twinwire
