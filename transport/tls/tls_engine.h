// SPDX-License-Identifier: Apache-2.0
// TlsEngine: one TLS session as a sans-IO state machine. Bytes in, bytes out; no stream, no wait, never suspends, so
// any fiber of the connection may call it.
//
//   engine->feed(slice);            // ciphertext of the peer
//   engine->handshake();            // until it returns true
//   engine->seal(pieces, max);      // plaintext to ciphertext, at the end of output()
//   engine->open(plaintext);        // everything in the input that is whole
//   engine->output()                // to be written to the stream in this order, whoever does it
//
// Each call draws entropy and reads the time on behalf of the Random that it was given (EntropyScope).
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "transport/base/error.h"
#include "transport/net/address.h"
#include "transport/net/byte_stream.h"
#include "transport/net/random.h"
#include "transport/tls/block_queue.h"
#include "transport/tls/record_cipher.h"
#include "transport/tls/tls_config.h"

namespace twinwire {

class TlsSession;  // GnuTLS is in there

class TlsEngine {
 public:
  using Role = TlsRole;

  // `peer`: of the stream; a client expects it where the configuration names nobody, and caches sessions under it.
  // Errors     handshake (no credentials, or none that such a side can use) · no_resources
  static Result<std::unique_ptr<TlsEngine>> create(Role role, const TlsConfig& config,
                                                   const Address& peer, BufferPool& pool,
                                                   Random& random);
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;
  ~TlsEngine();

  // Hands over the next bytes of the stream. Requires that the input is empty.
  void feed(Slice bytes) noexcept;
  bool has_input() const noexcept { return !input_.empty(); }

  // Goes on with the handshake. True: done; false: it needs more input.
  // Errors     handshake (an alert for the peer may be in the output) · no_resources
  Result<bool> handshake() noexcept;

  // Encrypts the first bytes of the pieces, at most `max`, in records as full as they can be; returns how many.
  // Errors     broken (this side has said good-bye, or the session failed) · no_resources; the session is then unusable
  Result<std::size_t> seal(std::span<const iovec> pieces, std::size_t max) noexcept;

  // Decrypts what is whole in the input; the input is then empty.
  // Errors     broken (an alert, or a peer that violates the protocol: then one for it is in the output) ·
  //            no_resources (nothing is lost: call again)
  Result<void> open(BlockQueue& plaintext) noexcept;

  // The peer has said good-bye: no more plaintext will come.
  bool peer_ended() const noexcept { return peer_ended_; }
#ifdef TWINWIRE_PLANTS
  void pretend_peer_ended() noexcept { peer_ended_ = true; }
#endif

  // New keys for what this side sends; the peer does the same for its direction. TLS 1.2: does nothing. Not more than
  // eight times in a second: GnuTLS as a peer takes that for an attack.
  Result<void> update_keys() noexcept;
  bool wants_new_keys() const noexcept {
    return config_.key_update_after != 0 && sealed_ >= config_.key_update_after;
  }

  // close_notify, once.
  Result<void> bye() noexcept;

  BlockQueue& output() noexcept { return output_; }

  // --- After the handshake -----------------------------------------------------------------------------------------

  std::string_view alpn() const noexcept { return alpn_; }
  bool resumed() const noexcept { return resumed_; }
  // "TLS1.3 AES-128-GCM"; of a failed handshake, what failed it.
  std::string_view description() const noexcept { return description_; }
  // As ByteStream::channel_binding. The same whatever became of the session since, key updates included.
  Result<ChannelBinding> channel_binding() noexcept;

 private:
  TlsEngine(Role role, const TlsConfig& config, BufferPool& pool, Random& random);

  Result<void> set_up(const Address& peer);
  void set_up_resumption(const Address& peer);
  Result<bool> handshake_done();
  Errc failed(int code) noexcept;
  Result<std::size_t> seal_in_place(std::span<const iovec> pieces, std::size_t max) noexcept;
  Result<std::size_t> seal_by_library(std::span<const iovec> pieces, std::size_t max) noexcept;
  Result<void> open_in_place(BlockQueue& plaintext) noexcept;
  Result<void> send(const std::byte* bytes, std::size_t size) noexcept;
  void keep_session() noexcept;

  struct Calls;  // what GnuTLS calls back
  friend struct Calls;

  Role role_;
  TlsConfig config_;
  BufferPool* pool_;
  Random* random_;
  std::unique_ptr<TlsSession> session_;
  Slice input_;
  BlockQueue output_;
  RecordCipher sealer_{RecordCipher::Direction::write};
  RecordCipher opener_{RecordCipher::Direction::read};
  std::string cache_key_;
  std::string alpn_;
  std::string description_;
  std::size_t unopened_ = 0;  // bytes that GnuTLS has taken and not yet given as plaintext
  std::uint64_t sealed_ = 0;  // since the last key update
  bool was_fed_ = false;
  bool speaks_tls_ = true;  // so far as its first byte tells
  bool out_of_memory_ = false;
  bool said_bye_ = false;
  bool failed_ = false;
  bool peer_ended_ = false;
  bool resumed_ = false;
  bool ticket_arrived_ = false;
};

}  // namespace twinwire
