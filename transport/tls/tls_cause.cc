// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/tls_cause.h"

#include <array>

namespace twinwire {
namespace {

struct Flaw {
  unsigned status;
  const char* words;
  gnutls_alert_description_t alert;
};

// Of several that a certificate has, the first says most.
constexpr std::array flaws = {
    Flaw{GNUTLS_CERT_EXPIRED, "certificate expired", GNUTLS_A_CERTIFICATE_EXPIRED},
    Flaw{GNUTLS_CERT_NOT_ACTIVATED, "certificate not yet valid", GNUTLS_A_BAD_CERTIFICATE},
    Flaw{GNUTLS_CERT_REVOKED, "certificate revoked", GNUTLS_A_CERTIFICATE_REVOKED},
    Flaw{GNUTLS_CERT_SIGNATURE_FAILURE, "certificate with a wrong signature",
         GNUTLS_A_BAD_CERTIFICATE},
    Flaw{GNUTLS_CERT_SIGNER_NOT_FOUND, "certificate of an unknown authority", GNUTLS_A_UNKNOWN_CA},
    Flaw{GNUTLS_CERT_SIGNER_NOT_CA, "certificate of a signer that is no authority",
         GNUTLS_A_UNKNOWN_CA},
    Flaw{GNUTLS_CERT_UNEXPECTED_OWNER, "certificate of another name", GNUTLS_A_BAD_CERTIFICATE},
    Flaw{GNUTLS_CERT_PURPOSE_MISMATCH, "certificate for another purpose",
         GNUTLS_A_UNSUPPORTED_CERTIFICATE},
    Flaw{GNUTLS_CERT_INSECURE_ALGORITHM, "certificate signed with an insecure algorithm",
         GNUTLS_A_BAD_CERTIFICATE},
};
constexpr Flaw other_flaw{0, "certificate not trusted", GNUTLS_A_BAD_CERTIFICATE};

const Flaw& flaw_of(gnutls_session_t session) noexcept {
  const unsigned status = ::gnutls_session_get_verify_cert_status(session);
  for (const Flaw& flaw : flaws)
    if ((status & flaw.status) != 0) return flaw;
  return other_flaw;
}

}  // namespace

std::string tls_cause(gnutls_session_t session, int code) {
  switch (code) {
    case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR: return flaw_of(session).words;
    case GNUTLS_E_NO_CERTIFICATE_FOUND:
    case GNUTLS_E_CERTIFICATE_REQUIRED: return "no certificate shown";
    case GNUTLS_E_NO_APPLICATION_PROTOCOL: return "no common application protocol";
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:  // the library tells the two apart by chance
    case GNUTLS_E_NO_CIPHER_SUITES: return "no common version or cipher suite of TLS";
    case GNUTLS_E_MISSING_EXTENSION: return "a TLS extension that is required is missing";
    case GNUTLS_E_FATAL_ALERT_RECEIVED:
      return peer_refused(static_cast<unsigned>(::gnutls_alert_get(session)));
    default: return ::gnutls_strerror(code);
  }
}

// A peer sends what it likes; GnuTLS's enum holds no more than seven bits.
std::string peer_refused(unsigned alert) {
  const char* said = alert < 128
                         ? ::gnutls_alert_get_name(static_cast<gnutls_alert_description_t>(alert))
                         : nullptr;
  return "the peer refused: " + std::string(said != nullptr ? said : "an alert that nobody knows");
}

std::optional<gnutls_alert_description_t> certificate_alert(gnutls_session_t session) noexcept {
  const unsigned status = ::gnutls_session_get_verify_cert_status(session);
  if (status == 0 || status == ~0U) return {};  // trusted; never looked at
  return flaw_of(session).alert;
}

void tls_send_alert(gnutls_session_t session, int code) noexcept {
  if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) return;
  if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
    (void)::gnutls_alert_send(session, GNUTLS_AL_FATAL, flaw_of(session).alert);
  else
    (void)::gnutls_alert_send_appropriate(session, code);
}

}  // namespace twinwire
