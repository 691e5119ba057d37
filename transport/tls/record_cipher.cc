// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/record_cipher.h"

#include <cstring>

#include "transport/base/plant.h"

namespace twinwire {
namespace {

constexpr unsigned char application_data = 23;
constexpr std::size_t tag_size = 16;
static_assert(RecordCipher::tail == 1 + tag_size);
constexpr std::size_t sealed_max = 16 * 1024 + 256;  // RFC 8446, section 5.2

// Far from where the count would wrap; what happens there is GnuTLS's business.
constexpr std::uint64_t records_max = std::uint64_t{1} << 48;

bool is_gcm(gnutls_cipher_algorithm_t cipher) noexcept {
  return cipher == GNUTLS_CIPHER_AES_128_GCM || cipher == GNUTLS_CIPHER_AES_256_GCM;
}

unsigned char* bytes_of(std::byte* at) noexcept { return reinterpret_cast<unsigned char*>(at); }
const unsigned char* bytes_of(const std::byte* at) noexcept {
  return reinterpret_cast<const unsigned char*>(at);
}

}  // namespace

RecordCipher::~RecordCipher() {
  if (cipher_ != nullptr) ::gnutls_aead_cipher_deinit(cipher_);
}

bool RecordCipher::peer_changed_keys(gnutls_session_t session) noexcept {
  gnutls_datum_t iv{};
  std::array<unsigned char, 8> number{};
  if (::gnutls_record_get_state(session, 1, nullptr, &iv, nullptr, number.data()) < 0) return true;
  if (iv.size != nonce_size) return true;
  if (std::memcmp(peer_iv_.data(), iv.data, nonce_size) == 0) return false;
  std::memcpy(peer_iv_.data(), iv.data, nonce_size);
  return true;
}

bool RecordCipher::begin(gnutls_session_t session) noexcept {
  if (::gnutls_protocol_get_version(session) != GNUTLS_TLS1_3) return false;
  const gnutls_cipher_algorithm_t algorithm = ::gnutls_cipher_get(session);
  if (!is_gcm(algorithm)) return false;
  if (direction_ == Direction::write && peer_changed_keys(session)) return false;
  gnutls_datum_t iv{};
  gnutls_datum_t key{};
  std::array<unsigned char, 8> number{};
  const unsigned read = direction_ == Direction::read ? 1 : 0;
  if (::gnutls_record_get_state(session, read, nullptr, &iv, &key, number.data()) < 0) return false;
  if (iv.size != nonce_size) return false;
  if (cipher_ == nullptr || std::memcmp(iv_.data(), iv.data, nonce_size) != 0) {
    if (cipher_ != nullptr) ::gnutls_aead_cipher_deinit(cipher_);
    cipher_ = nullptr;
    if (::gnutls_aead_cipher_init(&cipher_, algorithm, &key) < 0) return false;
    std::memcpy(iv_.data(), iv.data, nonce_size);
  }
  number_ = 0;
  for (const unsigned char byte : number) number_ = number_ << 8 | byte;
  return number_ < records_max;
}

void RecordCipher::end(gnutls_session_t session) noexcept {
  if (PLANT(record_number_not_given_back) && direction_ == Direction::write) return;
  std::array<unsigned char, 8> number;
  for (std::size_t i = 0; i < 8; ++i)
    number[7 - i] = static_cast<unsigned char>(number_ >> (8 * i));
  (void)::gnutls_record_set_state(session, direction_ == Direction::read ? 1 : 0, number.data());
}

// RFC 8446, section 5.3.
RecordCipher::Nonce RecordCipher::nonce() const noexcept {
  Nonce nonce = iv_;
  for (std::size_t i = 0; i < 8; ++i)
    nonce[nonce_size - 1 - i] ^= static_cast<unsigned char>(number_ >> (8 * i));
  return nonce;
}

bool RecordCipher::seal(std::byte* record, std::size_t size) noexcept {
  const std::size_t sealed = size + tail;
  const std::array<unsigned char, head> header = {application_data, 3, 3,
                                                  static_cast<unsigned char>(sealed >> 8),
                                                  static_cast<unsigned char>(sealed)};
  unsigned char* const plaintext = bytes_of(record + head);
  std::memcpy(record, header.data(), head);
  plaintext[size] = application_data;
  const Nonce once = nonce();
  ++number_;  // used up, whatever comes of it
  std::size_t written = sealed;
  return ::gnutls_aead_cipher_encrypt(cipher_, once.data(), once.size(), header.data(), head,
                                      tag_size, plaintext, size + 1, plaintext, &written) == 0 &&
         written == sealed;
}

std::optional<std::size_t> RecordCipher::record_at(std::span<const std::byte> input) noexcept {
  if (input.size() < head + tail) return std::nullopt;
  const unsigned char* header = bytes_of(input.data());
  if (header[0] != application_data || header[1] != 3 || header[2] != 3) return std::nullopt;
  const std::size_t sealed = std::size_t{header[3]} << 8 | header[4];
  if (sealed < tail || sealed > sealed_max || input.size() < head + sealed) return std::nullopt;
  return head + sealed;
}

std::optional<std::size_t> RecordCipher::open(std::span<const std::byte> record,
                                              std::byte* into) noexcept {
  const Nonce once = nonce();
  const unsigned char* header = bytes_of(record.data());
  unsigned char* plaintext = bytes_of(into);
  std::size_t size = record.size() - head - tag_size;
  if (::gnutls_aead_cipher_decrypt(cipher_, once.data(), once.size(), header, head, tag_size,
                                   header + head, record.size() - head, plaintext, &size) < 0)
    return std::nullopt;
  while (size > 0 && plaintext[size - 1] == 0) --size;  // padding
  // Plaintext beyond what a record may hold is a violation, which GnuTLS tells the peer.
  if (size == 0 || plaintext[size - 1] != application_data || size - 1 > 16 * 1024)
    return std::nullopt;
  ++number_;
  return size - 1;
}

}  // namespace twinwire
