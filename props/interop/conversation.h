// SPDX-License-Identifier: Apache-2.0
// Our side of a conversation with an echo server that we did not write: a thousand sealed messages of 256 B to 1 MiB,
// each of which must come back as it was sent.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "real/ring_network.h"
#include "transport/fiber/scope.h"
#include "transport/wire/batch.h"
#include "transport/wire/seal.h"

namespace twinwire::props {

inline constexpr std::size_t interop_messages = 1000;

// Mostly small, one in ten larger, one in fifty 1 MiB.
inline std::size_t interop_body_size(std::size_t i) {
  if (i % 50 == 49) return (1 << 20) - header_size;
  return i * i * 37 % (i % 10 == 9 ? 60'000 : 900);
}

inline Message interop_message(BufferPool& pool, std::size_t i) {
  auto message = MutableMessage::create(pool, Command::request, interop_body_size(i));
  message->set_request_id(i);
  const auto body = message->body();
  for (std::size_t at = 0; at < body.size(); ++at)
    body[at] = static_cast<std::byte>((at + 131 * i) * 0x9e37 >> 8);
  seal(*message);
  return std::move(*message).freeze();
}

// Sends all of them, closes, and returns how many bytes came back. In a fiber.
template <class Conn>
std::size_t converse_with_echo(real::RingNetwork& network, Conn conn) {
  const auto soon = [&] { return network.clock().in(std::chrono::seconds(20)); };
  auto halves = split(std::move(conn));
  std::size_t bytes = 0;
  run_scope(network.scheduler(), [&](Scope& both) {
    both.spawn("writer", [&] {
      Batch batch(16);
      for (std::size_t i = 0; i < interop_messages; ++i) {
        batch.push(interop_message(network.buffers(), i));
        if (batch.size() < 16 && i + 1 < interop_messages) continue;
        ASSERT_TRUE(halves.second.send_batch(batch, soon()).has_value());
      }
    });
    for (std::size_t i = 0; i < interop_messages; ++i) {
      auto message = halves.first.read_message(default_max_message, soon());
      ASSERT_TRUE(message.has_value()) << to_string(message.error());
      const Message expected = interop_message(network.buffers(), i);
      ASSERT_TRUE(std::ranges::equal(message->bytes(), expected.bytes())) << "message " << i;
      bytes += message->size();
    }
  });
  const auto closed = halves.second.close(std::chrono::seconds(10));
  EXPECT_TRUE(closed.has_value()) << to_string(closed.error());
  return bytes;
}

}  // namespace twinwire::props
