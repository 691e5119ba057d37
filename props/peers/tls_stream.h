// SPDX-License-Identifier: Apache-2.0
// GnuTLS over a plain blocking socket, as its manual shows it: for the peers of tls and wss.
#pragma once

#include <gnutls/gnutls.h>

#include "props/peers/peer.h"

namespace twinwire::peers {

// What our transports offer, so that both speak the same: TLS 1.3, AES-128-GCM, X25519, Ed25519.
inline constexpr const char* tls_priority =
    "NONE:+VERS-TLS1.3:+AEAD:+AES-128-GCM:+GROUP-X25519:+SIGN-EDDSA-ED25519:+CTYPE-X509";
inline constexpr const char* quic_priority =
    "NONE:+VERS-TLS1.3:+AEAD:+AES-128-GCM:+GROUP-X25519:+SIGN-EDDSA-ED25519:+CTYPE-X509"
    ":%DISABLE_TLS13_COMPAT_MODE";

// Throws where `rc` is an error of GnuTLS.
int require(int rc, const char* what);

// A server's has a certificate, made on the spot; a client's is empty, and it does not verify.
class Credentials {
 public:
  explicit Credentials(bool server);
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;
  ~Credentials();
  gnutls_certificate_credentials_t get() const noexcept { return credentials_; }

 private:
  gnutls_certificate_credentials_t credentials_ = nullptr;
};

class TlsStream {
 public:
  explicit TlsStream(const Call& call);
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();

  void write(const void* bytes, std::size_t size) {
    const auto* at = static_cast<const std::byte*>(bytes);
    while (size > 0) {
      const ssize_t n = ::gnutls_record_send(session_, at, size);
      if (n < 0) require(static_cast<int>(n), "send");
      at += n;
      size -= static_cast<std::size_t>(n);
    }
  }
  void cork() { ::gnutls_record_cork(session_); }
  void uncork() { require(::gnutls_record_uncork(session_, GNUTLS_RECORD_WAIT), "uncork"); }
  // 0: the end
  std::size_t read(std::span<std::byte> into) {
    return static_cast<std::size_t>(require(
        static_cast<int>(::gnutls_record_recv(session_, into.data(), into.size())), "receive"));
  }
  void bye() { (void)::gnutls_bye(session_, GNUTLS_SHUT_WR); }

 private:
  Credentials credentials_;
  Socket socket_;
  gnutls_session_t session_ = nullptr;
};

}  // namespace twinwire::peers
