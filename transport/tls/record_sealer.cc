// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/record_sealer.h"

#include <cstring>

namespace twinwire {
namespace {

constexpr unsigned char application_data = 23;
constexpr std::size_t tag_size = 16;
static_assert(RecordSealer::tail == 1 + tag_size);

// RFC 8446, section 5.5, ends an AES-GCM key before 2^24.5 full records; keys are changed long before (TlsConfig), and
// where they are not GnuTLS decides.
constexpr std::uint64_t records_max = std::uint64_t{1} << 48;

bool is_gcm(gnutls_cipher_algorithm_t cipher) noexcept {
  return cipher == GNUTLS_CIPHER_AES_128_GCM || cipher == GNUTLS_CIPHER_AES_256_GCM;
}

}  // namespace

RecordSealer::~RecordSealer() {
  if (cipher_ != nullptr) ::gnutls_aead_cipher_deinit(cipher_);
}

bool RecordSealer::begin(gnutls_session_t session) noexcept {
  if (::gnutls_protocol_get_version(session) != GNUTLS_TLS1_3) return false;
  if (!is_gcm(::gnutls_cipher_get(session))) return false;
  gnutls_datum_t iv{};
  gnutls_datum_t key{};
  std::array<unsigned char, 8> number{};
  if (::gnutls_record_get_state(session, 1, nullptr, &iv, nullptr, number.data()) < 0) return false;
  if (iv.size != nonce_size) return false;
  if (std::memcmp(peer_iv_.data(), iv.data, nonce_size) != 0) {
    std::memcpy(peer_iv_.data(), iv.data, nonce_size);
    return false;
  }
  if (::gnutls_record_get_state(session, 0, nullptr, &iv, &key, number.data()) < 0) return false;
  if (iv.size != nonce_size) return false;
  if (cipher_ == nullptr || std::memcmp(iv_.data(), iv.data, nonce_size) != 0) {
    if (!take_key(session, key)) return false;
    std::memcpy(iv_.data(), iv.data, nonce_size);
  }
  number_ = 0;
  for (const unsigned char byte : number) number_ = number_ << 8 | byte;
  return number_ < records_max;
}

bool RecordSealer::take_key(gnutls_session_t session, const gnutls_datum_t& key) noexcept {
  if (cipher_ != nullptr) ::gnutls_aead_cipher_deinit(cipher_);
  cipher_ = nullptr;
  return ::gnutls_aead_cipher_init(&cipher_, ::gnutls_cipher_get(session), &key) == 0;
}

bool RecordSealer::seal(std::byte* record, std::size_t size) noexcept {
  auto* bytes = reinterpret_cast<unsigned char*>(record);
  const std::size_t sealed = size + tail;
  const std::array<unsigned char, head> header = {application_data, 3, 3,
                                                  static_cast<unsigned char>(sealed >> 8),
                                                  static_cast<unsigned char>(sealed)};
  std::memcpy(bytes, header.data(), head);
  bytes[head + size] = application_data;
  Nonce nonce = iv_;
  for (std::size_t i = 0; i < 8; ++i)
    nonce[nonce_size - 1 - i] ^= static_cast<unsigned char>(number_ >> (8 * i));
  std::size_t written = sealed;
  ++number_;  // used up, whatever comes of it
  return ::gnutls_aead_cipher_encrypt(cipher_, nonce.data(), nonce.size(), header.data(), head,
                                      tag_size, bytes + head, size + 1, bytes + head,
                                      &written) == 0 &&
         written == sealed;
}

void RecordSealer::end(gnutls_session_t session) noexcept {
  std::array<unsigned char, 8> number;
  for (std::size_t i = 0; i < 8; ++i) number[7 - i] = static_cast<unsigned char>(number_ >> (8 * i));
  (void)::gnutls_record_set_state(session, 0, number.data());
}

}  // namespace twinwire
