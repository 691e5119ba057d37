// SPDX-License-Identifier: Apache-2.0
// TlsCredentialSet: one loaded set of certificates, immutable. Private to transport/tls/: the only header with GnuTLS.
#pragma once

#include <gnutls/gnutls.h>

#include <memory>
#include <new>

#include "transport/tls/credentials.h"
#include "transport/tls/tls_config.h"

namespace twinwire {

class TlsCredentialSet {
 public:
  // Errors     invalid · no_resources
  static Result<std::shared_ptr<const TlsCredentialSet>> load(const TlsMaterial& material);
  TlsCredentialSet(const TlsCredentialSet&) = delete;
  TlsCredentialSet& operator=(const TlsCredentialSet&) = delete;
  ~TlsCredentialSet();

  gnutls_certificate_credentials_t certificates() const noexcept { return certificates_; }
  gnutls_priority_t priority(TlsVersions versions) const noexcept {
    return priorities_[static_cast<std::size_t>(versions)];
  }
  gnutls_priority_t quic_priority() const noexcept { return priorities_[tls_versions_count]; }

 private:
  TlsCredentialSet() noexcept = default;

  gnutls_certificate_credentials_t certificates_ = nullptr;
  std::array<gnutls_priority_t, tls_versions_count + 1> priorities_{};
};

}  // namespace twinwire
