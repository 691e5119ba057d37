// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic.h"

namespace twinwire {

Result<QuicListener> Quic::listen(Network& network, Scope& background, const Address& address,
                                  const QuicOptions& options) {
  auto endpoint = QuicEndpoint::open(network, address, options);
  if (!endpoint) return endpoint.error();
  // Tells the endpoint when the caller's scope is over; connections go on.
  auto watch = background.try_spawn("quic.listen", [endpoint = *endpoint] {
    Scheduler& scheduler = *endpoint->services().scheduler;
    while (scheduler.park(Deadline::never(), "the listener's end") != Wake::canceled) {}
    endpoint->stop_listening();
  });
  (*endpoint)->listen(watch ? *watch : FiberHandle());
  if (!watch) {
    (*endpoint)->stop_listening();
    return watch.error();
  }
  return QuicListener(std::move(*endpoint));
}

Result<QuicConn> Quic::dial(Network& network, const Address& address, const QuicOptions& options,
                            Deadline deadline) {
  if (const auto refuses = network.scheduler().refuses(deadline)) return *refuses;
  Address local = options.stream.local;
  if (local == Address{} && address.is_v4()) local = Address::v4(0, 0, 0, 0, 0);
  auto endpoint = QuicEndpoint::open(network, local, options);
  if (!endpoint) return endpoint.error();
  return (*endpoint)->dial(address, deadline);
}

}  // namespace twinwire
