// SPDX-License-Identifier: Apache-2.0
// For the tests of the handshake: two sides without a network, whose frames pass through the test's hands.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "transport/base/mix.h"
#include "transport/bus/handshake/handshake_core.h"

namespace twinwire::bus::handshake_test {

inline constexpr std::int64_t second_ns = 1'000'000'000;
inline constexpr std::int64_t start_ns = 1'735'689'600 * second_ns;  // 2025-01-01
inline constexpr std::uint8_t dialer_id = 3;
inline constexpr std::uint8_t acceptor_id = 7;

inline HandshakeKey key_of(std::uint64_t number) {
  HandshakeKey key;
  for (std::size_t i = 0; i < key.bytes.size(); ++i)
    key.bytes[i] = static_cast<std::byte>(scramble(number * 64 + i));
  return key;
}

inline HandshakeNonce nonce_of(std::uint64_t number) {
  HandshakeNonce nonce{};
  store(nonce.data(), scramble(number));
  store(nonce.data() + 8, scramble(~number));
  return nonce;
}

inline std::vector<std::byte> binding_of(std::uint64_t number) {
  std::vector<std::byte> binding(32);
  for (std::size_t i = 0; i < binding.size(); ++i)
    binding[i] = static_cast<std::byte>(scramble(number * 32 + i + 1'000'000));
  return binding;
}

// One replica: what it is, and what it remembers.
struct Node {
  explicit Node(std::uint8_t id, std::size_t nonces = 16) : memory(nonces) {
    options.cluster = {11, 22};
    options.id = id;
    options.keys.current = key_of(1);
    options.memory = &memory;
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  std::uint64_t count(Rejection reason) const { return memory.counters[reason]; }

  HandshakeMemory memory;
  HandshakeOptions options;
  std::vector<std::byte> binding;
  std::int64_t now_ns = start_ns;
};

using Frames = std::vector<HandshakeFrame>;
using State = HandshakeCore::State;

struct Side {
  Side(HandshakeRole role, Node& n, std::uint64_t nonce)
      : node(&n), core(role, n.options, n.binding, nonce_of(nonce), n.now_ns) {
    take();
  }
  // What it says in answer, if it says anything.
  std::optional<HandshakeFrame> hear(std::span<const std::byte> frame) {
    if (core.state() != State::talking) return std::nullopt;
    core.receive(frame, node->now_ns);
    const std::size_t before = said.size();
    take();
    return said.size() > before ? std::optional(said.back()) : std::nullopt;
  }
  bool verified() const { return core.state() == State::verified; }

  Node* node;
  HandshakeCore core;
  Frames said;

 private:
  void take() {
    if (auto frame = core.take_output()) said.push_back(*frame);
  }
};

// A dialer and an acceptor that are the two ends of one connection.
struct Pair {
  Pair() { client.options.peer_id = acceptor_id; }

  // `between(nth, frame)`: may change the nth message of the handshake on its way.
  void run(const std::function<void(std::size_t, HandshakeFrame&)>& between = {}) {
    dialer.emplace(HandshakeRole::dialer, client, nonces + 1);
    acceptor.emplace(HandshakeRole::acceptor, server, nonces + 2);
    nonces += 2;
    std::optional<HandshakeFrame> frame;
    if (!dialer->said.empty()) frame = dialer->said.front();
    for (std::size_t nth = 0; frame; ++nth) {
      if (between) between(nth, *frame);
      frame = (nth % 2 == 0 ? *acceptor : *dialer).hear(*frame);
    }
  }
  bool agreed() const {
    return dialer->verified() && acceptor->verified() &&
           dialer->core.peer().session == acceptor->core.peer().session &&
           dialer->core.peer().id == server.options.id &&
           acceptor->core.peer().id == client.options.id;
  }

  Node client{dialer_id};
  Node server{acceptor_id};
  std::optional<Side> dialer;
  std::optional<Side> acceptor;
  std::uint64_t nonces = 0;
};

inline std::span<std::byte> field(HandshakeFrame& frame, std::size_t at, std::size_t size) {
  return std::span(frame).subspan(at, size);
}

}  // namespace twinwire::bus::handshake_test
