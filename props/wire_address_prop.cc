// SPDX-License-Identifier: Apache-2.0
// Addresses: what is printed is read back, and nothing else is read.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "transport/net/address.h"

namespace twinwire {
namespace {

rc::Gen<std::uint8_t> octets() {
  return rc::gen::weightedOneOf<std::uint8_t>({{2, rc::gen::just<std::uint8_t>(0)},
                                               {1, rc::gen::just<std::uint8_t>(255)},
                                               {3, rc::gen::arbitrary<std::uint8_t>()}});
}

RC_GTEST_PROP(address_prop, what_is_printed_is_read_back, ()) {
  Address address;
  address.ip = *rc::gen::container<std::array<std::uint8_t, 16>>(octets());
  address.port = *rc::gen::arbitrary<std::uint16_t>();
  const std::string text = to_string(address);
  const auto back = parse_address(text);
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == address);
  RC_ASSERT(to_string(*back) == text);
}

RC_GTEST_PROP(address_prop, an_IPv4_address_is_printed_as_one_and_read_back, ()) {
  const auto q = *rc::gen::container<std::array<std::uint8_t, 4>>(octets());
  const auto port = *rc::gen::arbitrary<std::uint16_t>();
  const Address address = Address::v4(q[0], q[1], q[2], q[3], port);
  RC_ASSERT(address.is_v4());
  const std::string text = std::to_string(q[0]) + "." + std::to_string(q[1]) + "." +
                           std::to_string(q[2]) + "." + std::to_string(q[3]) + ":" +
                           std::to_string(port);
  RC_ASSERT(to_string(address) == text);
  RC_ASSERT(*parse_address(text) == address);
}

RC_GTEST_PROP(address_prop, noise_is_read_only_if_it_prints_as_the_same_address, ()) {
  const auto text =
      *rc::gen::container<std::string>(rc::gen::elementOf(std::string("0123456789abf.:[]% -+")));
  if (const auto address = parse_address(text))
    RC_ASSERT(*parse_address(to_string(*address)) == *address);
}

TEST(AddressTest, forms_and_their_meaning) {
  EXPECT_EQ(*parse_address("127.0.0.1:4000"), Address::v4(127, 0, 0, 1, 4000));
  EXPECT_EQ(*parse_address("0.0.0.0:0"), Address::v4(0, 0, 0, 0, 0));
  EXPECT_EQ(*parse_address("[::ffff:1.2.3.4]:5"), Address::v4(1, 2, 3, 4, 5))
      << "the mapped form is the same address";
  EXPECT_EQ(to_string(*parse_address("[::1]:65535")), "[::1]:65535");
  EXPECT_EQ(to_string(*parse_address("[2001:DB8:0:0:0:0:0:1]:1")), "[2001:db8::1]:1");
  EXPECT_EQ(to_string(Address{}), "[::]:0");
}

TEST(AddressTest, everything_else_is_invalid) {
  for (const std::string_view text : {"",
                                      ":",
                                      "1.2.3.4",
                                      "1.2.3.4:",
                                      ":80",
                                      "1.2.3.4:65536",
                                      "1.2.3.4:-1",
                                      "1.2.3.4:+1",
                                      "1.2.3.4: 80",
                                      "1.2.3.4:80 ",
                                      "1.2.3.4:8o",
                                      "1.2.3:80",
                                      "1.2.3.256:80",
                                      "1.2.3.4.5:80",
                                      "::1:80",
                                      "::1",
                                      "[::1]",
                                      "[::1]:",
                                      "[::1:80",
                                      "::1]:80",
                                      "[]:80",
                                      "[1.2.3.4]:80",
                                      "[::1]]:80",
                                      "[[::1]]:80",
                                      "localhost:80",
                                      "1.2.3.4:80:90",
                                      "[fe80::1%lo]:80",
                                      "[::g]:1",
                                      "1.2.3.4:0x50",
                                      "1.2.3.4:99999999999999999999"})
    EXPECT_FALSE(parse_address(text)) << text;
  EXPECT_FALSE(parse_address(std::string_view("1.2.3.4\0junk:80", 15)));
}

}  // namespace
}  // namespace twinwire
