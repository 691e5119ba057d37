// SPDX-License-Identifier: Apache-2.0
// TlsSession: a GnuTLS session that knows who it is and whom it expects; for TLS over a stream, and inside QUIC.
// Private to the transports that encrypt.
#pragma once

#include <gnutls/gnutls.h>

#include <array>
#include <memory>

#include "transport/net/address.h"
#include "transport/tls/credential_set.h"
#include "transport/tls/tls_config.h"

namespace twinwire {

class TlsSession {
 public:
  TlsSession() noexcept = default;
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  ~TlsSession() { reset(); }

  // Makes the session of `config`, which must outlive it: credentials, priorities, server name, verification, protocols
  // and key log. Fills in config.server_name where a dialer left it empty. `flags`: more of GnuTLS's flags.
  // Errors     handshake (no credentials, or a name or protocol that TLS cannot carry) · no_resources
  Result<void> open(TlsRole role, TlsConfig& config, const Address& peer, bool in_quic,
                    unsigned flags);
  void reset() noexcept;

  gnutls_session_t handle() const noexcept { return handle_; }

 private:
  Result<void> expect(TlsRole role);
  Result<void> offer_protocols();
  static int log_key(gnutls_session_t session, const char* label,
                     const gnutls_datum_t* secret) noexcept;

  TlsConfig* config_ = nullptr;
  std::shared_ptr<const TlsCredentialSet> credentials_;
  gnutls_session_t handle_ = nullptr;
  std::array<gnutls_typed_vdata_st, 2> expected_{};
};

}  // namespace twinwire
