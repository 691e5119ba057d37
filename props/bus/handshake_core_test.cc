// SPDX-License-Identifier: Apache-2.0
// The handshake of replicas by example: what it says, and every reason for which it refuses a peer, with its count.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "props/bus/handshake_rig.h"

namespace twinwire::bus::handshake_test {
namespace {

namespace at = handshake_offset;

// Both were refused or left alone, and what was wrong is counted once, on that side.
void expect_rejected(const Pair& pair, const Node& by, Rejection reason) {
  EXPECT_FALSE(pair.agreed()) << name(reason);
  EXPECT_EQ(by.count(reason), 1u) << name(reason);
  EXPECT_EQ(by.memory.counters.rejected_in_all(), 1u) << name(reason);
  EXPECT_EQ(by.memory.counters.verified, 0u) << name(reason);
}

// The server refuses the first message that it hears, and says nothing.
void expect_silence(const Pair& pair, Rejection reason) {
  expect_rejected(pair, pair.server, reason);
  EXPECT_TRUE(pair.acceptor->said.empty()) << name(reason);
  EXPECT_EQ(pair.server.memory.nonces.size(), 0u) << name(reason);
}

TEST(HandshakeCore, two_replicas_with_one_key_verify_each_other_in_four_messages) {
  Pair pair;
  pair.run();
  EXPECT_TRUE(pair.agreed());
  EXPECT_EQ(pair.dialer->said.size(), 2u);
  EXPECT_EQ(pair.acceptor->said.size(), 2u);
  EXPECT_EQ(pair.client.memory.counters.verified, 1u);
  EXPECT_EQ(pair.server.memory.counters.verified, 1u);
  EXPECT_EQ(pair.client.memory.counters.rejected_in_all(), 0u);
  EXPECT_EQ(pair.server.memory.counters.rejected_in_all(), 0u);
  EXPECT_FALSE(pair.acceptor->core.peer().by_other_key);
}

TEST(HandshakeCore, neither_side_is_done_before_both_have_verified) {
  Pair pair;
  pair.run([&](std::size_t nth, HandshakeFrame&) {
    EXPECT_FALSE(pair.dialer->verified());
    EXPECT_EQ(pair.acceptor->verified(), nth == 3);
    // What the dialer knows one message before it says so.
    EXPECT_EQ(pair.dialer->core.peer_proven(), nth >= 2);
    EXPECT_EQ(pair.acceptor->core.peer_proven(), nth >= 3);
  });
  EXPECT_TRUE(pair.agreed());
}

TEST(HandshakeCore, its_messages_are_pings_and_pongs_without_a_body) {
  Pair pair;
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    const HeaderView header(frame.data());
    EXPECT_EQ(header.size(), header_size);
    EXPECT_EQ(header.command(), nth % 2 == 0 ? Command::ping : Command::pong);
    EXPECT_EQ(header.replica(), nth % 2 == 0 ? dialer_id : acceptor_id);
    EXPECT_EQ(header.cluster(), pair.client.options.cluster);
    EXPECT_EQ(load<std::uint8_t>(frame.data() + at::kind), nth + 1);
  });
}

// --- Format --------------------------------------------------------------------------------------------------------

TEST(HandshakeCore, what_is_no_handshake_is_bad_format) {
  for (const auto& [where, value] : {std::pair{at::magic, 0},
                                     {offset::command, 5},
                                     {offset::command, 2},
                                     {offset::replica, 9},
                                     {offset::view, 1},
                                     {offset::release, 1},
                                     {offset::size, 1},
                                     {offset::checksum, 1},
                                     {offset::checksum_body + 15, 1},
                                     {at::reason, 13},
                                     {at::acceptor_nonce, 1}}) {
    Pair pair;
    pair.run([&](std::size_t, HandshakeFrame& frame) { frame[where] = std::byte(value); });
    expect_silence(pair, Rejection::bad_format);
  }
}

TEST(HandshakeCore, another_size_is_bad_format) {
  Node server(acceptor_id);
  std::vector<std::byte> bytes(header_size + 1);
  for (const std::size_t size : {std::size_t{0}, std::size_t{255}, std::size_t{257}}) {
    Side acceptor(HandshakeRole::acceptor, server, 1);
    EXPECT_FALSE(acceptor.hear(std::span(bytes).first(size)));
  }
  EXPECT_EQ(server.count(Rejection::bad_format), 3u);
}

TEST(HandshakeCore, another_version_is_refused_also_an_older_one) {
  for (const int version : {0, 2, 255}) {
    Pair pair;
    pair.run([&](std::size_t, HandshakeFrame& frame) { frame[at::version] = std::byte(version); });
    expect_silence(pair, Rejection::wrong_version);
  }
}

TEST(HandshakeCore, a_dialer_is_not_talked_into_another_version) {
  Pair pair;
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth == 1) frame[at::version] = std::byte{0};
  });
  expect_rejected(pair, pair.client, Rejection::wrong_version);
}

TEST(HandshakeCore, an_unknown_kind_is_refused) {
  for (const int kind : {0, 6, 255}) {
    Pair pair;
    pair.run([&](std::size_t, HandshakeFrame& frame) { frame[at::kind] = std::byte(kind); });
    expect_silence(pair, Rejection::unknown_kind);
  }
}

TEST(HandshakeCore, each_reserved_byte_must_be_zero) {
  std::vector<std::size_t> reserved;
  for (std::size_t i = offset::reserved_frame; i < offset::reserved_command; ++i)
    reserved.push_back(i);
  for (std::size_t i = at::reserved; i < at::tag; ++i) reserved.push_back(i);
  EXPECT_EQ(reserved.size(), 66u + 23u);
  for (const std::size_t byte : reserved) {
    Pair pair;
    pair.run([&](std::size_t, HandshakeFrame& frame) { frame[byte] = std::byte{1}; });
    expect_silence(pair, Rejection::reserved_bytes);
  }
}

TEST(HandshakeCore, its_own_words_are_a_reflection) {
  Node client(dialer_id);
  client.options.peer_id = acceptor_id;
  Side dialer(HandshakeRole::dialer, client, 1);
  EXPECT_FALSE(dialer.hear(dialer.said.front()));
  EXPECT_EQ(client.count(Rejection::reflection), 1u);

  // The acceptor's, to itself.
  Pair pair;
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth == 2) frame = pair.acceptor->said.front();
  });
  expect_rejected(pair, pair.server, Rejection::reflection);
}

TEST(HandshakeCore, a_replica_that_listens_is_not_its_own_dialer) {
  Node node(dialer_id);
  node.options.peer_id = acceptor_id;
  Side dialer(HandshakeRole::dialer, node, 1);
  Side acceptor(HandshakeRole::acceptor, node, 2);
  EXPECT_FALSE(acceptor.hear(dialer.said.front()));
  EXPECT_EQ(node.count(Rejection::reflection), 1u);
}

TEST(HandshakeCore, a_message_out_of_turn_is_unexpected) {
  Pair recorded;
  recorded.run();
  Pair proof_first;
  proof_first.run([&](std::size_t, HandshakeFrame& frame) { frame = recorded.dialer->said[1]; });
  expect_silence(proof_first, Rejection::unexpected);

  Pair welcome_first;
  welcome_first.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth == 1) frame = recorded.acceptor->said[1];
  });
  expect_rejected(welcome_first, welcome_first.client, Rejection::unexpected);

  Pair hello_twice;
  hello_twice.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth == 2) frame = hello_twice.dialer->said.front();
  });
  expect_rejected(hello_twice, hello_twice.server, Rejection::unexpected);
}

// --- Whom it is for: with the right key, and with the tag that belongs to it ---------------------------------------

TEST(HandshakeCore, another_cluster_is_refused) {
  for (const U128 other : {U128{11, 23}, U128{12, 22}}) {
    Pair pair;
    pair.client.options.cluster = other;
    pair.run();
    expect_silence(pair, Rejection::wrong_cluster);
  }
}

TEST(HandshakeCore, a_replica_of_another_cluster_with_our_id_is_no_reflection) {
  Pair pair;
  pair.client.options.cluster = {1, 1};
  pair.client.options.id = acceptor_id;
  pair.client.options.peer_id = dialer_id;
  pair.run();
  expect_silence(pair, Rejection::wrong_cluster);
}

TEST(HandshakeCore, another_plane_is_refused) {
  for (const std::string_view plane : {"client", "r", "replicas"}) {
    Pair pair;
    pair.client.options.plane = plane;
    pair.run();
    expect_silence(pair, Rejection::wrong_plane);
  }
}

TEST(HandshakeCore, who_means_another_replica_is_refused) {
  Pair pair;
  pair.client.options.peer_id = 8;
  pair.run();
  expect_silence(pair, Rejection::wrong_id);
}

TEST(HandshakeCore, a_dialer_refuses_another_replica_than_it_dialed) {
  // It has the key, and answers for itself whatever it was asked.
  Pair pair;
  Node other(8);
  Side answers(HandshakeRole::acceptor, other, 77);
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth != 1) return;
    HandshakeFields said;
    ASSERT_EQ(decode(frame, false, said), Rejection::none);
    said.acceptor = 8;
    said.tag = tag_of(other.options.keys.current, said, BoundChannel({}));
    frame = encode(said);
  });
  expect_rejected(pair, pair.client, Rejection::wrong_id);
}

TEST(HandshakeCore, another_channel_is_refused) {
  Pair two_channels;
  two_channels.client.binding = binding_of(1);
  two_channels.server.binding = binding_of(2);
  two_channels.run();
  expect_silence(two_channels, Rejection::wrong_channel);

  Pair one_in_the_clear;
  one_in_the_clear.client.binding = binding_of(1);
  one_in_the_clear.run();
  expect_silence(one_in_the_clear, Rejection::wrong_channel);

  Pair one_channel;
  one_channel.client.binding = one_channel.server.binding = binding_of(1);
  one_channel.run();
  EXPECT_TRUE(one_channel.agreed());
}

TEST(HandshakeCore, a_channel_is_more_than_what_is_shown_of_it) {
  Pair pair;
  pair.client.binding = binding_of(1);
  pair.server.binding = binding_of(2);
  const ChannelMark shown = BoundChannel(pair.server.binding).mark();
  pair.run([&](std::size_t, HandshakeFrame& frame) {
    std::ranges::copy(shown, field(frame, at::channel, shown.size()).begin());
  });
  expect_silence(pair, Rejection::bad_tag);
}

TEST(HandshakeCore, a_channel_without_a_name_is_refused_where_one_is_needed) {
  Pair pair;
  pair.client.options.channel_needed = true;
  pair.run();
  expect_rejected(pair, pair.client, Rejection::wrong_channel);
  EXPECT_TRUE(pair.dialer->said.empty());

  Pair other;
  other.server.options.channel_needed = true;
  other.run();
  expect_silence(other, Rejection::wrong_channel);

  Pair named;
  named.client.options.channel_needed = named.server.options.channel_needed = true;
  named.client.binding = named.server.binding = binding_of(1);
  named.run();
  EXPECT_TRUE(named.agreed());
}

// --- Tag -----------------------------------------------------------------------------------------------------------

TEST(HandshakeCore, another_key_is_refused) {
  Pair pair;
  pair.client.options.keys.current = key_of(2);
  pair.run();
  expect_silence(pair, Rejection::bad_tag);
}

TEST(HandshakeCore, an_acceptor_without_the_key_is_refused) {
  Pair pair;
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth != 1) return;
    HandshakeFields said;
    ASSERT_EQ(decode(frame, false, said), Rejection::none);
    said.tag = tag_of(key_of(2), said, BoundChannel({}));
    frame = encode(said);
  });
  expect_rejected(pair, pair.client, Rejection::bad_tag);
}

TEST(HandshakeCore, each_bit_counts) {
  for (std::size_t nth = 0; nth < 4; ++nth)
    for (std::size_t bit = 0; bit < header_size * 8; ++bit) {
      Pair pair;
      pair.run([&](std::size_t n, HandshakeFrame& frame) {
        if (n == nth) frame[bit / 8] ^= std::byte{1} << (bit % 8);
      });
      const Side& hears = nth % 2 == 0 ? *pair.acceptor : *pair.dialer;
      ASSERT_FALSE(hears.verified()) << "message " << nth << ", bit " << bit;
      ASSERT_EQ(hears.core.state(), State::rejected) << "message " << nth << ", bit " << bit;
      ASSERT_FALSE(pair.dialer->verified()) << "message " << nth << ", bit " << bit;
    }
}

// --- Keys ----------------------------------------------------------------------------------------------------------

TEST(HandshakeCore, a_rotation_has_no_moment_without_agreement) {
  // Each state of a replica on the way from key 1 to key 2, against its own and the next one.
  const std::vector<HandshakeKeys> states = {
      {key_of(1), {}}, {key_of(1), key_of(2)}, {key_of(2), key_of(1)}, {key_of(2), {}}};
  for (std::size_t i = 0; i < states.size(); ++i)
    for (std::size_t j = 0; j < states.size(); ++j) {
      Pair pair;
      pair.client.options.keys = states[i];
      pair.server.options.keys = states[j];
      pair.run();
      const bool neighbours = i + 1 >= j && j + 1 >= i;
      EXPECT_TRUE(pair.agreed() || !neighbours) << i << " dials " << j;
      EXPECT_FALSE(pair.agreed() && i == 0 && j == 3);
      if (i == 1 && j == 2) {
        EXPECT_TRUE(pair.acceptor->core.peer().by_other_key);
      }
    }
}

TEST(HandshakeCore, a_key_is_read_from_64_digits) {
  const std::string text = "00ff" + std::string(59, '0') + "a";
  for (const std::string& form : {text, " " + text + "\n"}) {
    const auto key = handshake_key(form);
    ASSERT_TRUE(key.has_value()) << form;
    EXPECT_EQ(key->bytes[1], std::byte{0xff});
    EXPECT_EQ(key->bytes[31], std::byte{0x0a});
  }
  for (const std::string& form : {std::string(), std::string(" \n"), text + "0", text.substr(1),
                                  text.substr(1) + "g", "0x" + text.substr(2)})
    EXPECT_FALSE(handshake_key(form).has_value()) << form;
}

TEST(HandshakeCore, a_key_whose_time_is_over_is_refused) {
  Pair pair;
  pair.client.options.keys.current = key_of(2);
  pair.server.options.keys.other = key_of(2);
  pair.run();
  EXPECT_TRUE(pair.agreed());
  pair.server.options.keys.other->expires_unix_ns = start_ns + second_ns;
  pair.server.now_ns += second_ns;
  pair.server.memory.counters = {};
  pair.run();
  expect_rejected(pair, pair.server, Rejection::expired_key);
  EXPECT_TRUE(pair.acceptor->said.empty());
}

TEST(HandshakeCore, a_key_may_expire_in_the_middle) {
  Pair pair;
  pair.server.options.keys.current.expires_unix_ns = start_ns + second_ns;
  pair.run([&](std::size_t nth, HandshakeFrame&) {
    if (nth == 2) pair.server.now_ns += second_ns;
  });
  expect_rejected(pair, pair.server, Rejection::expired_key);
}

TEST(HandshakeCore, a_dialer_uses_no_key_whose_time_is_over) {
  Pair pair;
  pair.client.options.keys.current.expires_unix_ns = start_ns;
  pair.run();
  expect_rejected(pair, pair.client, Rejection::no_key);
  EXPECT_TRUE(pair.dialer->said.empty());

  Pair with_other;
  with_other.client.options.keys.current.expires_unix_ns = start_ns;
  with_other.client.options.keys.other = key_of(2);
  with_other.server.options.keys.current = key_of(2);
  with_other.run();
  EXPECT_TRUE(with_other.agreed());
}

// --- Freshness -----------------------------------------------------------------------------------------------------

TEST(HandshakeCore, clocks_may_differ_by_the_window_and_no_more) {
  for (const std::int64_t off : {-31, -30, 0, 30, 31}) {
    Pair pair;
    pair.client.now_ns += off * second_ns;
    pair.run();
    const bool within = off >= -30 && off <= 30;
    EXPECT_EQ(pair.agreed(), within) << off;
    EXPECT_EQ(pair.server.count(Rejection::stale), within ? 0u : 1u) << off;
    EXPECT_EQ(pair.client.count(Rejection::stale), within ? 0u : 1u) << off;
  }
}

TEST(HandshakeCore, a_dialer_whose_clock_is_wrong_is_told_once_it_is_known_to_live) {
  Pair pair;
  pair.client.now_ns -= 60 * second_ns;
  pair.client.options.freshness = std::chrono::hours(1);
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    EXPECT_LE(nth, 3u);
    EXPECT_EQ(load<std::uint8_t>(frame.data() + at::kind), nth == 3 ? 5u : nth + 1);
  });
  expect_rejected(pair, pair.server, Rejection::stale);
  expect_rejected(pair, pair.client, Rejection::refused_by_peer);
  EXPECT_EQ(pair.dialer->core.told(), Rejection::stale);
  EXPECT_EQ(pair.server.memory.nonces.size(), 0u);
}

TEST(HandshakeCore, a_message_that_took_too_long_is_stale) {
  for (const std::size_t nth : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
    Pair pair;
    pair.run([&](std::size_t n, HandshakeFrame&) {
      if (n != nth) return;
      pair.client.now_ns += 31 * second_ns;
      pair.server.now_ns += 31 * second_ns;
    });
    EXPECT_EQ((nth % 2 == 0 ? pair.server : pair.client).count(Rejection::stale), 1u) << nth;
    EXPECT_FALSE(pair.agreed());
  }
}

TEST(HandshakeCore, the_edges_of_time_are_stale) {
  for (const std::int64_t when : {INT64_MIN, INT64_MIN + 1, INT64_MAX, std::int64_t{0}}) {
    Pair pair;
    pair.client.now_ns = when;
    pair.client.options.keys.current.expires_unix_ns = INT64_MAX;
    pair.client.options.keys.other = key_of(1);
    pair.run();
    EXPECT_FALSE(pair.agreed()) << when;
    EXPECT_EQ(pair.server.memory.counters.rejected_in_all(), when == INT64_MAX ? 0u : 1u) << when;
  }
}

// --- Nonces --------------------------------------------------------------------------------------------------------

TEST(HandshakeCore, a_finished_handshake_is_not_begun_again) {
  Pair pair;
  pair.run();
  const HandshakeFrame hello = pair.dialer->said.front();
  Side again(HandshakeRole::acceptor, pair.server, 100);
  EXPECT_FALSE(again.hear(hello));
  EXPECT_EQ(pair.server.count(Rejection::replay), 1u);
}

TEST(HandshakeCore, a_proof_is_good_for_one_challenge) {
  Pair pair;
  pair.run();
  Side again(HandshakeRole::acceptor, pair.server, 100);
  Side dialer(HandshakeRole::dialer, pair.client, 101);
  EXPECT_TRUE(again.hear(dialer.said.front()));
  EXPECT_FALSE(again.hear(pair.dialer->said[1]));
  EXPECT_EQ(pair.server.count(Rejection::replay), 1u);
}

TEST(HandshakeCore, a_challenge_is_good_for_one_hello) {
  Pair recorded;
  recorded.run();
  Pair pair;
  pair.nonces = 50;
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth == 1) frame = recorded.acceptor->said.front();
  });
  expect_rejected(pair, pair.client, Rejection::replay);

  Pair late;
  late.nonces = 50;
  late.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth == 3) frame = recorded.acceptor->said[1];
  });
  expect_rejected(late, late.client, Rejection::replay);
}

TEST(HandshakeCore, what_is_forged_or_was_not_finished_uses_nothing_up) {
  Pair pair;
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth != 0) return;
    // The same nonce, first in a forged message, then in a copy that comes to nothing.
    HandshakeFrame forged = frame;
    forged[at::tag] ^= std::byte{1};
    EXPECT_FALSE(Side(HandshakeRole::acceptor, pair.server, 200).hear(forged));
    EXPECT_TRUE(Side(HandshakeRole::acceptor, pair.server, 201).hear(frame));
    EXPECT_EQ(pair.server.memory.nonces.size(), 0u);
  });
  EXPECT_TRUE(pair.agreed());
  EXPECT_EQ(pair.server.memory.nonces.size(), 1u);
}

// A nonce is remembered by the time of its hello, and not of its proof: what is forgotten for want of room then counts
// against older hellos alone, and not against those that were made while it was being proven.
TEST(HandshakeCore, a_slow_proof_keeps_out_no_hello_that_was_made_meanwhile) {
  Node client(dialer_id);
  Node server(acceptor_id, 1);
  client.options.peer_id = acceptor_id;
  const auto pass = [&](std::int64_t seconds) {
    client.now_ns += seconds * second_ns;
    server.now_ns += seconds * second_ns;
  };
  const auto finish = [](Side& dialer, Side& acceptor, const HandshakeFrame& challenge) {
    const auto proof = dialer.hear(challenge);
    ASSERT_TRUE(proof.has_value());
    const auto welcome = acceptor.hear(*proof);
    ASSERT_TRUE(welcome.has_value());
    EXPECT_FALSE(dialer.hear(*welcome));
    EXPECT_TRUE(dialer.verified() && acceptor.verified());
  };
  Side slow(HandshakeRole::dialer, client, 1);
  Side slow_acceptor(HandshakeRole::acceptor, server, 2);
  const auto slow_challenge = slow_acceptor.hear(slow.said.front());
  ASSERT_TRUE(slow_challenge.has_value());
  pass(5);
  Side meanwhile(HandshakeRole::dialer, client, 3);  // its hello is on its way for long
  pass(5);
  finish(slow, slow_acceptor, *slow_challenge);
  pass(1);
  Side next(HandshakeRole::dialer, client, 4);  // there is one place, which it takes
  Side next_acceptor(HandshakeRole::acceptor, server, 5);
  finish(next, next_acceptor, *next_acceptor.hear(next.said.front()));
  pass(1);
  Side meanwhile_acceptor(HandshakeRole::acceptor, server, 6);
  const auto challenge = meanwhile_acceptor.hear(meanwhile.said.front());
  ASSERT_TRUE(challenge.has_value()) << "it counts as a replay";
  finish(meanwhile, meanwhile_acceptor, *challenge);
  EXPECT_EQ(server.memory.counters.verified, 3u);
}

// --- Who may dial --------------------------------------------------------------------------------------------------

TEST(HandshakeCore, who_may_not_dial_is_told_so_once_it_is_known_to_live) {
  Pair pair;
  pair.server.options.admitted.reset(dialer_id);
  pair.run();
  expect_rejected(pair, pair.server, Rejection::not_admitted);
  expect_rejected(pair, pair.client, Rejection::refused_by_peer);
  EXPECT_EQ(pair.dialer->core.told(), Rejection::not_admitted);

  // A copy of its hello learns nothing, by whomever.
  Node server(acceptor_id);
  server.options.admitted.reset(dialer_id);
  Side acceptor(HandshakeRole::acceptor, server, 300);
  const auto said = acceptor.hear(pair.dialer->said.front());
  ASSERT_TRUE(said);
  EXPECT_EQ(load<std::uint8_t>(said->data() + at::kind), 2u);
}

TEST(HandshakeCore, a_refusal_is_no_welcome) {
  Pair pair;
  pair.server.options.admitted.reset(dialer_id);
  pair.run([&](std::size_t nth, HandshakeFrame& frame) {
    if (nth != 3) return;
    frame[at::kind] = std::byte{4};
    frame[at::reason] = std::byte{0};
  });
  expect_rejected(pair, pair.client, Rejection::bad_tag);
}

TEST(HandshakeCore, each_reason_has_words_of_its_own) {
  std::set<std::string_view> names, sentences;
  for (std::size_t i = 0; i < rejection_count; ++i) {
    names.insert(name(static_cast<Rejection>(i)));
    sentences.insert(description(static_cast<Rejection>(i)));
  }
  EXPECT_EQ(names.size(), rejection_count);
  EXPECT_EQ(sentences.size(), rejection_count);
}

TEST(HandshakeCoreDeathTest, a_dialer_that_does_not_know_whom_it_dials_is_a_bug) {
  Node node(dialer_id);
  EXPECT_DEATH(Side(HandshakeRole::dialer, node, 1), "whom it dials");
  node.options.peer_id = dialer_id;
  EXPECT_DEATH(Side(HandshakeRole::dialer, node, 1), "not dial itself");
  node.options.memory = nullptr;
  EXPECT_DEATH(Side(HandshakeRole::dialer, node, 1), "without a memory");
  node.options.memory = &node.memory;
  node.options.plane = "much too long";
  EXPECT_DEATH(Side(HandshakeRole::acceptor, node, 1), "label");
}

}  // namespace
}  // namespace twinwire::bus::handshake_test
