// SPDX-License-Identifier: Apache-2.0
#include "props/laws/test_credentials.h"

#include <string>

#include "sim/entropy.h"
#include "transport/base/check.h"
#include "transport/tls/self_signed.h"

namespace twinwire::laws {
namespace {

constexpr std::int64_t year(std::int64_t y) { return (y - 1970) * 31'556'952; }

TestCertificates mint_all() {
  sim::SeededRandom random(0x7e57);
  std::uint64_t serial = 0;
  const auto spec = [&](std::string_view name, std::int64_t from, std::int64_t until) {
    CertificateSpec s;
    s.common_name = name;
    s.names = {std::string(name), "127.0.0.1", "10.0.0.1"};
    s.not_before = year(from);
    s.not_after = year(until);
    s.serial = ++serial;
    return s;
  };
  const auto take = [](Result<TlsIdentity> minted) {
    TWINWIRE_CHECK(minted.has_value(), "no certificate could be minted");
    return std::move(*minted);
  };
  const auto server = [&](std::string_view name, std::int64_t from, std::int64_t until,
                          const TlsIdentity& by) {
    return take(mint_certificate(random, spec(name, from, until), by));
  };
  TestCertificates all;
  all.authority = take(mint_authority(random, spec("twinwire test authority", 2020, 2080)));
  all.stranger = take(mint_authority(random, spec("twinwire test stranger", 2020, 2080)));
  all.server = server(test_server_name, 2020, 2080, all.authority);
  all.client = server("client.twinwire.test", 2020, 2080, all.authority);
  all.expired = server(test_server_name, 2020, 2021, all.authority);
  all.not_yet = server(test_server_name, 2090, 2095, all.authority);
  all.by_stranger = server(test_server_name, 2020, 2080, all.stranger);
  CertificateSpec other = spec("other.twinwire.test", 2020, 2080);
  other.names = {"other.twinwire.test"};
  all.other_name = take(mint_certificate(random, other, all.authority));
  const auto impostor = take(mint_authority(random, spec("twinwire test authority", 2020, 2080)));
  all.forged = server(test_server_name, 2020, 2080, impostor);
  return all;
}

}  // namespace

const TestCertificates& test_certificates() {
  static const TestCertificates all = mint_all();
  return all;
}

const TestCredentials& test_credentials() {
  static const TestCredentials all = [] {
    const TestCertificates& certificates = test_certificates();
    const auto load = [&](std::vector<TlsIdentity> identities) {
      auto loaded = TlsCredentials::load({.identities = std::move(identities),
                                          .authorities = certificates.authority.certificates});
      TWINWIRE_CHECK(loaded.has_value(), "no credentials for a scenario");
      return std::move(*loaded);
    };
    return TestCredentials{load({certificates.server}), load({}), load({certificates.client})};
  }();
  return all;
}

}  // namespace twinwire::laws
