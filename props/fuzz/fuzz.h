// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share: bytes to draw from, slices to lend, a check that ends the process, and the two things
// that the environment may ask of a target:
//
//   TWINWIRE_FUZZ_SEEDS=DIR   write the seed corpus there and end
//   TWINWIRE_PLANT=NAME       with that planted bug live: the target must find it
//
// A target is one file: `seeds()`, and LLVMFuzzerTestOneInput.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "props/lender.h"
#include "transport/base/plant_list.h"
#include "transport/wire/header.h"

#define FUZZ_CHECK(condition, what)                                                             \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      std::fprintf(stderr, "broken: %s (%s at %s:%d)\n", what, #condition, __FILE__, __LINE__); \
      std::abort();                                                                             \
    }                                                                                           \
  } while (false)

namespace twinwire::fuzz {

using props::Lender;
using Bytes = std::vector<std::byte>;

// The seed corpus of the target: valid inputs of each kind. Defined by it.
std::vector<Bytes> seeds();

// The input, from the front: what shapes the run, then what is fed.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : bytes_(reinterpret_cast<const std::byte*>(data), size) {}

  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(bytes_.front());
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::uint16_t word() {
    const unsigned low = byte();
    return static_cast<std::uint16_t>(low | unsigned{byte()} << 8);
  }
  std::span<const std::byte> take(std::size_t n) {
    const auto some = bytes_.first(std::min(n, bytes_.size()));
    bytes_ = bytes_.subspan(some.size());
    return some;
  }
  std::span<const std::byte> rest() { return take(bytes_.size()); }
  bool empty() const { return bytes_.empty(); }

 private:
  std::span<const std::byte> bytes_;
};

// How a stream is cut: all at once, byte by byte, or in pieces of the sizes that `salt` gives.
struct Cut {
  enum class How : std::uint8_t { whole, bytes, pieces } how = How::whole;
  std::uint32_t salt = 0;

  std::size_t next(std::size_t left) {
    if (how == How::whole) return left;
    if (how == How::bytes) return 1;
    salt = salt * 1'664'525 + 1'013'904'223;
    return std::min<std::size_t>(left, 1 + (salt >> 16) % ((salt & 1) != 0 ? 7 : 700));
  }
};

// Gives the decoder the next cut of the stream: a large body is read where it belongs, as a connection does.
template <class Decoder>
void feed_next(Decoder& decoder, Lender& lender, std::span<const std::byte>& stream, Cut& cut) {
  std::size_t n = cut.next(stream.size());
  if (const auto space = decoder.direct_space(); !space.empty()) {
    n = std::min(space.size(), n);
    std::memcpy(space.data(), stream.data(), n);
    decoder.commit(n);
  } else {
    decoder.feed(lender.lend(stream.first(n)));
  }
  stream = stream.subspan(n);
}

inline void append(Bytes& to, std::span<const std::byte> bytes) {
  to.insert(to.end(), bytes.begin(), bytes.end());
}
inline Bytes bytes_of(std::string_view text) {
  const auto* data = reinterpret_cast<const std::byte*>(text.data());
  return {data, data + text.size()};
}

// A frame of the wire: header and a body with a pattern.
inline Bytes frame(std::uint32_t size, std::uint8_t command = 5) {
  Bytes bytes(std::max<std::size_t>(size, header_size));
  for (std::size_t i = header_size; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7);
  store(bytes.data() + offset::size, size);
  bytes[offset::command] = static_cast<std::byte>(command);
  return bytes;
}

}  // namespace twinwire::fuzz
