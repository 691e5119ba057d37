// SPDX-License-Identifier: Apache-2.0
#include "transport/net/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace twinwire {
namespace {

constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

}  // namespace

bool Address::is_v4() const noexcept {
  return std::equal(v4_prefix.begin(), v4_prefix.end(), ip.begin());
}

std::string to_string(const Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  const bool v4 = address.is_v4();
  ::inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &address.ip[12] : address.ip.data(), text, sizeof text);
  const std::string port = std::to_string(address.port);
  return v4 ? text + (":" + port) : "[" + std::string(text) + "]:" + port;
}

Result<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return Errc::invalid;
  std::string host(text.substr(0, colon));
  if (host.find('\0') != std::string::npos) return Errc::invalid;  // inet_pton would stop there
  const std::string_view port = text.substr(colon + 1);
  Address address;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc{} || end != port.data() + port.size() || port.empty())
    return Errc::invalid;
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (::inet_pton(AF_INET6, host.c_str(), address.ip.data()) != 1) return Errc::invalid;
    return address;
  }
  std::copy(v4_prefix.begin(), v4_prefix.end(), address.ip.begin());
  if (::inet_pton(AF_INET, host.c_str(), &address.ip[12]) != 1) return Errc::invalid;
  return address;
}

}  // namespace twinwire
