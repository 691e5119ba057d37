// SPDX-License-Identifier: Apache-2.0
// RecordSealer: makes the records of application data of a TLS 1.3 session with AES-GCM, where they will lie. GnuTLS
// makes every other record; both take turns with one key and one count of records, which stay GnuTLS's.
//
//   if (sealer.begin(session)) {        // else GnuTLS has to send
//     sealer.seal(record, size);        // any number of them
//     sealer.end(session);              // always, before GnuTLS is called again: a number used twice gives the key away
//   }
//
// Why: gnutls_record_send() copies each record twice more, and reads it twice to encrypt it.
#pragma once

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace twinwire {

class RecordSealer {
 public:
  static constexpr std::size_t head = 5;       // before the plaintext: type, version, length
  static constexpr std::size_t tail = 1 + 16;  // behind it: the true type, and the tag

  RecordSealer() noexcept = default;
  RecordSealer(const RecordSealer&) = delete;
  RecordSealer& operator=(const RecordSealer&) = delete;
  ~RecordSealer();

  // Takes over from `session` after its handshake, with the keys that it has now. False: GnuTLS has to send, because
  // version or cipher are others, or because the peer has changed its keys and may wait for GnuTLS to change ours.
  bool begin(gnutls_session_t session) noexcept;

  // `record`: head bytes of room, `size` bytes of plaintext, tail bytes of room. False: it failed, and is no record.
  bool seal(std::byte* record, std::size_t size) noexcept;

  // Gives back to `session`, which goes on with the next number.
  void end(gnutls_session_t session) noexcept;

 private:
  static constexpr std::size_t nonce_size = 12;
  using Nonce = std::array<unsigned char, nonce_size>;

  bool take_key(gnutls_session_t session, const gnutls_datum_t& key) noexcept;

  gnutls_aead_cipher_hd_t cipher_ = nullptr;
  Nonce iv_{};       // of the keys that cipher_ has: it changes when they do
  Nonce peer_iv_{};  // of the peer's keys when GnuTLS sent last
  std::uint64_t number_ = 0;  // of the next record
};

}  // namespace twinwire
