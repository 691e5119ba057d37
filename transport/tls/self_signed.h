// SPDX-License-Identifier: Apache-2.0
// Certificates made on the spot, Ed25519: for the World, for tests, and for trying out. Nobody outside trusts them.
//
// What comes out depends on the arguments and on what `random` yields, and on nothing else: no clock is read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "transport/base/error.h"
#include "transport/net/random.h"
#include "transport/tls/credentials.h"

namespace twinwire {

struct CertificateSpec {
  std::string common_name;
  std::vector<std::string> names;  // host names and numeric IP addresses for which it is good
  std::int64_t not_before = 0;     // seconds since 1970-01-01 UTC
  std::int64_t not_after = 0;
  std::uint64_t serial = 1;
};

// A certificate that may vouch for others, by itself.
// Errors     no_resources · unsupported (this GnuTLS has no Ed25519)
Result<TlsIdentity> mint_authority(Random& random, const CertificateSpec& spec);

// A certificate for a server or a client, that `authority` vouches for.
// Errors     no_resources · unsupported · invalid (`authority` is no PEM)
Result<TlsIdentity> mint_certificate(Random& random, const CertificateSpec& spec,
                                     const TlsIdentity& authority);

}  // namespace twinwire
