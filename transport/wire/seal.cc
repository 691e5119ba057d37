// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/seal.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace twinwire {
namespace {

U128 body_sum(std::span<const std::byte> frame) noexcept {
  return {XXH3_64bits(frame.data() + header_size, frame.size() - header_size), 0};
}
U128 header_sum(std::span<const std::byte> frame) noexcept {
  return {XXH3_64bits(frame.data() + offset::checksum_body, header_size - offset::checksum_body),
          0};
}

}  // namespace

void seal(MutableMessage& message) noexcept {
  message.set_checksum_body(body_sum(message.bytes()));
  message.set_checksum(header_sum(message.bytes()));
}

bool seal_matches(std::span<const std::byte> frame) noexcept {
  const HeaderView header(frame.data());
  return header.checksum() == header_sum(frame) && header.checksum_body() == body_sum(frame);
}

}  // namespace twinwire
