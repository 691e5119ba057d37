// SPDX-License-Identifier: Apache-2.0
// TlsCore: a TLS session around a stream, shared by the TlsStream and the fibers that work for it. Private to
// transport/tls/.
//
// Reading: the inbound pump alone reads the stream below and decrypts, also while nobody reads here, until so much
// plaintext waits. So alerts, key updates and the peer's end are seen whatever the user does.
// Writing: ciphertext lies in one queue in the engine's order. Whoever has the write turn flushes from its front: the
// writing fiber, or, for what the engine says on its own, an outbound pump that lives as long as that takes.
#pragma once

#include <memory>
#include <optional>

#include "transport/fiber/wait_queue.h"
#include "transport/net/network.h"
#include "transport/tls/tls_engine.h"

namespace twinwire {

class TlsCore : public std::enable_shared_from_this<TlsCore> {
 public:
  TlsCore(Network& network, std::unique_ptr<ByteStream> lower,
          std::unique_ptr<TlsEngine> engine) noexcept;

  // Runs the handshake in the calling fiber; no pump is up yet.
  // Errors     handshake · broken · timed_out · canceled · no_resources
  Result<void> handshake(Deadline deadline);
  // Errors     no_resources
  Result<void> start_pump();

  // What TlsStream promises, in its words.
  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline);
  Result<void> update_keys(Deadline deadline);
  Result<void> shutdown_write(Deadline deadline);
  Result<void> wait_readable(Deadline deadline);  // until plaintext() or at_end()
  void consumed() noexcept;                       // something was taken from plaintext()
  void abort() noexcept;
  // The stream is gone: the pumps end by themselves.
  void leave() noexcept;

  BlockQueue& plaintext() noexcept { return plaintext_; }
  ByteStream& lower() noexcept { return *lower_; }
  TlsEngine& engine() noexcept { return *engine_; }
  BufferPool& buffers() noexcept { return *buffers_; }

 private:
  // Who closes waits for the end below as well: a reset in its place may have destroyed what the peer had not read.
  bool at_end() const noexcept { return engine_->peer_ended() && (!shut_ || lower_ended_); }
  void fail(Error why) noexcept;
  Error drop_write(Error why) noexcept;

  Result<void> take_turn(Deadline deadline);
  void give_turn() noexcept;
  Result<void> flush(Deadline deadline, std::size_t keep = 0);  // requires the turn
  void flush_in_background();

  void pump_in();
  bool take_in(Slice ciphertext);
  Result<void> wait_for_room();
  void tell_violation();
  void tell_refusal(Deadline deadline);

  Scheduler* scheduler_;
  Scope* background_;
  Clock* clock_;
  BufferPool* buffers_;
  std::unique_ptr<ByteStream> lower_;
  std::unique_ptr<TlsEngine> engine_;
  BlockQueue plaintext_;

  std::optional<Error> failure_;  // the session or the stream below died
  std::optional<Error>
      write_error_;  // a write failed: what is in the output is not to leave any more
  bool aborted_ = false;
  bool left_ = false;
  bool shutting_ = false;     // shutdown_write() was called
  bool shut_ = false;         // ... and has succeeded
  bool lower_ended_ = false;  // the stream below ended, in order
  bool turn_taken_ = false;
  TimePoint next_key_update_;
#ifdef TWINWIRE_PLANTS
  bool lose_next_ = false;  // PLANT(canceled_read_loses_plaintext)
#endif

  WaitQueue turn_;      // fibers that want to write
  WaitQueue readable_;  // the reader
  WaitQueue room_;      // the inbound pump, while much plaintext waits
};

}  // namespace twinwire
