// SPDX-License-Identifier: Apache-2.0
// ShardMail: how the buses of one node's shards reach each other; one for each shard. What the bus asks of the world
// here, as a Network is what transports ask. Implementations: sim/shard_mail.h, real/shard_mail.h.
#pragma once

#include <cstdint>
#include <memory>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/net/byte_stream.h"
#include "transport/wire/message.h"

namespace twinwire::bus {

// What stands on the outside: 8 bytes, which any lane can carry by value.
struct Envelope {
  enum class Kind : std::uint8_t {
    to_client,        // number: its sequence
    to_replica,       // number: its id, and above that the token of the claim that was seen
    client_refused,   // given back to the shard that sent it; why: the error
    replica_refused,  // the same
    shut_down,        // no message with it: everybody is to
    phase,            // nor here: number: how far the sender's shutdown has come
  };
  static constexpr std::uint64_t number_max = (std::uint64_t{1} << 48) - 1;

  std::uint64_t number : 48 = 0;
  std::uint64_t kind : 8 = 0;
  std::uint64_t why : 8 = 0;
};
static_assert(sizeof(Envelope) == 8);

// What comes to a shard, on its thread. Neither call suspends.
class MailReceiver {
 public:
  virtual void on_mail(std::uint16_t from, const Envelope& envelope, Message message) noexcept = 0;
  // A connection that another shard accepted, and this one is to serve.
  virtual void on_stream(std::uint16_t from, std::unique_ptr<ByteStream> stream) noexcept = 0;
  // One that could not be had here: it is closed, and its peer reads a reset.
  virtual void on_stream_lost(std::uint16_t from, Error why) noexcept = 0;

 protected:
  ~MailReceiver() = default;
};

class ShardMail {
 public:
  // Which shard this is, and how many the node has.
  virtual std::uint16_t shard() const noexcept = 0;
  virtual std::uint16_t shards() const noexcept = 0;

  // Borrowed. nullptr: what comes from now on is dropped; a stream is reset.
  virtual void receive_by(MailReceiver* receiver) noexcept = 0;

  // Sends `message`, or nothing but the envelope where that is empty, to shard `to`.
  //
  // Promise    Success: `message` is empty; it comes there once, behind what this shard sent there before, unless that
  //            shard receives nothing any more: then it is dropped. Its bytes are not copied; they go home when the
  //            last reference there is dropped. Failure: `message` is whole.
  // Suspends   Never.
  // Errors     backpressure (so much is on its way there, or held there) · shutting_down (that shard has ended) ·
  //            no_resources
  virtual Result<void> send(std::uint16_t to, const Envelope& envelope,
                            Message& message) noexcept = 0;

  // Has shard `to` go on with a connection that was accepted here.
  //
  // Promise    Success: `stream` is gone. Failure: it is here still, as it was; or, where it cannot be had back, gone
  //            and dropped.
  // Suspends   Until the network has let go of it.
  // Errors     unsupported (a stream that cannot leave its shard) · backpressure · shutting_down · no_resources ·
  //            broken · timed_out · canceled
  virtual Result<void> hand_over(std::uint16_t to, std::unique_ptr<ByteStream>& stream,
                                 Deadline deadline) = 0;

 protected:
  ~ShardMail() = default;
};

}  // namespace twinwire::bus
