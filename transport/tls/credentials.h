// SPDX-License-Identifier: Apache-2.0
// TlsCredentials: who this side is and whom it trusts. Shared by any number of listeners and dialers.
//
// Certificates are replaced without a restart: reload() swaps the set, new sessions use the new one, old ones live on.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "transport/base/error.h"
#include "transport/net/random.h"

namespace twinwire {

// One certificate with its chain, leaf first, and its private key, as PEM text.
struct TlsIdentity {
  std::string certificates;
  std::string key;
};

struct TlsMaterial {
  // What this side shows. A listener needs one, and may have several: the client's server name (SNI) chooses, the first
  // is the default. A dialer needs one only for mutual TLS.
  std::vector<TlsIdentity> identities;
  // Whom this side trusts, as PEM text. Empty: nobody. There is no system trust store.
  std::string authorities;
};

class TlsCredentialSet;  // one loaded TlsMaterial; private to transport/tls/

class TlsCredentials {
 public:
  // Errors     invalid (no PEM, a key that does not match, an unknown algorithm) · no_resources
  static Result<std::shared_ptr<TlsCredentials>> load(const TlsMaterial& material);

  // Replaces what new sessions use. On failure everything stays as it was.
  // Errors     as load
  Result<void> reload(const TlsMaterial& material);

  // Lets listeners hand out session tickets, with which a client resumes without a full handshake. The key is drawn
  // once and outlives a reload; GnuTLS derives a new one from it for each period of some hours.
  void enable_tickets(Random& random) noexcept;

  // Another holder of the same certificates, with tickets and reloads of its own.
  std::shared_ptr<TlsCredentials> share() const;

  // --- For the engine --------------------------------------------------------------------------------------------

  using TicketKey = std::array<std::byte, 64>;

  const std::shared_ptr<const TlsCredentialSet>& current() const noexcept { return current_; }
  const TicketKey* ticket_key() const noexcept { return has_tickets_ ? &ticket_key_ : nullptr; }

 private:
  explicit TlsCredentials(std::shared_ptr<const TlsCredentialSet> set) noexcept
      : current_(std::move(set)) {}

  std::shared_ptr<const TlsCredentialSet> current_;
  TicketKey ticket_key_{};
  bool has_tickets_ = false;
};

}  // namespace twinwire
