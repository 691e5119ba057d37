// SPDX-License-Identifier: Apache-2.0
// The peer of tls: GnuTLS over a blocking socket, corked for a batch of small messages.
#include <gnutls/crypto.h>

#include <ctime>

#include "props/peers/tls_stream.h"
#include "transport/tls/self_signed.h"

namespace twinwire::peers {
namespace {

class LibraryRandom final : public Random {
 public:
  void fill(std::span<std::byte> out) noexcept override {
    (void)::gnutls_rnd(GNUTLS_RND_RANDOM, out.data(), out.size());
  }
  std::uint64_t next() noexcept override {
    std::uint64_t value = 0;
    fill(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
};

gnutls_datum_t datum(const std::string& text) {
  return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())),
          static_cast<unsigned>(text.size())};
}

class TlsPeer {
 public:
  explicit TlsPeer(const Call& call) : stream_(call), framer_(call.work.size) {}

  void send(std::span<const iovec> batch) {
    // A cork gathers what is less than a record; what is more is sent from where it lies.
    const bool small = batch[0].iov_len < record_max;
    if (small) stream_.cork();
    for (const iovec& message : batch) stream_.write(message.iov_base, message.iov_len);
    if (small) stream_.uncork();
  }
  bool receive(Receiver& receiver) {
    while (!framer_.take(receiver)) {
      const std::size_t n = stream_.read(framer_.space());
      if (n == 0) return false;
      framer_.filled(n);
    }
    return true;
  }
  void end() { stream_.bye(); }

 private:
  static constexpr std::size_t record_max = 16 * 1024;
  TlsStream stream_;
  Framer framer_;
};

}  // namespace

int require(int rc, const char* what) {
  if (rc < 0) fail(std::string(what) + ": " + ::gnutls_strerror(rc));
  return rc;
}

Credentials::Credentials(bool server) {
  require(::gnutls_certificate_allocate_credentials(&credentials_), "credentials");
  if (!server) return;
  LibraryRandom random;
  const std::int64_t now = std::time(nullptr);
  CertificateSpec spec{"twinwire's peer", {}, now - 3600, now + 86'400, 1};
  const auto authority = mint_authority(random, spec);
  spec.names = {"localhost", "127.0.0.1"};
  const auto identity = authority ? mint_certificate(random, spec, *authority) : authority;
  if (!identity) fail("no certificate");
  const gnutls_datum_t certificate = datum(identity->certificates);
  const gnutls_datum_t key = datum(identity->key);
  require(
      ::gnutls_certificate_set_x509_key_mem(credentials_, &certificate, &key, GNUTLS_X509_FMT_PEM),
      "certificate");
}
Credentials::~Credentials() { ::gnutls_certificate_free_credentials(credentials_); }

TlsStream::TlsStream(const Call& call) : credentials_(call.serves), socket_(connection(call)) {
  require(::gnutls_init(&session_, (call.serves ? GNUTLS_SERVER : GNUTLS_CLIENT) |
                                       GNUTLS_NO_TICKETS | GNUTLS_NO_SIGNAL),
          "session");
  require(::gnutls_priority_set_direct(session_, tls_priority, nullptr), "priorities");
  require(::gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, credentials_.get()),
          "credentials");
  ::gnutls_transport_set_int(session_, socket_.fd());
  int rc = 0;
  do rc = ::gnutls_handshake(session_);
  while (rc < 0 && ::gnutls_error_is_fatal(rc) == 0);
  require(rc, "handshake");
}
TlsStream::~TlsStream() { ::gnutls_deinit(session_); }

void run_tls(const Call& call) { run(TlsPeer(call), call); }

}  // namespace twinwire::peers
