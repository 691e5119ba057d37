// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/self_signed.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <array>
#include <memory>

#include "transport/net/address.h"
#include "transport/tls/datum.h"

namespace twinwire {
namespace {

struct FreeCertificate {
  void operator()(gnutls_x509_crt_int* crt) const noexcept { ::gnutls_x509_crt_deinit(crt); }
};
struct FreeKey {
  void operator()(gnutls_x509_privkey_int* key) const noexcept {
    ::gnutls_x509_privkey_deinit(key);
  }
};
using Certificate = std::unique_ptr<gnutls_x509_crt_int, FreeCertificate>;
using Key = std::unique_ptr<gnutls_x509_privkey_int, FreeKey>;

// Runs step after step; the first failure stays.
class Steps {
 public:
  Steps& then(int rc) noexcept {
    if (rc_ >= 0 && rc < 0) rc_ = rc;
    return *this;
  }
  bool failed() const noexcept { return rc_ < 0; }
  Errc error() const noexcept {
    return rc_ == GNUTLS_E_MEMORY_ERROR ? Errc::no_resources : Errc::unsupported;
  }

 private:
  int rc_ = 0;
};

Certificate new_certificate() noexcept {
  gnutls_x509_crt_t crt = nullptr;
  return Certificate(::gnutls_x509_crt_init(&crt) < 0 ? nullptr : crt);
}
Key new_key() noexcept {
  gnutls_x509_privkey_t key = nullptr;
  return Key(::gnutls_x509_privkey_init(&key) < 0 ? nullptr : key);
}

std::string take_text(gnutls_datum_t& pem) {
  std::string text(reinterpret_cast<const char*>(pem.data), pem.size);
  ::gnutls_free(pem.data);
  pem.data = nullptr;
  return text;
}

// A numeric address as the bytes that a certificate holds; 0: it is a host name.
std::size_t address_bytes(const std::string& name, std::array<std::uint8_t, 16>& out) {
  const bool v6 = name.find(':') != std::string::npos;
  const auto address = parse_address(v6 ? "[" + name + "]:1" : name + ":1");
  if (!address) return 0;
  out = address->ip;
  if (!address->is_v4()) return 16;
  std::copy(address->ip.begin() + 12, address->ip.end(), out.begin());
  return 4;
}

void add_name(Steps& steps, gnutls_x509_crt_int* crt, const std::string& name) {
  std::array<std::uint8_t, 16> bytes{};
  const std::size_t size = address_bytes(name, bytes);
  if (size != 0)
    steps.then(::gnutls_x509_crt_set_subject_alt_name(
        crt, GNUTLS_SAN_IPADDRESS, bytes.data(), static_cast<unsigned>(size), GNUTLS_FSAN_APPEND));
  else
    steps.then(::gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name.data(),
                                                      static_cast<unsigned>(name.size()),
                                                      GNUTLS_FSAN_APPEND));
}

void describe(Steps& steps, gnutls_x509_crt_int* crt, const CertificateSpec& spec) {
  std::array<std::uint8_t, 8> serial{};
  for (std::size_t i = 0; i < 8; ++i)
    serial[i] = static_cast<std::uint8_t>(spec.serial >> (8 * (7 - i)));
  serial[0] &= 0x7f;  // a serial number is positive (RFC 5280, section 4.1.2.2)
  steps.then(::gnutls_x509_crt_set_version(crt, 3))
      .then(::gnutls_x509_crt_set_serial(crt, serial.data(), serial.size()))
      .then(::gnutls_x509_crt_set_activation_time(crt, spec.not_before))
      .then(::gnutls_x509_crt_set_expiration_time(crt, spec.not_after))
      .then(::gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
                                            spec.common_name.data(),
                                            static_cast<unsigned>(spec.common_name.size())));
  for (const std::string& name : spec.names) add_name(steps, crt, name);
}

void set_key_id(Steps& steps, gnutls_x509_crt_int* crt) {
  std::array<unsigned char, 64> id{};
  std::size_t size = id.size();
  steps.then(::gnutls_x509_crt_get_key_id(crt, 0, id.data(), &size))
      .then(::gnutls_x509_crt_set_subject_key_id(crt, id.data(), size));
}

Result<TlsIdentity> exported(Steps& steps, gnutls_x509_crt_int* crt, gnutls_x509_privkey_int* key) {
  gnutls_datum_t crt_pem{};
  gnutls_datum_t key_pem{};
  if (!steps.failed()) steps.then(::gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &crt_pem));
  if (!steps.failed())
    steps.then(::gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, nullptr, 0, &key_pem));
  TlsIdentity identity;
  if (crt_pem.data != nullptr) identity.certificates = take_text(crt_pem);
  if (key_pem.data != nullptr) identity.key = take_text(key_pem);
  if (steps.failed()) return steps.error();
  return identity;
}

// `authority` and its key: nullptr for one that vouches for itself.
Result<TlsIdentity> mint(const CertificateSpec& spec, gnutls_x509_crt_int* authority,
                         gnutls_x509_privkey_int* authority_key) {
  const Certificate crt = new_certificate();
  const Key key = new_key();
  if (crt == nullptr || key == nullptr) return Errc::no_resources;
  Steps steps;
  steps.then(::gnutls_x509_privkey_generate(key.get(), GNUTLS_PK_EDDSA_ED25519,
                                            GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_ED25519), 0));
  if (steps.failed()) return steps.error();
  describe(steps, crt.get(), spec);
  steps.then(::gnutls_x509_crt_set_key(crt.get(), key.get()));
  set_key_id(steps, crt.get());
  if (authority == nullptr) {
    steps.then(::gnutls_x509_crt_set_basic_constraints(crt.get(), 1, 0))
        .then(::gnutls_x509_crt_set_key_usage(crt.get(), GNUTLS_KEY_KEY_CERT_SIGN))
        .then(::gnutls_x509_crt_sign2(crt.get(), crt.get(), key.get(), GNUTLS_DIG_SHA512, 0));
  } else {
    steps.then(::gnutls_x509_crt_set_basic_constraints(crt.get(), 0, -1))
        .then(::gnutls_x509_crt_set_key_usage(crt.get(), GNUTLS_KEY_DIGITAL_SIGNATURE))
        .then(::gnutls_x509_crt_set_key_purpose_oid(crt.get(), GNUTLS_KP_TLS_WWW_SERVER, 0))
        .then(::gnutls_x509_crt_set_key_purpose_oid(crt.get(), GNUTLS_KP_TLS_WWW_CLIENT, 0))
        .then(::gnutls_x509_crt_sign2(crt.get(), authority, authority_key, GNUTLS_DIG_SHA512, 0));
  }
  return exported(steps, crt.get(), key.get());
}

}  // namespace

Result<TlsIdentity> mint_authority(Random& random, const CertificateSpec& spec) {
  const EntropyScope entropy(random);
  return mint(spec, nullptr, nullptr);
}

Result<TlsIdentity> mint_certificate(Random& random, const CertificateSpec& spec,
                                     const TlsIdentity& authority) {
  const EntropyScope entropy(random);
  const Certificate crt = new_certificate();
  const Key key = new_key();
  if (crt == nullptr || key == nullptr) return Errc::no_resources;
  const gnutls_datum_t crt_pem = datum(authority.certificates);
  const gnutls_datum_t key_pem = datum(authority.key);
  if (::gnutls_x509_crt_import(crt.get(), &crt_pem, GNUTLS_X509_FMT_PEM) < 0 ||
      ::gnutls_x509_privkey_import2(key.get(), &key_pem, GNUTLS_X509_FMT_PEM, nullptr, 0) < 0)
    return Errc::invalid;
  return mint(spec, crt.get(), key.get());
}

}  // namespace twinwire
