// SPDX-License-Identifier: Apache-2.0
// The handshake against who sees all and says what it likes, by table: each message that was ever said, to each side in
// each state, as it was and as if the other side had said it; sessions that are swapped; channels that are spliced.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "props/bus/handshake_rig.h"

namespace twinwire::bus::handshake_test {
namespace {

namespace at = handshake_offset;

// A message as if it were of that kind, in all that goes with it.
HandshakeFrame as_kind(HandshakeFrame frame, HandshakeKind kind) {
  const bool by_dialer = speaker_of(kind) == HandshakeRole::dialer;
  store(frame.data() + at::kind, kind);
  store(frame.data() + offset::command, by_dialer ? Command::ping : Command::pong);
  frame[offset::replica] = frame[by_dialer ? at::dialer : at::acceptor];
  frame[at::reason] = kind == HandshakeKind::refusal ? std::byte{13} : std::byte{0};
  return frame;
}

// As if those two were the other way round.
HandshakeFrame with_ids_swapped(HandshakeFrame frame) {
  std::swap(frame[at::dialer], frame[at::acceptor]);
  const auto kind = load<HandshakeKind>(frame.data() + at::kind);
  const bool by_dialer = speaker_of(kind) == HandshakeRole::dialer;
  frame[offset::replica] = frame[by_dialer ? at::dialer : at::acceptor];
  return frame;
}

// What an attacker can have heard of two replicas, each of which dials the other.
class HandshakeAttack : public testing::Test {
 protected:
  HandshakeAttack() {
    forward.client.options.peer_id = acceptor_id;
    for (int i = 0; i < 2; ++i) record(forward);
    // One that was cut off before its proof.
    forward.run([](std::size_t nth, HandshakeFrame& frame) {
      if (nth == 2) frame[at::tag] ^= std::byte{1};
    });
    heard.insert(heard.end(), {forward.dialer->said[0], forward.acceptor->said[0]});
    // The other way round; and one that was refused.
    backward.client.options.id = acceptor_id;
    backward.client.options.peer_id = dialer_id;
    backward.server.options.id = dialer_id;
    backward.nonces = 1000;
    record(backward);
    forward.server.options.admitted.reset(dialer_id);
    record(forward);
    forward.server.options.admitted.set(dialer_id);

    const std::size_t plain = heard.size();
    for (std::size_t i = 0; i < plain; ++i) {
      for (int kind = 1; kind <= 5; ++kind)
        heard.push_back(as_kind(heard[i], static_cast<HandshakeKind>(kind)));
      heard.push_back(with_ids_swapped(heard[i]));
    }
  }
  void record(Pair& pair) {
    pair.run();
    heard.insert(heard.end(), pair.dialer->said.begin(), pair.dialer->said.end());
    heard.insert(heard.end(), pair.acceptor->said.begin(), pair.acceptor->said.end());
  }

  Pair forward;
  Pair backward;
  Frames heard;
};

// How far a handshake has come before something else is heard: so many of its messages arrived.
class HandshakeAttackAt : public HandshakeAttack, public testing::WithParamInterface<int> {};

TEST_P(HandshakeAttackAt, nothing_that_was_ever_said_stands_in_for_the_next_message) {
  for (std::size_t which = 0; which < heard.size(); ++which) {
    Pair pair;
    pair.server.memory.nonces = forward.server.memory.nonces;
    pair.nonces = 5000;
    bool replaced = false;
    pair.run([&](std::size_t nth, HandshakeFrame& frame) {
      if (static_cast<int>(nth) != GetParam() || frame == heard[which]) return;
      frame = heard[which];
      replaced = true;
    });
    ASSERT_TRUE(replaced);
    const Side& hearer = GetParam() % 2 == 0 ? *pair.acceptor : *pair.dialer;
    // The beginning of a handshake that never came to its end is answered; no more comes of it.
    EXPECT_NE(hearer.core.state(), State::verified) << which;
    if (GetParam() != 0) {
      EXPECT_EQ(hearer.core.state(), State::rejected) << which;
    }
    EXPECT_FALSE(pair.dialer->verified()) << which;
    // A dialer that says its proof to somebody who cannot read it gives nothing away.
    for (const HandshakeFrame& proof : pair.dialer->said) {
      Side other(HandshakeRole::acceptor, pair.server, 9000 + which);
      if (auto challenge = other.hear(proof)) {
        EXPECT_FALSE(other.hear(pair.dialer->said.back())) << which;
      }
      EXPECT_FALSE(other.verified()) << which;
    }
  }
}

TEST_P(HandshakeAttackAt, what_a_side_has_just_said_itself_is_no_answer) {
  Pair pair;
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (static_cast<int>(nth) != GetParam()) return;
    Side& hearer = nth % 2 == 0 ? *pair.acceptor : *pair.dialer;
    if (!hearer.said.empty()) frame = hearer.said.back();
  });
  if (GetParam() != 0) {
    EXPECT_FALSE(pair.dialer->verified());
    EXPECT_EQ(pair.client.count(Rejection::reflection) + pair.server.count(Rejection::reflection),
              1u);
  }
}

TEST_P(HandshakeAttackAt, what_is_cut_off_is_nothing) {
  for (std::size_t size = 0; size < header_size; ++size) {
    Pair pair;
    std::optional<HandshakeFrame> whole;
    pair.run([&](std::size_t nth, HandshakeFrame& frame) {
      if (static_cast<int>(nth) != GetParam() || whole) return;
      whole = frame;
      Side& hearer = nth % 2 == 0 ? *pair.acceptor : *pair.dialer;
      EXPECT_FALSE(hearer.hear(std::span(frame).first(size)));
      EXPECT_EQ(hearer.core.rejection(), Rejection::bad_format);
    });
    EXPECT_FALSE(pair.dialer->verified()) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Messages, HandshakeAttackAt, testing::Range(0, 4),
                         [](const auto& instance) { return std::to_string(instance.param); });

// Two handshakes at once between the same two replicas; at each step their messages may change places.
TEST(HandshakeSwap, two_sessions_come_to_agree_each_with_the_one_that_it_talked_to) {
  for (int swaps = 0; swaps < 16; ++swaps) {
    Pair pair;
    Side dialers[] = {{HandshakeRole::dialer, pair.client, 1},
                      {HandshakeRole::dialer, pair.client, 2}};
    Side acceptors[] = {{HandshakeRole::acceptor, pair.server, 3},
                        {HandshakeRole::acceptor, pair.server, 4}};
    std::optional<HandshakeFrame> said[] = {dialers[0].said.front(), dialers[1].said.front()};
    for (int step = 0; step < 4; ++step) {
      if ((swaps >> step & 1) != 0) std::swap(said[0], said[1]);
      for (int i = 0; i < 2; ++i) {
        Side& hearer = (step % 2 == 0 ? acceptors : dialers)[i];
        said[i] = said[i] ? hearer.hear(*said[i]) : std::nullopt;
      }
    }
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(dialers[i].verified() || acceptors[i].verified(),
                dialers[i].verified() || dialers[1 - i].verified() || acceptors[i].verified());
      if (!dialers[i].verified()) continue;
      int partners = 0;
      for (const Side& acceptor : acceptors)
        partners += acceptor.verified() && acceptor.core.session() == dialers[i].core.session();
      EXPECT_EQ(partners, 1) << swaps;
    }
    // What is swapped throughout, or not at all, is two connections; anything else is none.
    const bool whole = swaps == 0 || swaps == 15;
    EXPECT_EQ(dialers[0].verified(), whole) << swaps;
    EXPECT_EQ(dialers[1].verified(), whole) << swaps;
    EXPECT_EQ(acceptors[0].verified(), whole || swaps == 7 || swaps == 8) << swaps;
    EXPECT_EQ(pair.client.memory.counters.rejected_in_all() +
                  pair.server.memory.counters.rejected_in_all(),
              whole ? 0u : 2u)
        << swaps;
  }
}

// Somebody ends the encryption in between, shows each side the channel that it knows, and passes the rest on.
TEST(HandshakeSplice, two_channels_are_not_one_whatever_is_shown_of_them) {
  for (int shown = 0; shown < 16; ++shown) {
    Pair pair;
    pair.client.binding = binding_of(1);
    pair.server.binding = binding_of(2);
    const ChannelMark marks[] = {BoundChannel(pair.server.binding).mark(),
                                 BoundChannel(pair.client.binding).mark()};
    pair.run([&](std::size_t nth, HandshakeFrame& frame) {
      if ((shown >> nth & 1) != 0) store(frame.data() + at::channel, marks[nth % 2]);
    });
    EXPECT_FALSE(pair.dialer->verified() || pair.acceptor->verified()) << shown;
    EXPECT_EQ(pair.server.count(Rejection::bad_tag), shown & 1) << shown;
    EXPECT_EQ(pair.server.count(Rejection::wrong_channel), (shown & 1) ^ 1) << shown;
  }
}

// A crowd without a key: honest dialers are verified meanwhile, and nothing piles up.
TEST(HandshakeFlood, a_crowd_without_a_key_keeps_nobody_out) {
  Pair pair;
  Node stranger(dialer_id);
  stranger.options.peer_id = acceptor_id;
  stranger.options.keys.current = key_of(66);
  for (std::uint64_t i = 0; i < 2000; ++i) {
    Side dialer(HandshakeRole::dialer, stranger, 10'000 + i);
    Side acceptor(HandshakeRole::acceptor, pair.server, 20'000 + i);
    EXPECT_FALSE(acceptor.hear(dialer.said.front()));
    if (i % 100 != 0) continue;
    pair.client.now_ns += second_ns / 1000;
    pair.run();
    EXPECT_TRUE(pair.agreed());
    // What was recorded of it, over and over.
    for (std::uint64_t again = 0; again < 50; ++again) {
      Side repeated(HandshakeRole::acceptor, pair.server, 30'000 + 100 * i + again);
      EXPECT_FALSE(repeated.hear(pair.dialer->said.front()));
    }
  }
  EXPECT_EQ(pair.server.count(Rejection::bad_tag), 2000u);
  EXPECT_EQ(pair.server.count(Rejection::replay), 1000u);
  EXPECT_LE(pair.server.memory.nonces.size(), 16u);
}

}  // namespace
}  // namespace twinwire::bus::handshake_test
