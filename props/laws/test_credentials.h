// SPDX-License-Identifier: Apache-2.0
// Certificates for scenarios and tests: minted once in a process, always the same ones. Nobody outside trusts them.
#pragma once

#include <memory>
#include <string_view>

#include "transport/tls/credentials.h"

namespace twinwire::laws {

struct TestCertificates {
  TlsIdentity authority;
  TlsIdentity server;  // for server_name, and for the loopback and the World's first addresses
  TlsIdentity client;
  TlsIdentity expired;      // a server's that was good until 2021
  TlsIdentity not_yet;      // a server's that will be good from 2090
  TlsIdentity other_name;   // a server's for somebody else
  TlsIdentity stranger;     // an authority that nobody trusts,
  TlsIdentity by_stranger;  // and a server's that it vouches for
  TlsIdentity forged;       // vouched for by one that calls itself the authority
};

inline constexpr std::string_view test_server_name = "server.twinwire.test";

const TestCertificates& test_certificates();

// Loaded, trusting the authority; share() them.
struct TestCredentials {
  std::shared_ptr<TlsCredentials> server;
  std::shared_ptr<TlsCredentials> client;            // shows nothing
  std::shared_ptr<TlsCredentials> client_with_name;  // shows the client's certificate
};
const TestCredentials& test_credentials();

}  // namespace twinwire::laws
