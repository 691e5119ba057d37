// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/tls_session.h"

#include <gnutls/x509.h>

#include <exception>
#include <string>
#include <vector>

#include "transport/base/plant.h"

namespace twinwire {
namespace {

// "127.0.0.1" or "::1".
std::string without_port(const Address& address) {
  std::string text = to_string(address);
  text.resize(text.rfind(':'));
  return text.front() == '[' ? text.substr(1, text.size() - 2) : text;
}

bool is_numeric(const std::string& name) {
  return parse_address(name.find(':') != std::string::npos ? "[" + name + "]:1" : name + ":1")
      .has_value();
}

void append_hex(std::string& text, const gnutls_datum_t& bytes) {
  for (unsigned i = 0; i < bytes.size; ++i) {
    text += "0123456789abcdef"[bytes.data[i] >> 4];
    text += "0123456789abcdef"[bytes.data[i] & 15];
  }
}

}  // namespace

Result<void> TlsSession::open(TlsRole role, TlsConfig& config, const Address& peer, bool in_quic,
                              unsigned flags) {
  if (config.credentials == nullptr) return Errc::handshake;
  config_ = &config;
  credentials_ = config.credentials->current();
  if (role == TlsRole::client && config.server_name.empty())
    config.server_name = without_port(peer);
  // One key pair in the first flight, not two: who lacks X25519 asks for another.
  flags |= (role == TlsRole::client ? GNUTLS_CLIENT : GNUTLS_SERVER) | GNUTLS_NO_SIGNAL |
           GNUTLS_KEY_SHARE_TOP;
  if (::gnutls_init(&handle_, flags) < 0) return Errc::no_resources;
  const gnutls_priority_t priority =
      in_quic ? credentials_->quic_priority() : credentials_->priority(config.versions);
  if (::gnutls_priority_set(handle_, priority) < 0 ||
      ::gnutls_credentials_set(handle_, GNUTLS_CRD_CERTIFICATE, credentials_->certificates()) < 0)
    return Errc::no_resources;
  // Always: GnuTLS's own would write to the file that SSLKEYLOGFILE names. The other pointers belong to the callers.
  ::gnutls_db_set_ptr(handle_, this);
  ::gnutls_session_set_keylog_function(handle_, &log_key);
  if (auto expected = expect(role); !expected) return expected;
  return offer_protocols();
}

void TlsSession::reset() noexcept {
  if (handle_ != nullptr) ::gnutls_deinit(handle_);
  handle_ = nullptr;
}

Result<void> TlsSession::expect(TlsRole role) {
  const char* purpose =
      role == TlsRole::client ? GNUTLS_KP_TLS_WWW_SERVER : GNUTLS_KP_TLS_WWW_CLIENT;
  expected_[0] = {GNUTLS_DT_KEY_PURPOSE_OID,
                  reinterpret_cast<unsigned char*>(const_cast<char*>(purpose)), 0};
  if (role == TlsRole::server) {
    if (!config_->require_client_certificate) return {};
    ::gnutls_certificate_server_set_request(handle_, GNUTLS_CERT_REQUIRE);
    ::gnutls_session_set_verify_cert2(handle_, expected_.data(), 1, 0);
    return {};
  }
  std::string& name = config_->server_name;
  if (!is_numeric(name) &&
      ::gnutls_server_name_set(handle_, GNUTLS_NAME_DNS, name.data(), name.size()) < 0)
    return Errc::handshake;
  if (!config_->verify_server || PLANT(verify_off)) return {};
  expected_[1] = {GNUTLS_DT_DNS_HOSTNAME, reinterpret_cast<unsigned char*>(name.data()), 0};
  ::gnutls_session_set_verify_cert2(handle_, expected_.data(), 2, 0);
  return {};
}

Result<void> TlsSession::offer_protocols() {
  if (config_->alpn.empty()) return {};
  std::vector<gnutls_datum_t> protocols;
  protocols.reserve(config_->alpn.size());
  for (std::string& protocol : config_->alpn)
    protocols.push_back({reinterpret_cast<unsigned char*>(protocol.data()),
                         static_cast<unsigned>(protocol.size())});
  if (::gnutls_alpn_set_protocols(handle_, protocols.data(),
                                  static_cast<unsigned>(protocols.size()),
                                  GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE) < 0)
    return Errc::handshake;
  return {};
}

int TlsSession::log_key(gnutls_session_t session, const char* label,
                        const gnutls_datum_t* secret) noexcept {
  const auto& self = *static_cast<const TlsSession*>(::gnutls_db_get_ptr(session));
  if (!self.config_->key_log) return 0;
  gnutls_datum_t client{};
  gnutls_datum_t server{};
  ::gnutls_session_get_random(session, &client, &server);
  // No exception may pass through the library; a session without a line in the log is still a good session.
  try {
    std::string line = label;
    line += ' ';
    append_hex(line, client);
    line += ' ';
    append_hex(line, *secret);
    self.config_->key_log(line);
  } catch (const std::exception&) {}
  return 0;
}

}  // namespace twinwire
