// SPDX-License-Identifier: Apache-2.0
// RecordCipher: one direction of the records of application data of a TLS 1.3 session with AES-GCM, without copies.
// GnuTLS makes and opens every other record; both take turns with one key and one count of records, which are GnuTLS's.
//
//   if (cipher.begin(session)) {          // else it is GnuTLS's turn
//     cipher.seal(record, size);          // or open(): any number of them
//     cipher.end(session);                // always, before GnuTLS is called again
//   }
//
// A number that is used twice gives the key away: it is GnuTLS's between end() and begin(), and counts up in between.
// Why: on its way through GnuTLS a record is copied twice more in either direction, and read twice to be encrypted.
#pragma once

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace twinwire {

class RecordCipher {
 public:
  enum class Direction : std::uint8_t { write, read };
  static constexpr std::size_t head = 5;       // before the plaintext: type, version, length
  static constexpr std::size_t tail = 1 + 16;  // behind it: the true type, and the tag

  explicit RecordCipher(Direction direction) noexcept : direction_(direction) {}
  RecordCipher(const RecordCipher&) = delete;
  RecordCipher& operator=(const RecordCipher&) = delete;
  ~RecordCipher();

  // Takes over from `session` after its handshake, with the keys that it has now. False: GnuTLS has to do it, because
  // version or cipher are others; or, to write, because the peer has changed its keys and may wait for GnuTLS to change
  // ours.
  bool begin(gnutls_session_t session) noexcept;
  // Gives back to `session`, which goes on with the next number.
  void end(gnutls_session_t session) noexcept;

  // `record`: head bytes of room, `size` bytes of plaintext, tail bytes of room. False: it failed, and is no record.
  bool seal(std::byte* record, std::size_t size) noexcept;

  // The size of the whole record at the front of `input`; nothing where there is none that could be of data.
  static std::optional<std::size_t> record_at(std::span<const std::byte> input) noexcept;
  // Decrypts a whole record into `into`, which has room for all of it but head and tag; returns the plaintext's size.
  // Nothing where it is no data, or is damaged: then it counts as not seen, and GnuTLS is to say what it is.
  std::optional<std::size_t> open(std::span<const std::byte> record, std::byte* into) noexcept;

 private:
  static constexpr std::size_t nonce_size = 12;
  using Nonce = std::array<unsigned char, nonce_size>;

  bool peer_changed_keys(gnutls_session_t session) noexcept;
  Nonce nonce() const noexcept;

  Direction direction_;
  gnutls_aead_cipher_hd_t cipher_ = nullptr;
  Nonce iv_{};                // of the keys that cipher_ has: it changes when they do
  Nonce peer_iv_{};           // of the peer's keys when GnuTLS sent last
  std::uint64_t number_ = 0;  // of the next record
};

}  // namespace twinwire
