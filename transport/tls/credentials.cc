// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/credentials.h"

#include "transport/tls/credential_set.h"
#include "transport/tls/datum.h"

namespace twinwire {
namespace {

// Pinned: neither the system's policy nor a newer library's defaults change what is spoken. AES-128-GCM first, for its
// speed where the processor has AES; no CBC, no RSA key exchange, no SHA-1, nothing before TLS 1.2.
constexpr const char* versions_and_exchanges[tls_versions_count + 1] = {
    "NONE:+VERS-TLS1.3", "NONE:+VERS-TLS1.3:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA",
    "NONE:+VERS-TLS1.2:+ECDHE-ECDSA:+ECDHE-RSA",
    "NONE:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE",  // inside QUIC (RFC 9001, section 8.4)
};
constexpr const char* algorithms =
    ":+AEAD:+AES-128-GCM:+CHACHA20-POLY1305:+AES-256-GCM"
    ":+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1"
    ":+SIGN-EDDSA-ED25519:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SECP384R1-SHA384"
    ":+SIGN-ECDSA-SHA256:+SIGN-ECDSA-SHA384"
    ":+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-PSS-RSAE-SHA512"
    ":+SIGN-RSA-SHA256:+SIGN-RSA-SHA384:+SIGN-RSA-SHA512:+CTYPE-X509:%SERVER_PRECEDENCE";

Errc errc_of(int code) noexcept {
  return code == GNUTLS_E_MEMORY_ERROR ? Errc::no_resources : Errc::invalid;
}

}  // namespace

TlsCredentialSet::~TlsCredentialSet() {
  for (gnutls_priority_t priority : priorities_)
    if (priority != nullptr) ::gnutls_priority_deinit(priority);
  if (certificates_ != nullptr) ::gnutls_certificate_free_credentials(certificates_);
}

Result<std::shared_ptr<const TlsCredentialSet>> TlsCredentialSet::load(
    const TlsMaterial& material) {
  std::unique_ptr<TlsCredentialSet> set(new (std::nothrow) TlsCredentialSet);
  if (set == nullptr || ::gnutls_certificate_allocate_credentials(&set->certificates_) < 0)
    return Errc::no_resources;
  for (std::size_t i = 0; i < set->priorities_.size(); ++i) {
    const std::string text = std::string(versions_and_exchanges[i]) + algorithms;
    const int rc = ::gnutls_priority_init(&set->priorities_[i], text.c_str(), nullptr);
    if (rc < 0) return rc == GNUTLS_E_MEMORY_ERROR ? Errc::no_resources : Errc::unsupported;
  }
  for (const TlsIdentity& identity : material.identities) {
    const gnutls_datum_t certificates = datum(identity.certificates);
    const gnutls_datum_t key = datum(identity.key);
    if (const int rc = ::gnutls_certificate_set_x509_key_mem(set->certificates_, &certificates,
                                                             &key, GNUTLS_X509_FMT_PEM);
        rc < 0)
      return errc_of(rc);
  }
  if (!material.authorities.empty()) {
    const gnutls_datum_t authorities = datum(material.authorities);
    const int count = ::gnutls_certificate_set_x509_trust_mem(set->certificates_, &authorities,
                                                              GNUTLS_X509_FMT_PEM);
    if (count <= 0) return count == 0 ? Errc::invalid : errc_of(count);
  }
  try {
    return std::shared_ptr<const TlsCredentialSet>(std::move(set));
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

Result<std::shared_ptr<TlsCredentials>> TlsCredentials::load(const TlsMaterial& material) {
  auto set = TlsCredentialSet::load(material);
  if (!set) return set.error();
  try {
    return std::shared_ptr<TlsCredentials>(new TlsCredentials(std::move(*set)));
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

Result<void> TlsCredentials::reload(const TlsMaterial& material) {
  auto set = TlsCredentialSet::load(material);
  if (!set) return set.error();
  current_ = std::move(*set);
  return {};
}

std::shared_ptr<TlsCredentials> TlsCredentials::share() const {
  return std::shared_ptr<TlsCredentials>(new TlsCredentials(current_));
}

void TlsCredentials::enable_tickets(Random& random) noexcept {
  random.fill(ticket_key_);
  has_tickets_ = true;
}

}  // namespace twinwire
