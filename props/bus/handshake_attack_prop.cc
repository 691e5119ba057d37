// SPDX-License-Identifier: Apache-2.0
// The handshake against a random attacker: many sides at once, of which it hears all, and to each of which it may say
// whatever it has heard, changed as it likes. Whoever is verified has a partner that knows it; and only one.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <list>

#include "props/bus/handshake_rig.h"

namespace twinwire::bus::handshake_test {
namespace {

// Three replicas that have the key, one of another cluster that has it too, and one that has not.
class AttackedWorld {
 public:
  AttackedWorld() {
    for (std::size_t i = 0; i < nodes_.size(); ++i)
      nodes_[i].options.id = static_cast<std::uint8_t>(i);
    nodes_[3].options.id = 1;
    nodes_[3].options.cluster = {5, 5};
    nodes_[4].options.id = 2;
    nodes_[4].options.keys.current = key_of(9);
  }

  void begin(bool dials, std::size_t who, std::uint8_t whom, std::uint64_t channel) {
    Node& node = nodes_[who % nodes_.size()];
    node.binding = channel == 0 ? std::vector<std::byte>() : binding_of(channel);
    node.options.peer_id = whom == node.options.id ? static_cast<std::uint8_t>(whom + 1) : whom;
    auto& being = beings_.emplace_back(
        node, node.binding, dials ? HandshakeRole::dialer : HandshakeRole::acceptor, ++nonces_);
    for (const HandshakeFrame& frame : being.side.said) heard_.push_back(frame);
  }

  void say(std::size_t to, const HandshakeFrame& frame) {
    if (beings_.empty()) return;
    Being& being = *std::next(beings_.begin(), static_cast<std::ptrdiff_t>(to % beings_.size()));
    const bool before = being.side.verified();
    if (auto answer = being.side.hear(frame)) heard_.push_back(*answer);
    if (!before && being.side.verified()) {
      ++verified_;
      RC_ASSERT(partners(being) == 1u);
    }
  }

  HandshakeFrame recorded(std::size_t which) const {
    return heard_.empty() ? HandshakeFrame{} : heard_[which % heard_.size()];
  }
  // The newest of a side's, so that handshakes come to an end now and then.
  void pass_on(std::size_t from, std::size_t to) {
    if (beings_.empty()) return;
    Being& being = *std::next(beings_.begin(), static_cast<std::ptrdiff_t>(from % beings_.size()));
    if (!being.side.said.empty()) say(to, being.side.said.back());
  }
  void wait(std::int64_t seconds) {
    for (Node& node : nodes_) node.now_ns += seconds * second_ns;
  }
  std::size_t sides() const { return beings_.size(); }
  std::size_t verified() const { return verified_; }

  void check_counts() const {
    std::uint64_t counted = 0;
    for (const Node& node : nodes_) {
      counted += node.memory.counters.verified + node.memory.counters.rejected_in_all();
      RC_ASSERT(node.memory.nonces.size() <= node.memory.nonces.capacity());
    }
    RC_ASSERT(counted <= beings_.size());
  }

 private:
  struct Being {
    Being(Node& node, std::vector<std::byte> b, HandshakeRole r, std::uint64_t nonce)
        : binding(std::move(b)), role(r), options(node.options), side(r, node, nonce) {}
    std::vector<std::byte> binding;
    HandshakeRole role;
    HandshakeOptions options;
    Side side;
  };

  std::size_t partners(const Being& being) const {
    std::size_t count = 0;
    for (const Being& other : beings_)
      count += other.role != being.role && other.side.core.peer_proven() &&
               other.side.core.session() == being.side.core.session() &&
               other.side.core.claimed_peer() == being.options.id &&
               being.side.core.claimed_peer() == other.options.id &&
               other.options.cluster == being.options.cluster && other.binding == being.binding &&
               other.options.keys.current.bytes == being.options.keys.current.bytes &&
               (other.role == HandshakeRole::dialer || other.side.verified());
    return count;
  }

  std::array<Node, 5> nodes_ = {Node(0), Node(1), Node(2), Node(3), Node(4)};
  std::list<Being> beings_;
  Frames heard_;
  std::uint64_t nonces_ = 0;
  std::size_t verified_ = 0;
};

// Bytes of one message in the place of those of another; or any byte.
void change(HandshakeFrame& frame, const HandshakeFrame& other) {
  constexpr std::array<std::pair<std::size_t, std::size_t>, 10> fields = {
      {{offset::cluster, 16},
       {handshake_offset::kind, 1},
       {handshake_offset::dialer, 1},
       {handshake_offset::acceptor, 1},
       {handshake_offset::unix_ns, 8},
       {handshake_offset::dialer_nonce, 16},
       {handshake_offset::acceptor_nonce, 16},
       {handshake_offset::channel, 16},
       {handshake_offset::reason, 1},
       {handshake_offset::tag, 32}}};
  const auto which = *rc::gen::inRange<std::size_t>(0, fields.size() + 1);
  if (which == fields.size()) {
    frame[*rc::gen::inRange<std::size_t>(0, header_size)] =
        static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
  } else {
    const auto [at, size] = fields[which];
    std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(at), size,
                frame.begin() + static_cast<std::ptrdiff_t>(at));
  }
  // And what has to go with it, so that it is not refused for its form.
  const auto kind = load<HandshakeKind>(frame.data() + handshake_offset::kind);
  const bool by_dialer = speaker_of(kind) == HandshakeRole::dialer;
  store(frame.data() + offset::command, by_dialer ? Command::ping : Command::pong);
  frame[offset::replica] = frame[by_dialer ? handshake_offset::dialer : handshake_offset::acceptor];
}

RC_GTEST_PROP(handshake_attack, whoever_is_verified_has_one_partner_that_knows_it, ()) {
  AttackedWorld world;
  const int steps = *rc::gen::inRange(10, 120);
  const auto index = rc::gen::inRange<std::size_t>(0, 1000);
  for (int i = 0; i < steps; ++i) {
    switch (*rc::gen::weightedElement<int>({{3, 0}, {8, 1}, {2, 2}, {4, 3}, {1, 4}, {4, 5}})) {
      case 0: {
        const bool dials = *rc::gen::arbitrary<bool>();
        const std::size_t who = *index;
        const auto whom = *rc::gen::inRange<std::uint8_t>(0, 3);
        world.begin(dials, who, whom, *rc::gen::weightedElement<std::uint64_t>({{4, 0}, {1, 1}}));
        break;
      }
      case 1: {
        const std::size_t from = *index;
        world.pass_on(from, *index);
        break;
      }
      case 2: {
        const std::size_t which = *index;
        world.say(*index, world.recorded(which));
        break;
      }
      case 3: {
        const std::size_t which = *index;
        const std::size_t other = *index;
        HandshakeFrame frame = world.recorded(which);
        change(frame, world.recorded(other));
        world.say(*index, frame);
        break;
      }
      case 4: world.wait(*rc::gen::inRange<std::int64_t>(0, 40)); break;
      case 5: {
        // An honest conversation, of which the attacker hears all.
        const auto dialer = *rc::gen::inRange<std::uint8_t>(0, 3);
        const auto acceptor = static_cast<std::uint8_t>((dialer + 1) % 3);
        const std::size_t first = world.sides();
        world.begin(true, dialer, acceptor, 0);
        world.begin(false, acceptor, dialer, 0);
        const int messages = *rc::gen::inRange(1, 5);
        for (int n = 0; n < messages; ++n)
          world.pass_on(first + static_cast<std::size_t>(n % 2),
                        first + static_cast<std::size_t>(1 - n % 2));
        break;
      }
      default: break;
    }
  }
  world.check_counts();
  RC_CLASSIFY(world.verified() != 0, "somebody was verified");
}

// Whatever comes, and however long it is, is refused or answered; nothing else happens.
RC_GTEST_PROP(handshake_attack, any_bytes_are_refused, ()) {
  Pair pair;
  pair.run();
  Side acceptor(HandshakeRole::acceptor, pair.server, 77);
  Side dialer(HandshakeRole::dialer, pair.client, 78);
  const auto drawn = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
  std::vector<std::byte> bytes(drawn.size());
  std::ranges::transform(drawn, bytes.begin(), [](std::uint8_t b) { return std::byte{b}; });
  if (*rc::gen::arbitrary<bool>()) {
    const HandshakeFrame& like = pair.dialer->said[*rc::gen::inRange<std::size_t>(0, 2)];
    bytes.resize(std::min(bytes.size(), header_size));
    bytes.insert(bytes.end(), like.begin() + static_cast<std::ptrdiff_t>(bytes.size()), like.end());
  }
  (void)acceptor.hear(bytes);
  (void)dialer.hear(bytes);
  RC_ASSERT(!acceptor.verified() && !dialer.verified());
  RC_ASSERT(dialer.core.state() == State::rejected);
}

}  // namespace
}  // namespace twinwire::bus::handshake_test
