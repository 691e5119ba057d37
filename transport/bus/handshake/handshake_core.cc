// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/handshake/handshake_core.h"

#include <utility>

#include "transport/base/check.h"
#include "transport/base/plant.h"

namespace twinwire::bus {

HandshakeCore::HandshakeCore(HandshakeRole role, const HandshakeOptions& options,
                             std::span<const std::byte> channel_binding,
                             const HandshakeNonce& nonce, std::int64_t unix_now_ns) noexcept
    : role_(role),
      options_(&options),
      channel_(channel_binding),
      plane_(plane_label(options.plane)),
      next_(role == HandshakeRole::dialer ? HandshakeKind::challenge : HandshakeKind::hello) {
  TWINWIRE_CHECK(options.memory != nullptr, "a handshake without a memory");
  if (options.channel_needed && channel_binding.empty()) {
    reject(Rejection::wrong_channel);
  } else if (is_dialer()) {
    begin(nonce, unix_now_ns);
  } else {
    nonces_.acceptor = nonce;
  }
}

void HandshakeCore::begin(const HandshakeNonce& nonce, std::int64_t unix_now_ns) noexcept {
  TWINWIRE_CHECK(options_->peer_id && *options_->peer_id != options_->id,
                 "a dialer must know whom it dials, and not dial itself");
  peer_id_ = *options_->peer_id;
  nonces_.dialer = nonce;
  const HandshakeKeys& keys = options_->keys;
  key_ = live(keys.current, unix_now_ns);
  if (key_ == nullptr && keys.other) key_ = live(*keys.other, unix_now_ns);
  if (key_ == nullptr) return reject(Rejection::no_key);
  say(HandshakeKind::hello, unix_now_ns);
}

void HandshakeCore::receive(std::span<const std::byte> frame, std::int64_t unix_now_ns) noexcept {
  TWINWIRE_CHECK(state_ == State::talking && !output_,
                 "a handshake that is over, or has something to say, was given a frame");
  HandshakeFields said;
  if (const Rejection reason = check_format(frame, said); reason != Rejection::none)
    return reject(reason);
  if (PLANT(handshake_nonce_before_tag) && said.kind == HandshakeKind::hello) {
    if (!nonces_fit(said, unix_now_ns)) return reject(Rejection::replay);
    options_->memory->nonces.record(said.dialer, said.nonces.dialer, said.unix_ns, unix_now_ns,
                                    options_->freshness);
  }
  if (const Rejection reason = check_tag(said, unix_now_ns); reason != Rejection::none)
    return reject(reason);
  if (!is_fresh(said, unix_now_ns) && !PLANT(handshake_stale_accepted)) {
    // A dialer whose clock is wrong is told so, but only once it has proven that this is no old message.
    if (said.kind == HandshakeKind::hello)
      refusal_ = Rejection::stale;
    else if (refusal_ != Rejection::stale)
      return reject(Rejection::stale);
  }
  if (!nonces_fit(said, unix_now_ns) &&
      !(PLANT(handshake_nonce_before_tag) && said.kind == HandshakeKind::hello))
    return reject(Rejection::replay);
  // PLANT(handshake_reflection_accepted): whatever comes is taken for what is next.
  const bool own = speaker_of(said.kind) == role_;
  answer(own ? next_ : said.kind, said, unix_now_ns);
}

std::optional<HandshakeFrame> HandshakeCore::take_output() noexcept {
  return std::exchange(output_, std::nullopt);
}

ReplicaPeer HandshakeCore::peer() const noexcept {
  TWINWIRE_CHECK(state_ == State::verified, "nobody was verified");
  return {.id = peer_id_, .by_other_key = key_ != &options_->keys.current, .session = nonces_};
}

Rejection HandshakeCore::check_format(std::span<const std::byte> frame,
                                      HandshakeFields& said) const noexcept {
  if (const Rejection reason = decode(frame, options_->sealed, said); reason != Rejection::none)
    return reason;
  const HandshakeRole speaker = speaker_of(said.kind);
  if (speaker == role_) {
    if (!PLANT(handshake_reflection_accepted)) return Rejection::reflection;
  } else if (said.kind != next_ &&
             !(said.kind == HandshakeKind::refusal && next_ == HandshakeKind::welcome)) {
    return Rejection::unexpected;
  }
  if (said.cluster != options_->cluster) return Rejection::wrong_cluster;
  if (said.plane != plane_) return Rejection::wrong_plane;
  // A replica that both listens and dials could be made to talk to itself.
  const std::uint8_t speaker_id = speaker == HandshakeRole::dialer ? said.dialer : said.acceptor;
  if (speaker_id == options_->id && !PLANT(handshake_reflection_accepted))
    return Rejection::reflection;
  const bool peer_is_known = is_dialer() || next_ != HandshakeKind::hello;
  const std::uint8_t own_id = is_dialer() ? said.dialer : said.acceptor;
  const std::uint8_t other_id = is_dialer() ? said.acceptor : said.dialer;
  if ((own_id != options_->id || (peer_is_known && other_id != peer_id_)) &&
      !PLANT(handshake_ids_unchecked))
    return Rejection::wrong_id;
  if (said.channel != channel_.mark()) return Rejection::wrong_channel;
  return Rejection::none;
}

Rejection HandshakeCore::check_tag(const HandshakeFields& said, std::int64_t now) noexcept {
  if (key_ != nullptr) {
    if (PLANT(handshake_one_way) && is_dialer()) return Rejection::none;
    if (!tag_matches(*key_, said, channel_)) return Rejection::bad_tag;
    return live(*key_, now) != nullptr ? Rejection::none : Rejection::expired_key;
  }
  // The first that an acceptor hears: the dialer chooses the key.
  const HandshakeKeys& keys = options_->keys;
  const HandshakeKey* used = tag_matches(keys.current, said, channel_) ? &keys.current : nullptr;
  if (used == nullptr && keys.other && tag_matches(*keys.other, said, channel_))
    used = &*keys.other;
  if (used == nullptr) return Rejection::bad_tag;
  if (live(*used, now) == nullptr) return Rejection::expired_key;
  key_ = used;
  return Rejection::none;
}

bool HandshakeCore::is_fresh(const HandshakeFields& said, std::int64_t now) const noexcept {
  const TimePoint made{said.unix_ns};
  return made + options_->freshness >= TimePoint{now} &&
         TimePoint{now} + options_->freshness >= made;
}

bool HandshakeCore::nonces_fit(const HandshakeFields& said, std::int64_t now) const noexcept {
  // What was finished is not begun again; and this side's own nonce says that the rest belongs to this handshake.
  if (!is_dialer() && next_ == HandshakeKind::hello)
    return PLANT(handshake_replay_answered) ||
           !options_->memory->nonces.seen(said.dialer, said.nonces.dialer, said.unix_ns, now,
                                          options_->freshness);
  if (PLANT(handshake_nonces_unchecked)) return true;
  if (!is_dialer()) return said.nonces == nonces_;
  return said.nonces.dialer == nonces_.dialer &&
         (next_ == HandshakeKind::challenge || said.nonces.acceptor == nonces_.acceptor);
}

void HandshakeCore::answer(HandshakeKind said, const HandshakeFields& fields,
                           std::int64_t now) noexcept {
  switch (said) {
    case HandshakeKind::hello:
      peer_id_ = fields.dialer;
      nonces_.dialer = fields.nonces.dialer;
      hello_ns_ = fields.unix_ns;
      if (refusal_ == Rejection::none && !options_->admitted[peer_id_])
        refusal_ = Rejection::not_admitted;
      if (refusal_ != Rejection::none) {
        count(refusal_);
        if (PLANT(handshake_told_before_live)) {
          say(HandshakeKind::refusal, now, refusal_);
          return reject(refusal_);
        }
      }
      say(HandshakeKind::challenge, now);
      next_ = HandshakeKind::proof;
      if (PLANT(handshake_early_acceptor)) verify();
      return;
    case HandshakeKind::challenge:
      nonces_.acceptor = fields.nonces.acceptor;
      peer_proven_ = true;
      say(HandshakeKind::proof, now);
      next_ = HandshakeKind::welcome;
      if (PLANT(handshake_early_dialer)) verify();
      return;
    case HandshakeKind::proof:
      // Only now: what nobody has proven to have said is not remembered. Nor is what is stale by itself: times of a
      // clock that is ahead would keep out the same dialer once that is right.
      if (refusal_ != Rejection::stale)
        options_->memory->nonces.record(peer_id_, nonces_.dialer, hello_ns_, now,
                                        options_->freshness);
      peer_proven_ = true;
      if (refusal_ != Rejection::none) {
        say(HandshakeKind::refusal, now, refusal_);
        return reject(refusal_);
      }
      say(HandshakeKind::welcome, now);
      return verify();
    case HandshakeKind::welcome: return verify();
    case HandshakeKind::refusal: told_ = fields.reason; return reject(Rejection::refused_by_peer);
  }
}

void HandshakeCore::say(HandshakeKind kind, std::int64_t now, Rejection reason) noexcept {
  HandshakeFields fields{.kind = kind,
                         .dialer = dialer_id(),
                         .acceptor = acceptor_id(),
                         .reason = reason,
                         .cluster = options_->cluster,
                         .plane = plane_,
                         .unix_ns = now,
                         .nonces = nonces_,
                         .channel = channel_.mark()};
  fields.tag = tag_of(*key_, fields, channel_);
  output_ = encode(fields);
}

void HandshakeCore::count(Rejection reason) noexcept {
  if (!std::exchange(counted_, true)) ++options_->memory->counters[reason];
}

void HandshakeCore::reject(Rejection reason) noexcept {
  count(reason);
  rejection_ = reason;
  state_ = State::rejected;
}

void HandshakeCore::verify() noexcept {
  ++options_->memory->counters.verified;
  state_ = State::verified;
}

const HandshakeKey* HandshakeCore::live(const HandshakeKey& key, std::int64_t now) const noexcept {
  return now < key.expires_unix_ns || PLANT(handshake_old_key_for_ever) ? &key : nullptr;
}

}  // namespace twinwire::bus
