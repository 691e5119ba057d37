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
  bool one_stream = false;
  bool any_order = false;
  std::int64_t send_buffer = 0;
};

constexpr std::array plain_variants{
    Variant{"the client closes", 0},
    Variant{.name = "small buffers, the server closes", .closes = 1, .send_buffer = 700},
    Variant{"both close", 2},
};
constexpr std::array tls_variants{
    Variant{"TLS 1.3, the client closes", 0},
    Variant{.name = "TLS 1.3 with client certificate, small buffers, the server closes",
            .closes = 1,
            .mutual = true,
            .send_buffer = 700},
    Variant{.name = "TLS 1.2, both close", .closes = 2, .only_12 = true},
};
constexpr std::array quic_variants{
    Variant{"a stream for each message, the client closes", 0},
    Variant{.name = "one stream, client certificate, the server closes",
            .closes = 1,
            .mutual = true,
            .one_stream = true},
    Variant{.name = "any order, both close", .closes = 2, .any_order = true},
};

Base base_of(const Variant& variant, bool encrypted, bool datagrams) {
  Base base{.name = variant.name, .scenario = "exchange"};
  const auto set = [&](const char* name, std::int64_t value) {
    base.knobs.push_back({name, value});
  };
  set("closes", variant.closes);
  if (variant.send_buffer != 0) set("send_buffer", variant.send_buffer);
  if (encrypted) {
    set("tls.only_12", variant.only_12 ? 1 : 0);
    set("tls.mutual", variant.mutual ? 1 : 0);
    set("tls.tickets", 0);
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
