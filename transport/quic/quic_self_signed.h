// SPDX-License-Identifier: Apache-2.0
// Certificates for trying out, and for tests: an authority and a server certificate, Ed25519, minted on the spot.
#pragma once

#include <string_view>

#include "transport/net/random.h"
#include "transport/quic/quic_credentials.h"

namespace twinwire {

struct QuicSelfSigned {
  QuicPem server;  // the certificate and its key
  QuicPem client;  // believes in the authority that signed it
};

// The keys come from `random` where it captures the library's entropy (the World), else from the library's own.
// Valid from 2020 to 2049, for the DNS name `name`.
// Errors     no_resources (the library would not)
Result<QuicSelfSigned> mint_quic_self_signed(Random& random, std::string_view name);

}  // namespace twinwire
