// SPDX-License-Identifier: Apache-2.0
#include "props/exhaustive/exchange_bases.h"

#include <array>

namespace twinwire::exhaustive {
namespace {

struct Variant {
  const char* name;
  std::int64_t closes;
  bool only_12 = false;
  bool mutual = false;
  bool tickets = false;
  bool one_stream = false;
  bool any_order = false;
};

constexpr std::array plain_variants{
    Variant{"the client closes", 0},
    Variant{"the server closes", 1},
    Variant{"both close", 2},
};
constexpr std::array tls_variants{
    Variant{"TLS 1.3, the client closes", 0},
    Variant{"TLS 1.3 with client certificate, the server closes", 1, false, true},
    Variant{"TLS 1.2, both close", 2, true},
};
constexpr std::array quic_variants{
    Variant{"a stream for each message, the client closes", 0},
    Variant{"one stream, client certificate, the server closes", 1, false, true, false, true},
    Variant{"any order, both close", 2, false, false, false, false, true},
};

Base base_of(const Variant& variant, bool encrypted, bool datagrams) {
  Base base{.name = variant.name, .scenario = "exchange"};
  const auto set = [&](const char* name, std::int64_t value) {
    base.knobs.push_back({name, value});
  };
  set("closes", variant.closes);
  if (encrypted) {
    set("tls.only_12", variant.only_12 ? 1 : 0);
    set("tls.mutual", variant.mutual ? 1 : 0);
    set("tls.tickets", variant.tickets ? 1 : 0);
    set("tls.key_updates", 0);
  }
  if (datagrams) {
    set("one_stream", variant.one_stream ? 1 : 0);
    set("any_order", variant.any_order ? 1 : 0);
  }
  return base;
}

}  // namespace

std::vector<Base> exchange_bases(std::size_t transport) {
  const bool datagrams = laws::transport_names()[transport] == "quic";
  const bool encrypted = laws::transport_encrypts(transport);
  std::vector<Base> bases;
  for (const Variant& variant : datagrams   ? quic_variants
                                : encrypted ? tls_variants
                                            : plain_variants)
    for (const std::int64_t harmless : {0, 1}) {
      bases.push_back(base_of(variant, encrypted, datagrams));
      bases.back().knobs.push_back({"harmless", harmless});
    }
  return bases;
}

}  // namespace twinwire::exhaustive
