// SPDX-License-Identifier: Apache-2.0
// GnuTLS's view of bytes.
#pragma once

#include <gnutls/gnutls.h>

#include <string>

namespace twinwire {

// Borrows `text`; the library reads it, although its type does not say so.
inline gnutls_datum_t datum(const std::string& text) noexcept {
  return {reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())),
          static_cast<unsigned>(text.size())};
}

}  // namespace twinwire
