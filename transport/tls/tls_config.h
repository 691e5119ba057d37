// SPDX-License-Identifier: Apache-2.0
// TlsConfig: what can be set on a TLS session. The same for both sides; each field says whom it concerns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "transport/tls/credentials.h"
#include "transport/tls/session_cache.h"

namespace twinwire {

enum class TlsRole : std::uint8_t { client, server };
enum class TlsVersions : std::uint8_t { only_13, from_12, only_12 };
inline constexpr std::size_t tls_versions_count = 3;

struct TlsConfig {
  // Both sides. Without them every handshake fails.
  std::shared_ptr<TlsCredentials> credentials;

  // Dialer: whom to expect, a host name or a numeric IP address; its certificate must name it. A host name is sent, too
  // (SNI). Empty: the address that was dialled.
  std::string server_name;
  // Dialer: refuse a server whose certificate is not vouched for. Off only for trying out.
  bool verify_server = true;
  // Listener: demand a certificate that its authorities vouch for (mutual TLS).
  bool require_client_certificate = false;

  // Protocols in order of preference. Where it is not empty both sides must agree on one, or the handshake fails.
  std::vector<std::string> alpn;

  TlsVersions versions = TlsVersions::only_13;

  // Dialer: where tickets are kept for resuming. nullptr: none are asked for.
  std::shared_ptr<TlsSessionCache> sessions;

  // New keys after so many bytes sent, but not twice within half a second (TLS 1.3). Far below what AES-GCM bears; 0:
  // never.
  std::uint64_t key_update_after = std::uint64_t{16} << 30;

  // Called with one line, without its end, in the format of SSLKEYLOGFILE for each secret: for a packet analyser.
  // Whoever has it can read everything. The file that the environment variable of that name names is never written to.
  std::function<void(std::string_view line)> key_log;
};

}  // namespace twinwire
