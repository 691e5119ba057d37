// SPDX-License-Identifier: Apache-2.0
// What failed a TLS session, in words for the log, and as the alert for the peer. Private to the transports that
// encrypt.
#pragma once

#include <gnutls/gnutls.h>

#include <optional>
#include <string>

namespace twinwire {

// Of an error that GnuTLS returned: "certificate expired", "no common application protocol", "not a TLS record", "the
// peer refused: Certificate is bad". May throw bad_alloc.
std::string tls_cause(gnutls_session_t session, int code);

// Of the alert with which the peer ended a handshake: "the peer refused: Certificate is bad". May throw bad_alloc.
std::string peer_refused(unsigned alert);

// The alert that says why the peer's certificate was refused; nothing where it was not.
std::optional<gnutls_alert_description_t> certificate_alert(gnutls_session_t session) noexcept;

// Sends the alert that fits: for a refused certificate the one that says why (RFC 8446, section 6.2), which GnuTLS
// calls bad in every case. Nothing where the error is the peer's own alert.
void tls_send_alert(gnutls_session_t session, int code) noexcept;

}  // namespace twinwire
