// SPDX-License-Identifier: Apache-2.0
// What `serve` and `load` say to each other, in sealed frames: every byte of every message is verified at both ends.
//
//   request     number `request_id`, from 0, none left out; comes back as it is, unless its view is one_way
//   ping        the client has sent everything
//   pong        the server's answer: how many requests it has verified, and how many bytes of them
//
// A client that ends without a ping, or a server that ends before its pong, has died or was cut off, whatever the
// transport makes of it: on TCP alone a killed peer would look like a good-bye.
#pragma once

#include <cstdint>

#include "transport/wire/batch.h"
#include "transport/wire/message.h"

namespace twinwire::cli {

inline constexpr std::uint32_t one_way = 1;
inline constexpr std::uint64_t connections_max = 10'000;  // of one `load`

struct LoadTotals {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
};

// Errors     no_resources · too_large
Result<Message> make_request(BufferPool& pool, std::uint64_t number, std::size_t size,
                             bool is_one_way);
Result<Message> make_ping(BufferPool& pool);
Result<Message> make_pong(BufferPool& pool, const LoadTotals& totals);

// Whether it is the request of that number, whole.
bool is_request(const Message& message, std::uint64_t number) noexcept;
bool is_one_way(const Message& message) noexcept;
bool is_ping(const Message& message) noexcept;
// False: it is no pong, or a damaged one.
bool read_pong(const Message& message, LoadTotals& totals) noexcept;

}  // namespace twinwire::cli
