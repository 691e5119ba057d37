// SPDX-License-Identifier: Apache-2.0
// What QuicCredentials holds, in GnuTLS's terms. Private to quic_credentials.cc and quic_engine.cc.
#pragma once

#include <gnutls/gnutls.h>

#include "transport/quic/quic_credentials.h"

namespace twinwire {

struct QuicCredentials::Held {
  Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() {
    if (certificates != nullptr) gnutls_certificate_free_credentials(certificates);
    if (priorities != nullptr) gnutls_priority_deinit(priorities);
  }

  gnutls_certificate_credentials_t certificates = nullptr;
  gnutls_priority_t priorities = nullptr;  // parsed once, for every session
  bool has_key = false;
};

}  // namespace twinwire
