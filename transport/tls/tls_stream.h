// SPDX-License-Identifier: Apache-2.0
// TlsStream: a byte stream that is encrypted, over any byte stream. Start here.
//
//   auto stream = tls_connect(network, std::move(tcp), config, deadline);   // or tls_accept
//
// TLS as a transport is FramedConn over it (tls.h). Around it two fibers of network.background() work while nobody
// reads or writes; they end by themselves soon after the stream was destroyed (tls_core.h).
#pragma once

#include <memory>
#include <string_view>

#include "transport/handshake_terms.h"
#include "transport/net/network.h"
#include "transport/tls/tls_config.h"

namespace twinwire {

class TlsCore;

class TlsStream final : public ByteStream {
 public:
  explicit TlsStream(std::shared_ptr<TlsCore> core) noexcept;
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream() override;

  // Promise    Success: the ciphertext of what was taken has been accepted by the stream below. Up to 256 KiB are taken
  //            at a time, in records as full as they can be. Failure: as ByteStream, and beyond it: unless the call had
  //            to wait for its turn, the session cannot be written to any more, and every later write is broken.
  // Memory     Encrypting copies once.
  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) override;
  // The end of the stream is the peer's close_notify. A stream below that ends without it is `broken`: whoever can
  // cut the connection cannot forge it. After shutdown_write() the end is told once the stream below has ended, too,
  // so that destroying is a plain close.
  Result<Slice> read(Deadline deadline) override;
  Result<std::size_t> read_into(std::span<std::byte> into, Deadline deadline) override;
  // close_notify, then the same of the stream below.
  Result<void> shutdown_write(Deadline deadline) override;
  // A reset of the stream below; no close_notify, and no further byte.
  void abort() noexcept override;
  Address local() const noexcept override;
  Address peer() const noexcept override;
  Result<ChannelBinding> channel_binding() noexcept override;

  // New keys for what this side sends. It happens by itself after TlsConfig::key_update_after.
  // Requires   no write in progress. TLS 1.2: does nothing.
  // Errors     as write
  Result<void> update_keys(Deadline deadline);

  // The protocol that both sides agreed on; empty: none.
  std::string_view alpn() const noexcept;
  bool resumed() const noexcept;
  std::string_view description() const noexcept;  // "TLS1.3 AES-128-GCM"

 private:
  std::shared_ptr<TlsCore> core_;
};

// The handshake of either side over a connected stream, which is gone where it fails.
// Terms      The deadline; and for the log what failed it, in words: "certificate expired", "not a TLS record".
// Suspends   Until the peer has answered. Where it fails, up to 2 s more, so that the peer can read the alert.
// Errors     handshake (certificates, names, versions or protocols do not fit, or the peer speaks no TLS) · broken (the
//            stream ended or was reset) · timed_out · canceled · no_resources
Result<std::unique_ptr<TlsStream>> tls_connect(Network& network, std::unique_ptr<ByteStream> stream,
                                               const TlsConfig& config, HandshakeTerms terms);
Result<std::unique_ptr<TlsStream>> tls_accept(Network& network, std::unique_ptr<ByteStream> stream,
                                              const TlsConfig& config, HandshakeTerms terms);

}  // namespace twinwire
