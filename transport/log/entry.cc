// SPDX-License-Identifier: Apache-2.0
#include "transport/log/entry.h"

#include <algorithm>

#include "transport/wire/seal.h"

namespace twinwire::log {
namespace {

template <class T>
void put(MutableMessage& message, std::size_t at, T value) noexcept {
  store(message.bytes().data() + at, value);
}

Result<Message> make_progress(BufferPool& pool, Command command, U128 cluster, std::uint8_t replica,
                              Op op, std::uint64_t checksum) {
  auto made = MutableMessage::create(pool, command, 0);
  if (!made) return made.error();
  made->set_cluster(cluster);
  made->set_replica(replica);
  put(*made, offset::op, op);
  put(*made, offset::parent, checksum);
  seal(*made);
  return std::move(*made).freeze();
}

}  // namespace

Result<Message> make_prepare(BufferPool& pool, const EntryHead& head,
                             std::span<const std::byte> body) {
  auto made = MutableMessage::create(pool, Command::prepare, body.size());
  if (!made) return made.error();
  made->set_cluster(head.cluster);
  made->set_replica(head.replica);
  put(*made, offset::op, head.op);
  put(*made, offset::commit, head.commit);
  put(*made, offset::parent, head.parent);
  put(*made, offset::session, head.session);
  put(*made, offset::request, head.request);
  put(*made, offset::client, head.client);
  std::ranges::copy(body, made->body().begin());
  seal(*made);
  return std::move(*made).freeze();
}

Result<Message> make_prepare_ok(BufferPool& pool, U128 cluster, std::uint8_t replica, Op op,
                                std::uint64_t checksum) {
  return make_progress(pool, Command::prepare_ok, cluster, replica, op, checksum);
}

Result<Message> make_commit(BufferPool& pool, U128 cluster, std::uint8_t replica, Op op,
                            std::uint64_t checksum) {
  return make_progress(pool, Command::commit, cluster, replica, op, checksum);
}

Result<Message> make_request(BufferPool& pool, Session session, std::uint64_t number,
                             std::span<const std::byte> body) {
  auto made = MutableMessage::create(pool, Command::request, body.size());
  if (!made) return made.error();
  put(*made, offset::session, session);
  made->set_request_id(number);
  std::ranges::copy(body, made->body().begin());
  seal(*made);
  return std::move(*made).freeze();
}

Result<Message> make_register(BufferPool& pool, U128 client) {
  auto made = MutableMessage::create(pool, Command::request, 0);
  if (!made) return made.error();
  put(*made, offset::client, client);
  seal(*made);
  return std::move(*made).freeze();
}

Result<Message> make_reply(BufferPool& pool, const ReplyHead& head,
                           std::span<const std::byte> body) {
  auto made = MutableMessage::create(pool, Command::reply, body.size());
  if (!made) return made.error();
  made->set_cluster(head.cluster);
  made->set_replica(head.replica);
  put(*made, offset::op, head.op);
  put(*made, offset::session, head.session);
  put(*made, offset::status, static_cast<std::uint8_t>(head.status));
  made->set_request_id(head.request);
  std::ranges::copy(body, made->body().begin());
  seal(*made);
  return std::move(*made).freeze();
}

}  // namespace twinwire::log
