// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/tls.h"

#include "transport/tls/tls_stream.h"

namespace twinwire {

Result<FramedListener> Tls::listen(Network& network, Scope& background, const Address& address,
                                   const TlsOptions& options) {
  return FramedListener::listen(network, background, address, options,
                                [&network, config = options.tls](
                                    std::unique_ptr<ByteStream> stream,
                                    HandshakeTerms terms) -> Result<std::unique_ptr<ByteStream>> {
                                  auto secured =
                                      tls_accept(network, std::move(stream), config, terms);
                                  if (!secured) return secured.error();
                                  return std::move(*secured);
                                });
}

Result<FramedConn> Tls::dial(Network& network, const Address& address, const TlsOptions& options,
                             Deadline deadline) {
  auto stream = network.dial(address, options.stream, deadline);
  if (!stream) return stream.error();
  auto secured = tls_connect(network, std::move(*stream), options.tls, deadline);
  if (!secured) return secured.error();
  return FramedConn::over(network, std::move(*secured), options);
}

}  // namespace twinwire
