// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/handshake/handshake_tag.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <algorithm>
#include <cstring>

#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire::bus {
namespace {

// No other use of the same key makes an input that begins so.
constexpr std::string_view handshake_label = "twinwire replica handshake";

// What is tagged, in one piece. Every part but the last has a fixed size, so no two messages make the same input.
class TagInput {
 public:
  template <class T>
  void add(const T& value) noexcept {
    static_assert(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T>);
    add_bytes(std::as_bytes(std::span(&value, 1)));
  }
  void add_bytes(std::span<const std::byte> bytes) noexcept {
    std::ranges::copy(bytes, bytes_.data() + size_);
    size_ += bytes.size();
  }
  const std::byte* data() const noexcept { return bytes_.data(); }
  std::size_t size() const noexcept { return size_; }

 private:
  std::array<std::byte, 128 + HandshakeOptions::binding_max> bytes_;
  std::size_t size_ = 0;
};
static_assert(handshake_label.size() + 3 + 3 + sizeof(U128) + sizeof(PlaneLabel) +
                  sizeof(std::int64_t) + sizeof(HandshakeSession) + 1 <=
              128);

}  // namespace

BoundChannel::BoundChannel(std::span<const std::byte> binding) noexcept : size_(binding.size()) {
  TWINWIRE_CHECK(binding.size() <= bytes_.size(), "a channel binding of more than 64 bytes");
  if (binding.empty()) return;
  std::ranges::copy(binding, bytes_.begin());
  std::array<std::byte, 32> hash{};
  TWINWIRE_CHECK(
      ::gnutls_hash_fast(GNUTLS_DIG_SHA256, binding.data(), binding.size(), hash.data()) == 0,
      "GnuTLS does not make SHA-256");
  std::copy_n(hash.begin(), mark_.size(), mark_.begin());
}

HandshakeTag tag_of(const HandshakeKey& key, const HandshakeFields& fields,
                    const BoundChannel& channel) noexcept {
  TagInput input;
  input.add_bytes(std::as_bytes(std::span(handshake_label)));
  input.add(handshake_version);
  if (!PLANT(handshake_tag_without_role)) {
    input.add(fields.kind);
    input.add(speaker_of(fields.kind));
  }
  if (!PLANT(handshake_tag_without_ids)) {
    input.add(fields.dialer);
    input.add(fields.acceptor);
  }
  input.add(fields.reason);
  if (!PLANT(handshake_tag_without_cluster)) input.add(fields.cluster);
  if (!PLANT(handshake_tag_without_plane)) input.add(fields.plane);
  input.add(fields.unix_ns);
  input.add(fields.nonces.dialer);
  input.add(fields.nonces.acceptor);
  if (!PLANT(handshake_tag_without_channel)) {
    input.add(static_cast<std::uint8_t>(channel.binding().size()));
    input.add_bytes(channel.binding());
  }
  HandshakeTag tag{};
  TWINWIRE_CHECK(::gnutls_hmac_fast(GNUTLS_MAC_SHA256, key.bytes.data(), key.bytes.size(),
                                    input.data(), input.size(), tag.data()) == 0,
                 "GnuTLS does not make HMAC-SHA-256");
  return tag;
}

bool tag_matches(const HandshakeKey& key, const HandshakeFields& fields,
                 const BoundChannel& channel) noexcept {
  const HandshakeTag right = tag_of(key, fields, channel);
  const std::size_t compared = PLANT(handshake_tag_cut_short) ? right.size() / 2 : right.size();
  return ::gnutls_memcmp(right.data(), fields.tag.data(), compared) == 0;
}

}  // namespace twinwire::bus
