// SPDX-License-Identifier: Apache-2.0
// HandshakeCore: one side of one handshake as a sans-IO state machine. Frames in, frames out; the time, the nonce and
// what names the channel are handed in. It never suspends and allocates nothing.
//
//   HandshakeCore core(HandshakeRole::dialer, options, binding, nonce, clock.unix_now_ns());
//   while (core.state() == HandshakeCore::State::talking) {
//     if (auto frame = core.take_output()) ...;   // to the peer
//     core.receive(bytes, clock.unix_now_ns());   // from the peer
//   }
//
// Of every message first its format is checked, then its tag, then its freshness, then its nonces; what fails is not
// looked at any further, and leaves no trace but a count. There is no second chance: one bad message ends a handshake.
#pragma once

#include <optional>
#include <span>

#include "transport/bus/handshake/handshake_frame.h"
#include "transport/bus/handshake/handshake_tag.h"

namespace twinwire::bus {

class HandshakeCore {
 public:
  enum class State : std::uint8_t {
    talking,
    verified,  // both sides have proven who they are
    rejected,  // this side has refused the peer, or was told that the peer refuses it
  };

  // A dialer's first message is then in the output. `options`, borrowed, and their memory outlive this.
  // An acceptor, or dialer, that needs a channel's name and has none is rejected from the beginning.
  // Requires   options.memory; a dialer's peer_id, which is not its own; 1 to 8 bytes of plane; at most 64 of binding;
  //            a nonce that was never used before, from the network's Random. Checked, but for the nonce.
  HandshakeCore(HandshakeRole role, const HandshakeOptions& options,
                std::span<const std::byte> channel_binding, const HandshakeNonce& nonce,
                std::int64_t unix_now_ns) noexcept;
  HandshakeCore(const HandshakeCore&) = delete;
  HandshakeCore& operator=(const HandshakeCore&) = delete;

  // The peer's next frame. Requires state() == talking, and the output taken.
  void receive(std::span<const std::byte> frame, std::int64_t unix_now_ns) noexcept;

  // What is to be sent to the peer now, whatever the state: a side that is done may have a last word.
  std::optional<HandshakeFrame> take_output() noexcept;

  State state() const noexcept { return state_; }
  // Requires state() == verified.
  ReplicaPeer peer() const noexcept;

  // --- For the log ---------------------------------------------------------------------------------------------------

  // Why, where it was rejected; and what the peer gave as its reason, where that refused.
  Rejection rejection() const noexcept { return rejection_; }
  Rejection told() const noexcept { return told_; }
  // Whom this side takes the peer for, and the nonces so far. Not to be believed before peer_proven().
  std::uint8_t claimed_peer() const noexcept { return peer_id_; }
  const HandshakeSession& session() const noexcept { return nonces_; }
  // The peer has answered this side's nonce with a key. A dialer knows that one message before it is verified itself.
  bool peer_proven() const noexcept { return peer_proven_; }

 private:
  bool is_dialer() const noexcept { return role_ == HandshakeRole::dialer; }
  std::uint8_t dialer_id() const noexcept { return is_dialer() ? options_->id : peer_id_; }
  std::uint8_t acceptor_id() const noexcept { return is_dialer() ? peer_id_ : options_->id; }

  void begin(const HandshakeNonce& nonce, std::int64_t unix_now_ns) noexcept;
  Rejection check_format(std::span<const std::byte> frame, HandshakeFields& said) const noexcept;
  Rejection check_tag(const HandshakeFields& said, std::int64_t now) noexcept;
  bool is_fresh(const HandshakeFields& said, std::int64_t now) const noexcept;
  bool nonces_fit(const HandshakeFields& said, std::int64_t now) const noexcept;
  void answer(HandshakeKind said, const HandshakeFields& fields, std::int64_t now) noexcept;
  void say(HandshakeKind kind, std::int64_t now, Rejection reason = Rejection::none) noexcept;
  void count(Rejection reason) noexcept;
  void reject(Rejection reason) noexcept;
  void verify() noexcept;
  const HandshakeKey* live(const HandshakeKey& key, std::int64_t now) const noexcept;

  HandshakeRole role_;
  const HandshakeOptions* options_;
  BoundChannel channel_;
  PlaneLabel plane_;
  HandshakeSession nonces_;  // this side's own; the peer's once it was believed
  std::uint8_t peer_id_ = 0;
  const HandshakeKey* key_ = nullptr;  // that this handshake uses, on both sides
  State state_ = State::talking;
  HandshakeKind next_;                   // what the peer has to say
  Rejection refusal_ = Rejection::none;  // what a dialer will be told once it has proven to be live
  Rejection rejection_ = Rejection::none;
  Rejection told_ = Rejection::none;
  std::int64_t hello_ns_ = 0;  // when the dialer made its hello
  bool peer_proven_ = false;
  bool counted_ = false;
  std::optional<HandshakeFrame> output_;
};

}  // namespace twinwire::bus
