// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic_self_signed.h"

#include <gnutls/x509.h>

#include <string>

namespace twinwire {
namespace {

constexpr std::int64_t valid_from = 1'577'836'800;   // 2020-01-01
constexpr std::int64_t valid_until = 2'493'072'000;  // 2049-01-01

struct Key {
  gnutls_x509_privkey_t it = nullptr;
  Key() = default;
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;
  ~Key() {
    if (it != nullptr) gnutls_x509_privkey_deinit(it);
  }
  bool make() {
    return gnutls_x509_privkey_init(&it) == 0 &&
           gnutls_x509_privkey_generate(it, GNUTLS_PK_EDDSA_ED25519, 256, 0) == 0;
  }
  std::string pem() const {
    gnutls_datum_t text{};
    if (gnutls_x509_privkey_export2_pkcs8(it, GNUTLS_X509_FMT_PEM, nullptr, GNUTLS_PKCS_PLAIN,
                                          &text) != 0)
      return {};
    std::string copy(reinterpret_cast<char*>(text.data), text.size);
    gnutls_free(text.data);
    return copy;
  }
};

struct Certificate {
  gnutls_x509_crt_t it = nullptr;
  Certificate() = default;
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;
  ~Certificate() {
    if (it != nullptr) gnutls_x509_crt_deinit(it);
  }
  bool make(const Key& key, std::string_view name, unsigned char serial) {
    return gnutls_x509_crt_init(&it) == 0 && gnutls_x509_crt_set_version(it, 3) == 0 &&
           gnutls_x509_crt_set_key(it, key.it) == 0 &&
           gnutls_x509_crt_set_serial(it, &serial, 1) == 0 &&
           gnutls_x509_crt_set_activation_time(it, valid_from) == 0 &&
           gnutls_x509_crt_set_expiration_time(it, valid_until) == 0 &&
           gnutls_x509_crt_set_dn_by_oid(it, GNUTLS_OID_X520_COMMON_NAME, 0, name.data(),
                                         static_cast<unsigned>(name.size())) == 0;
  }
  bool sign(const Certificate& issuer, const Key& key) {
    return gnutls_x509_crt_sign2(it, issuer.it, key.it, GNUTLS_DIG_SHA512, 0) == 0;
  }
  std::string pem() const {
    gnutls_datum_t text{};
    if (gnutls_x509_crt_export2(it, GNUTLS_X509_FMT_PEM, &text) != 0) return {};
    std::string copy(reinterpret_cast<char*>(text.data), text.size);
    gnutls_free(text.data);
    return copy;
  }
};

}  // namespace

Result<QuicSelfSigned> mint_quic_self_signed(Random& random, std::string_view name) {
  const EntropyScope entropy(random);
  Key authority_key;
  Key server_key;
  Certificate authority;
  Certificate server;
  if (!authority_key.make() || !server_key.make()) return Errc::no_resources;
  if (!authority.make(authority_key, "twinwire test authority", 1) ||
      gnutls_x509_crt_set_ca_status(authority.it, 1) != 0 ||
      gnutls_x509_crt_set_key_usage(authority.it, GNUTLS_KEY_KEY_CERT_SIGN) != 0 ||
      !authority.sign(authority, authority_key))
    return Errc::no_resources;
  if (!server.make(server_key, name, 2) || gnutls_x509_crt_set_ca_status(server.it, 0) != 0 ||
      gnutls_x509_crt_set_key_usage(server.it, GNUTLS_KEY_DIGITAL_SIGNATURE) != 0 ||
      gnutls_x509_crt_set_subject_alt_name(server.it, GNUTLS_SAN_DNSNAME, name.data(),
                                           static_cast<unsigned>(name.size()),
                                           GNUTLS_FSAN_SET) != 0 ||
      !server.sign(authority, authority_key))
    return Errc::no_resources;
  QuicSelfSigned minted;
  minted.server = {server.pem(), server_key.pem(), {}};
  minted.client.authorities = authority.pem();
  if (minted.server.certificates.empty() || minted.server.key.empty() ||
      minted.client.authorities.empty())
    return Errc::no_resources;
  return minted;
}

}  // namespace twinwire
