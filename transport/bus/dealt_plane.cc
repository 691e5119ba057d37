// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/dealt_plane.h"

#include <new>
#include <utility>

#include "transport/bus/planes.h"
#include "transport/tcp/tcp.h"

namespace twinwire::bus {
namespace {

// Yields what is to stay here; the rest goes to the other shards.
class DealingDoor final : public Door<Link> {
 public:
  DealingDoor(Network& network, ShardRouter& router, std::unique_ptr<Acceptor> acceptor) noexcept
      : network_(&network), router_(&router), acceptor_(std::move(acceptor)) {}

  Result<std::pair<std::unique_ptr<Link>, Address>> accept(Deadline deadline) override {
    for (;;) {
      auto accepted = acceptor_->accept(deadline);
      if (!accepted) return accepted.error();
      std::unique_ptr<ByteStream> stream = std::move(*accepted);
      router_->deal(stream, deadline);
      if (stream == nullptr) continue;
      const Address peer = stream->peer();
      auto link = tcp_link(*network_, std::move(stream), router_->clients());
      if (!link) return link.error();
      return std::pair(std::move(*link), peer);
    }
  }

 private:
  Network* network_;
  ShardRouter* router_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace

Result<std::unique_ptr<Link>> tcp_link(Network& network, std::unique_ptr<ByteStream> stream,
                                       const ConnOptions& options) {
  auto conn = FramedConn::over(network, std::move(stream), options);
  if (!conn) return conn.error();
  auto [reader, writer] = split(std::move(*conn));
  try {
    return std::unique_ptr<Link>(
        std::make_unique<detail::ClientLinkOf<Tcp>>(std::move(reader), std::move(writer)));
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

Result<Address> open_dealt_client_plane(Bus& bus, ShardRouter& router, const Address& address) {
  auto acceptor = bus.network().listen(address, router.clients().listening());
  if (!acceptor) return acceptor.error();
  const Address local = (*acceptor)->local();
  try {
    const auto opened =
        bus.open(std::make_unique<DealingDoor>(bus.network(), router, std::move(*acceptor)));
    if (!opened) return opened.error();
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
  return local;
}

}  // namespace twinwire::bus
