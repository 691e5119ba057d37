// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic_credentials.h"

#include <new>

#include "transport/quic/quic_credentials_held.h"

namespace twinwire {
namespace {

// TLS 1.3 alone, as RFC 9001 asks; one curve first, so that a client makes one key share (GNUTLS_KEY_SHARE_TOP).
constexpr const char* priorities =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";

gnutls_datum_t datum(const std::string& text) noexcept {
  return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())),
          static_cast<unsigned>(text.size())};
}

}  // namespace

Result<QuicCredentials> QuicCredentials::from_pem(const QuicPem& pem) {
  std::shared_ptr<Held> held;
  try {
    held = std::make_shared<Held>();
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
  if (gnutls_certificate_allocate_credentials(&held->certificates) != 0 ||
      gnutls_priority_init(&held->priorities, priorities, nullptr) != 0)
    return Errc::no_resources;
  if (!pem.authorities.empty()) {
    const gnutls_datum_t text = datum(pem.authorities);
    if (gnutls_certificate_set_x509_trust_mem(held->certificates, &text, GNUTLS_X509_FMT_PEM) <= 0)
      return Errc::invalid;
  }
  if (!pem.certificates.empty() || !pem.key.empty()) {
    const gnutls_datum_t chain = datum(pem.certificates);
    const gnutls_datum_t key = datum(pem.key);
    if (gnutls_certificate_set_x509_key_mem(held->certificates, &chain, &key,
                                            GNUTLS_X509_FMT_PEM) != 0)
      return Errc::invalid;
    held->has_key = true;
  }
  QuicCredentials credentials;
  credentials.held_ = std::move(held);
  return credentials;
}

}  // namespace twinwire
