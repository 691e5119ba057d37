// SPDX-License-Identifier: Apache-2.0
// The messages of the replicated log, as frames: what lies where, and how each is made.
//
//   Request     client to primary     session, number of the request, body; session 0: give this client one
//   Reply       primary to client     the same session and number, the op at which it stands, a status, the answer
//   Prepare     primary to backup     an entry of the log: op, commit, parent, session, number, body
//   PrepareOk   backup to primary     up to which op it has synced, and the checksum of that entry
//   Commit      primary to backup     up to which op is committed, and the checksum of that entry
//
// All of it is sealed, and whoever receives it looks. A Prepare is also what stands in the log's file, byte for byte,
// on every replica; its header's checksum covers all of it, and the checksum of the entry before it: so two logs that
// have the same entry are the same up to there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/wire/message.h"

namespace twinwire::log {

// The place of an entry in the log, from 1. As an end of something: up to and with that entry; 0 is none.
using Op = std::uint64_t;
// The op of the entry by which a client was given it: unique in the life of a log. 0: none.
using Session = std::uint64_t;

enum class Status : std::uint8_t {
  ok = 0,
  busy = 1,         // too much is uncommitted, or this replica has no memory now: ask again, soon
  not_primary = 2,  // ask the replica whose id the reply's header has
  unknown =
      3,  // there is no such session, or no more: the request may have been applied before, and is not now
  too_large = 4,  // the body is over the log's limit
  invalid = 5,    // no request that may come now: its number is not the next one
};

namespace offset {
inline constexpr std::size_t op = 128;      // u64
inline constexpr std::size_t commit = 136;  // u64, of a Prepare: committed when it was made
inline constexpr std::size_t parent =
    144;  // u64: the checksum of the entry before; in PrepareOk, Commit: of `op`
inline constexpr std::size_t session = 152;  // u64
inline constexpr std::size_t status = 160;   // u8, of a Reply
inline constexpr std::size_t request = 168;  // u64, of Prepare and Request; a Reply has it at 200
inline constexpr std::size_t client =
    176;  // u128, where a session is asked for: drawn by the client
}  // namespace offset

// Reads any of them where it lies.
class Fields {
 public:
  explicit Fields(const std::byte* frame) noexcept : frame_(frame) {}
  explicit Fields(const Message& message) noexcept : Fields(message.bytes().data()) {}

  Op op() const noexcept { return load<Op>(frame_ + offset::op); }
  Op commit() const noexcept { return load<Op>(frame_ + offset::commit); }
  std::uint64_t parent() const noexcept { return load<std::uint64_t>(frame_ + offset::parent); }
  Session session() const noexcept { return load<Session>(frame_ + offset::session); }
  Status status() const noexcept { return static_cast<Status>(frame_[offset::status]); }
  std::uint64_t request() const noexcept { return load<std::uint64_t>(frame_ + offset::request); }
  U128 client() const noexcept { return load<U128>(frame_ + offset::client); }
  std::uint64_t checksum() const noexcept { return HeaderView(frame_).checksum().low; }

  // Of an entry: it begins a session, and has no body.
  bool is_register() const noexcept { return session() == 0; }
  // Whose entry it is, whether it begins that session or not.
  Session session_of_entry() const noexcept { return is_register() ? op() : session(); }

 private:
  const std::byte* frame_;
};

struct EntryHead {
  U128 cluster;
  std::uint8_t replica = 0;
  Op op = 0;
  Op commit = 0;
  std::uint64_t parent = 0;
  Session session = 0;
  std::uint64_t request = 0;
  U128 client;
};

// Errors of all     no_resources · too_large
Result<Message> make_prepare(BufferPool& pool, const EntryHead& head,
                             std::span<const std::byte> body);
// `checksum`: of the entry at `op`, 0 where that is 0.
Result<Message> make_prepare_ok(BufferPool& pool, U128 cluster, std::uint8_t replica, Op op,
                                std::uint64_t checksum);
Result<Message> make_commit(BufferPool& pool, U128 cluster, std::uint8_t replica, Op op,
                            std::uint64_t checksum);
Result<Message> make_request(BufferPool& pool, Session session, std::uint64_t number,
                             std::span<const std::byte> body);
// Asks for a session. `client`: drawn at random, and the same when it asks again.
Result<Message> make_register(BufferPool& pool, U128 client);

struct ReplyHead {
  U128 cluster;
  std::uint8_t replica = 0;  // of not_primary: whom to ask
  Session session = 0;
  std::uint64_t request = 0;
  Op op = 0;
  Status status = Status::ok;
};
Result<Message> make_reply(BufferPool& pool, const ReplyHead& head,
                           std::span<const std::byte> body);

}  // namespace twinwire::log
