// SPDX-License-Identifier: Apache-2.0
// HandshakeAttacker: who stands between two replicas, sees all that they say, and may say what it likes to either. It
// has no key of theirs. Over TLS it has certificates that both trust, and so ends the encryption on both sides.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "props/laws/env.h"
#include "props/laws/handshake_side.h"
#include "transport/seam.h"

namespace twinwire::laws {

using bus::BoundChannel;
using bus::ChannelMark;
using bus::HandshakeFields;
using bus::HandshakeFrame;
using bus::HandshakeKey;
using bus::HandshakeKind;
using bus::PlaneLabel;
using bus::Rejection;
namespace handshake_offset = bus::handshake_offset;

enum class Trick : std::uint8_t {
  relay,      // pass everything on: what any network does
  flip,       // ... with one bit changed
  deface,     // ... of the version, of what must be zero, or at the end
  reflect,    // give back to a dialer what it said
  turn,       // ... as if the other side had said it
  rename,     // make the dialer another replica, and back
  recluster,  // make it one of the same cluster
  replane,    // make the connection one for the same purpose
  splice,     // show each side the channel that it knows
  impostor,   // be the acceptor, with another key
  stranger,   // be a dialer, with another key
  repeat,     // pass everything on, then say what the dialer said once more
  steal,      // keep the dialer's proof back, and show it elsewhere
  hold,       // keep the first message back until it is old
  cut,        // pass the first message on, and no other
  forge_first,  // before the first message, one with the same nonce and a wrong tag; then pass everything on
};
inline constexpr std::size_t trick_count = 16;

template <Transport T>
class HandshakeAttacker {
 public:
  HandshakeAttacker(Env& env, Network& network, HandshakeLaws& laws, const Address& acceptor,
                    Duration freshness, U128 cluster, std::string_view plane)
      : env_(&env),
        network_(&network),
        laws_(&laws),
        acceptor_(acceptor),
        freshness_(freshness),
        cluster_(cluster),
        plane_(bus::plane_label(plane)) {}

  // Does that to whoever dialed.
  void meet(typename T::Conn conn, Trick trick) {
    const auto binding = conn.channel_binding();
    Line dialer(HandshakeRole::dialer, binding, std::move(conn));
    switch (trick) {
      case Trick::relay: return pass_on(dialer);
      case Trick::flip: return flip(dialer, env_->draw(header_size * 8));
      case Trick::deface: return flip(dialer, singled_out());
      case Trick::reflect: return give_back(dialer, false);
      case Trick::turn: return give_back(dialer, true);
      case Trick::rename: return rename(dialer);
      case Trick::recluster: return replace(dialer, offset::cluster, cluster_);
      case Trick::replane: return replace(dialer, handshake_offset::plane, plane_);
      case Trick::splice: return splice(dialer);
      case Trick::impostor: return pretend_to_accept(dialer);
      case Trick::stranger: return pretend_to_dial(dialer);
      case Trick::repeat: return repeat(dialer);
      case Trick::steal: return steal(dialer);
      case Trick::hold: return hold(dialer);
      case Trick::cut: return cut(dialer);
      case Trick::forge_first: return forge_first(dialer);
    }
  }

 private:
  static constexpr Duration patience = std::chrono::seconds(5);
  static constexpr std::uint8_t alias = 4;  // a replica that is nowhere

  // A connection with one of the two, and what came over it.
  struct Line {
    Line(HandshakeRole r, const Result<ChannelBinding>& b, typename T::Conn conn)
        : Line(r, b, split(std::move(conn))) {}
    Line(HandshakeRole r, const Result<ChannelBinding>& b,
         std::pair<typename T::Reader, typename T::Writer> halves)
        : peer(r), binding(b), reader(std::move(halves.first)), writer(std::move(halves.second)) {}

    HandshakeRole peer;
    Result<ChannelBinding> binding;
    typename T::Reader reader;
    typename T::Writer writer;
    bool proof_said = false;
  };
  using Said = std::optional<HandshakeFrame>;

  std::optional<Line> call() {
    auto conn = T::dial(*network_, acceptor_, env_->dial_options<T>(), soon());
    if (!conn) return std::nullopt;
    const auto binding = conn->channel_binding();
    return Line(HandshakeRole::acceptor, binding, std::move(*conn));
  }
  Deadline soon() { return network_->clock().in(patience); }

  // Nothing, once the line is dead.
  Said hear(Line& line) {
    auto message = line.reader.read_message(default_max_message, soon());
    if (!message || message->size() != header_size) return std::nullopt;
    HandshakeFrame frame{};
    std::ranges::copy(message->bytes(), frame.begin());
    if (line.peer == HandshakeRole::acceptor && kind_of(frame) == HandshakeKind::refusal)
      env_->judge().check(line.proof_said, "handshake_silent",
                          "who has proven nothing was told why it is refused");
    return frame;
  }
  bool say(Line& line, const HandshakeFrame& frame) {
    auto message = bus::message_of(frame, network_->buffers(), false);
    Batch batch;
    if (!message || !batch.reserve(1)) return false;
    line.proof_said = line.proof_said || kind_of(frame) == HandshakeKind::proof;
    batch.push(std::move(*message));
    return line.writer.send_batch(batch, soon()).has_value();
  }

  static HandshakeKind kind_of(const HandshakeFrame& frame) {
    return static_cast<HandshakeKind>(load<std::uint8_t>(frame.data() + handshake_offset::kind));
  }
  static HandshakeNonce dialer_nonce(const HandshakeFrame& frame) {
    return load<HandshakeNonce>(frame.data() + handshake_offset::dialer_nonce);
  }

  // Passes on what is said in turn, from the nth message on, whose first is `first` where it was heard already.
  // `edit(nth, frame)` may change each, and says whether it is to be passed on.
  template <class Edit>
  void talk(Line& dialer, Line& acceptor, Said first, Edit&& edit) {
    for (std::size_t nth = 0; nth < 4; ++nth) {
      Line& from = nth % 2 == 0 ? dialer : acceptor;
      Said frame = nth == 0 && first ? first : hear(from);
      if (!frame || !edit(nth, *frame)) return;
      if (!say(nth % 2 == 0 ? acceptor : dialer, *frame)) return;
    }
    // What they do with their connection afterwards; here: end it.
    (void)dialer.reader.read_message(default_max_message, soon());
  }
  template <class Edit>
  void talk(Line& dialer, Edit&& edit) {
    if (auto acceptor = call()) talk(dialer, *acceptor, std::nullopt, edit);
  }

  void pass_on(Line& dialer, Said first = {}) {
    if (auto acceptor = call())
      talk(dialer, *acceptor, first, [](std::size_t, HandshakeFrame&) { return true; });
  }

  void flip(Line& dialer, std::size_t bit) {
    const std::size_t which = env_->draw(4);
    talk(dialer, [&](std::size_t nth, HandshakeFrame& frame) {
      if (nth != which) return true;
      const HandshakeRole hearer = nth % 2 == 0 ? HandshakeRole::acceptor : HandshakeRole::dialer;
      laws_->altered(hearer, dialer_nonce(frame));
      frame[bit / 8] ^= std::byte{1} << (bit % 8);
      laws_->altered(hearer, dialer_nonce(frame));
      return true;
    });
  }

  // Of bytes whose check is of its own: few, so that each is met.
  std::size_t singled_out() {
    constexpr std::size_t bytes[] = {handshake_offset::version, handshake_offset::reserved,
                                     header_size - 1};
    const std::size_t byte = bytes[env_->draw(std::size(bytes))];
    return byte * 8 + env_->draw(8);
  }

  void give_back(Line& dialer, bool turned) {
    for (const HandshakeKind as : {HandshakeKind::challenge, HandshakeKind::welcome}) {
      Said frame = hear(dialer);
      if (!frame) return;
      if (turned) {
        store(frame->data() + offset::command, Command::pong);
        (*frame)[offset::replica] = (*frame)[handshake_offset::acceptor];
        store(frame->data() + handshake_offset::kind, as);
      }
      if (!say(dialer, *frame)) return;
    }
    (void)hear(dialer);
  }

  void rename(Line& dialer) {
    std::byte id{};
    talk(dialer, [&](std::size_t nth, HandshakeFrame& frame) {
      if (nth == 0) id = frame[handshake_offset::dialer];
      const std::byte other = nth % 2 == 0 ? std::byte{alias} : id;
      frame[handshake_offset::dialer] = other;
      if (nth % 2 == 0) frame[offset::replica] = other;
      return true;
    });
  }

  // Each side hears that field as it says it itself.
  template <class Field>
  void replace(Line& dialer, std::size_t at, const Field& acceptors) {
    Field dialers{};
    talk(dialer, [&](std::size_t nth, HandshakeFrame& frame) {
      if (nth == 0) dialers = load<Field>(frame.data() + at);
      store(frame.data() + at, nth % 2 == 0 ? acceptors : dialers);
      return true;
    });
  }

  void splice(Line& dialer) {
    auto acceptor = call();
    if (!acceptor) return;
    const ChannelMark marks[] = {BoundChannel(bus::bytes_of(acceptor->binding)).mark(),
                                 BoundChannel(bus::bytes_of(dialer.binding)).mark()};
    talk(dialer, *acceptor, std::nullopt, [&](std::size_t nth, HandshakeFrame& frame) {
      store(frame.data() + handshake_offset::channel, marks[nth % 2]);
      return true;
    });
  }

  static HandshakeKey own_key() {
    HandshakeKey key;
    key.bytes.fill(std::byte{0x66});
    return key;
  }
  void say_with_own_key(Line& line, HandshakeFields fields) {
    fields.tag = bus::tag_of(own_key(), fields, BoundChannel(bus::bytes_of(line.binding)));
    (void)say(line, encode(fields));
  }

  void pretend_to_accept(Line& dialer) {
    for (const HandshakeKind as : {HandshakeKind::challenge, HandshakeKind::welcome}) {
      const Said frame = hear(dialer);
      HandshakeFields fields;
      if (!frame || decode(*frame, false, fields) != Rejection::none) return;
      fields.kind = as;
      if (as == HandshakeKind::challenge)
        fields.nonces.acceptor = bus::draw_nonce(network_->random());
      say_with_own_key(dialer, fields);
    }
    (void)hear(dialer);
  }

  void pretend_to_dial(Line& dialer) {
    const Said frame = hear(dialer);
    auto acceptor = call();
    HandshakeFields fields;
    if (!frame || !acceptor || decode(*frame, false, fields) != Rejection::none) return;
    fields.channel = BoundChannel(bus::bytes_of(acceptor->binding)).mark();
    fields.nonces.dialer = bus::draw_nonce(network_->random());
    say_with_own_key(*acceptor, fields);
    const Said challenge = hear(*acceptor);
    if (!challenge || decode(*challenge, false, fields) != Rejection::none) return;
    fields.kind = HandshakeKind::proof;
    say_with_own_key(*acceptor, fields);
    (void)hear(*acceptor);
  }

  // What a dialer said, to the acceptor over a new connection.
  void say_again(const std::array<Said, 2>& said) {
    auto acceptor = call();
    if (!acceptor || !said[0] || !say(*acceptor, *said[0])) return;
    const bool was_finished = laws_->finished(dialer_nonce(*said[0]));
    if (!hear(*acceptor)) return;
    env_->judge().check(!was_finished, "handshake_replay",
                        "the beginning of a handshake that was finished was answered once more");
    if (said[1] && say(*acceptor, *said[1])) (void)hear(*acceptor);
  }

  void repeat(Line& dialer) {
    std::array<Said, 2> said;
    talk(dialer, [&](std::size_t nth, HandshakeFrame& frame) {
      if (nth % 2 == 0) said[nth / 2] = frame;
      return true;
    });
    say_again(said);
  }

  void steal(Line& dialer) {
    std::array<Said, 2> said;
    talk(dialer, [&](std::size_t nth, HandshakeFrame& frame) {
      if (nth % 2 == 0) said[nth / 2] = frame;
      return nth < 2;
    });
    say_again(said);
  }

  void hold(Line& dialer) {
    const Said first = hear(dialer);
    if (!first) return;
    laws_->late(dialer_nonce(*first));
    if (!network_->scheduler().sleep_for(freshness_ + std::chrono::milliseconds(1))) return;
    pass_on(dialer, first);
  }

  void cut(Line& dialer) {
    talk(dialer, [&](std::size_t nth, HandshakeFrame&) { return nth == 0; });
  }

  void forge_first(Line& dialer) {
    const Said first = hear(dialer);
    if (!first) return;
    if (auto elsewhere = call()) {
      HandshakeFrame forged = *first;
      forged.back() ^= std::byte{1};
      if (say(*elsewhere, forged)) (void)hear(*elsewhere);
    }
    pass_on(dialer, first);
  }

  Env* env_;
  Network* network_;
  HandshakeLaws* laws_;
  Address acceptor_;
  Duration freshness_;
  U128 cluster_;
  PlaneLabel plane_;
};

}  // namespace twinwire::laws
