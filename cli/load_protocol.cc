// SPDX-License-Identifier: Apache-2.0
#include "cli/load_protocol.h"

#include <cstring>

#include "transport/wire/seal.h"

namespace twinwire::cli {

Result<Message> make_request(BufferPool& pool, std::uint64_t number, std::size_t size,
                             bool is_one_way) {
  auto message = MutableMessage::create(pool, Command::request, size - header_size);
  if (!message) return message.error();
  message->set_request_id(number);
  message->set_view(is_one_way ? one_way : 0);
  const auto body = message->body();
  if (!body.empty()) std::memset(body.data(), static_cast<int>(number & 0xff), body.size());
  seal(*message);
  return std::move(*message).freeze();
}

Result<Message> make_ping(BufferPool& pool) {
  auto message = MutableMessage::create(pool, Command::ping_client, 0);
  if (!message) return message.error();
  seal(*message);
  return std::move(*message).freeze();
}

Result<Message> make_pong(BufferPool& pool, const LoadTotals& totals) {
  auto message = MutableMessage::create(pool, Command::pong_client, 16);
  if (!message) return message.error();
  store(message->body().data(), totals.messages);
  store(message->body().data() + 8, totals.bytes);
  seal(*message);
  return std::move(*message).freeze();
}

bool is_request(const Message& message, std::uint64_t number) noexcept {
  return message.header().command() == Command::request && request_id(message) == number &&
         seal_matches(message.bytes());
}

bool is_one_way(const Message& message) noexcept { return message.header().view() == one_way; }

bool is_ping(const Message& message) noexcept {
  return message.header().command() == Command::ping_client && seal_matches(message.bytes());
}

bool read_pong(const Message& message, LoadTotals& totals) noexcept {
  if (message.header().command() != Command::pong_client || message.body().size() != 16 ||
      !seal_matches(message.bytes()))
    return false;
  totals = {load<std::uint64_t>(message.body().data()),
            load<std::uint64_t>(message.body().data() + 8)};
  return true;
}

}  // namespace twinwire::cli
