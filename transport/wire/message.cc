// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/message.h"

#include <cstring>
#include <limits>

namespace twinwire {

Result<MutableMessage> MutableMessage::create(BufferPool& pool, Command command,
                                              std::size_t body_size) {
  if (body_size > std::numeric_limits<std::uint32_t>::max() - header_size) return Errc::too_large;
  const std::size_t size = header_size + body_size;
  Block* block = pool.allocate(size);
  if (block == nullptr) return Errc::no_resources;
  std::memset(block->data, 0, header_size);
  if (pool.poisons()) std::memset(block->data + header_size, 0xa5, body_size);
  store(block->data + offset::size, static_cast<std::uint32_t>(size));
  store(block->data + offset::command, static_cast<std::uint8_t>(command));
  return MutableMessage(block, size);
}

void MutableMessage::set_request_id(std::uint64_t value) noexcept {
  switch (HeaderView(block_->data).command()) {
    case Command::request: store(block_->data + offset::request_id_of_request, value); return;
    case Command::reply: store(block_->data + offset::request_id_of_reply, value); return;
    default: TWINWIRE_CHECK(false, "only a request or a reply has a request id");
  }
}

std::uint64_t request_id(const Message& message) noexcept {
  switch (message.header().command()) {
    case Command::request:
      return load<std::uint64_t>(message.bytes().data() + offset::request_id_of_request);
    case Command::reply:
      return load<std::uint64_t>(message.bytes().data() + offset::request_id_of_reply);
    default: return 0;
  }
}

}  // namespace twinwire
