// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/tls_stream.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "transport/tls/tls_core.h"

namespace twinwire {
namespace {

Result<std::unique_ptr<TlsStream>> make(TlsEngine::Role role, Network& network,
                                        std::unique_ptr<ByteStream> stream, const TlsConfig& config,
                                        HandshakeTerms terms) {
  try {
    auto engine =
        TlsEngine::create(role, config, stream->peer(), network.buffers(), network.random());
    if (!engine) {
      if (engine.error() == Errc::handshake)
        terms.explain("this side has no credentials, or a name that TLS cannot carry");
      return engine.error();
    }
    auto core = std::make_shared<TlsCore>(network, std::move(stream), std::move(*engine));
    if (auto done = core->handshake(terms.deadline); !done) {
      if (done.error() == Errc::handshake) terms.explain(core->engine().description());
      return done.error();
    }
    if (auto started = core->start_pump(); !started) return started.error();
    return std::make_unique<TlsStream>(std::move(core));
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

}  // namespace

Result<std::unique_ptr<TlsStream>> tls_connect(Network& network, std::unique_ptr<ByteStream> stream,
                                               const TlsConfig& config, HandshakeTerms terms) {
  return make(TlsEngine::Role::client, network, std::move(stream), config, terms);
}

Result<std::unique_ptr<TlsStream>> tls_accept(Network& network, std::unique_ptr<ByteStream> stream,
                                              const TlsConfig& config, HandshakeTerms terms) {
  return make(TlsEngine::Role::server, network, std::move(stream), config, terms);
}

TlsStream::TlsStream(std::shared_ptr<TlsCore> core) noexcept : core_(std::move(core)) {}
TlsStream::~TlsStream() { core_->leave(); }

Result<std::size_t> TlsStream::write(std::span<const iovec> pieces, Deadline deadline) {
  return core_->write(pieces, deadline);
}

Result<Slice> TlsStream::read(Deadline deadline) {
  if (auto ready = core_->wait_readable(deadline); !ready) return ready.error();
  Slice front = core_->plaintext().take_front();
  core_->consumed();
  return front;
}

Result<std::size_t> TlsStream::read_into(std::span<std::byte> into, Deadline deadline) {
  if (auto ready = core_->wait_readable(deadline); !ready) return ready.error();
  std::array<iovec, 16> pieces;
  const std::size_t count = core_->plaintext().gather(pieces);
  std::size_t n = 0;
  for (std::size_t i = 0; i < count && n < into.size(); ++i) {
    const std::size_t some = std::min(pieces[i].iov_len, into.size() - n);
    std::memcpy(into.data() + n, pieces[i].iov_base, some);
    n += some;
  }
  core_->plaintext().drop_front(n);
  core_->consumed();
  return n;
}

Result<void> TlsStream::shutdown_write(Deadline deadline) {
  return core_->shutdown_write(deadline);
}

void TlsStream::abort() noexcept { core_->abort(); }
Address TlsStream::local() const noexcept { return core_->lower().local(); }
Address TlsStream::peer() const noexcept { return core_->lower().peer(); }
Result<ChannelBinding> TlsStream::channel_binding() noexcept {
  return core_->engine().channel_binding();
}
Result<void> TlsStream::update_keys(Deadline deadline) { return core_->update_keys(deadline); }
std::string_view TlsStream::alpn() const noexcept { return core_->engine().alpn(); }
bool TlsStream::resumed() const noexcept { return core_->engine().resumed(); }
std::string_view TlsStream::description() const noexcept { return core_->engine().description(); }

}  // namespace twinwire
