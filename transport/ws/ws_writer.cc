// SPDX-License-Identifier: Apache-2.0
// The path of a batch: a head and the payload where it lies for each message; a client's payloads masked in a block.
#include <algorithm>
#include <array>
#include <cstring>

#include "transport/base/plant.h"
#include "transport/fiber/exclusive.h"
#include "transport/net/write_all.h"
#include "transport/ws/ws_conn.h"
#include "transport/ws/ws_core.h"

namespace twinwire {
namespace {

// Batches up to this size have their pieces on a small stretch of the stack.
constexpr std::size_t few = 16;
constexpr std::size_t masking_block_max = 256 * 1024;

class Turn {
 public:
  explicit Turn(WsCore& core) noexcept : core_(core) {}
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { core_.give_turn(); }

 private:
  WsCore& core_;
};

// All of the pieces. PLANT(pong_splits_a_frame): whoever waits for the turn gets it after a short write.
Result<void> write_pieces(WsCore& core, std::span<iovec> pieces, Deadline deadline) {
  if (PLANT(ws_success_when_queued)) {
    const auto written = core.stream->write(pieces, deadline);
    return written ? Result<void>{} : Result<void>{written.error()};
  }
  if (!PLANT(pong_splits_a_frame)) return write_all(*core.stream, pieces, deadline);
  while (!pieces.empty()) {
    const auto written = core.stream->write(pieces, deadline);
    if (!written) return written.error();
    pieces = advance(pieces, *written);
    core.give_turn();
    core.scheduler.yield();
    if (auto turn = core.take_turn(deadline); !turn) {
      core.turn_taken = true;
      return turn;
    }
  }
  return {};
}

// A server's: unmasked, one vectored write of two pieces a message.
template <std::size_t count_max>
[[gnu::noinline]] Result<void> send_plain(WsCore& core, const Batch& batch, Deadline deadline) {
  std::array<std::array<std::byte, 10>, count_max> heads;
  std::array<iovec, 2 * count_max> pieces;
  std::size_t count = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Message& message = batch[i];
    std::byte* head = heads[i].data();
    pieces[count++] = {head, ws::write_head(head, ws::Opcode::binary, message.size(), nullptr)};
    pieces[count++] = {const_cast<std::byte*>(message.bytes().data()), message.size()};
  }
  return write_pieces(core, std::span(pieces).first(count), deadline);
}

// A client's: heads and masked payloads in one block, which is written whenever it is full.
class MaskingBlock {
 public:
  MaskingBlock(WsCore& core, const Batch& batch, Deadline deadline) noexcept
      : core_(core), deadline_(deadline) {
    std::size_t total = 0;
    for (const Message& message : batch.messages()) total += ws::head_size_max + message.size();
    capacity_ = std::min(total, masking_block_max);
    block_ = core.buffers.allocate(capacity_);
  }
  MaskingBlock(const MaskingBlock&) = delete;
  MaskingBlock& operator=(const MaskingBlock&) = delete;
  ~MaskingBlock() {
    if (block_ != nullptr) Slice(block_, nullptr, 0).release();
  }
  explicit operator bool() const noexcept { return block_ != nullptr; }

  Result<void> add(const Message& message) {
    if (capacity_ - filled_ < ws::head_size_max)
      if (auto sent = flush(); !sent) return sent;
    const ws::MaskKey key = core_.mask_key();
    filled_ += ws::write_head(block_->data + filled_, ws::Opcode::binary, message.size(), &key);
    for (std::size_t done = 0; done < message.size();) {
      if (filled_ == capacity_)
        if (auto sent = flush(); !sent) return sent;
      const std::size_t n = std::min(message.size() - done, capacity_ - filled_);
      ws::mask(block_->data + filled_, message.bytes().data() + done, n, key, done);
      filled_ += n;
      done += n;
    }
    return {};
  }
  Result<void> flush() {
    iovec piece{block_->data, std::exchange(filled_, 0)};
    return write_pieces(core_, {&piece, 1}, deadline_);
  }

 private:
  WsCore& core_;
  Deadline deadline_;
  std::size_t capacity_ = 0;
  std::size_t filled_ = 0;
  Block* block_ = nullptr;
};

Result<void> send_masked(WsCore& core, const Batch& batch, Deadline deadline) {
  MaskingBlock block(core, batch, deadline);
  if (!block) return Errc::no_resources;
  for (const Message& message : batch.messages())
    if (auto added = block.add(message); !added) return added;
  return block.flush();
}

Result<void> send_in_turn(WsCore& core, const Batch& batch, Deadline deadline) {
  if (auto turn = core.take_turn(deadline); !turn) return turn;
  const Turn turn(core);
  if (core.role == ws::Role::client) return send_masked(core, batch, deadline);
  return batch.size() <= few ? send_plain<few>(core, batch, deadline)
                             : send_plain<batch_messages_max>(core, batch, deadline);
}

Result<void> await_end(WsCore& core, Deadline deadline, const auto& condition) {
  while (!condition()) {
    if (core.dropped()) return core.write_error.value_or(Error{Errc::broken, 0});
    const Wake wake = core.ends.wait(core.scheduler, deadline, "the peer's end");
    if (wake != Wake::ready && !condition() && !core.dropped()) return to_errc(wake);
  }
  return {};
}

// Close frames both ways, then the stream's ends: a stream that is cut before the peer's Close has come would take a
// peer that answers on the way by surprise.
Result<void> end_both_sides(WsCore& core, Deadline deadline) {
  if (PLANT(wss_close_notify_before_close)) (void)core.stream->shutdown_write(deadline);
  {
    if (auto turn = core.take_turn(deadline); !turn) return turn;
    const Turn turn(core);
    auto sent = core.write_close(core.peer_close.value_or(ws::close_normal), deadline);
    if (!sent) return sent;
  }
  auto closed = await_end(core, deadline, [&] { return core.peer_close.has_value(); });
  if (!closed) return closed;
  if (!PLANT(wss_stream_not_ended))
    if (auto shut = core.stream->shutdown_write(deadline); !shut) return shut;
  auto ended = await_end(core, deadline, [&] { return core.stream_ended; });
  if (!ended || PLANT(wss_reset_at_close_notify)) return ended;
  // The pump may have met the end before this side had ended, too. Over TLS that was the peer's close_notify alone, and
  // destroying the stream now would reset what is below it.
  auto end = core.stream->read(deadline);
  return end ? Result<void>{} : Result<void>{end.error()};
}

}  // namespace

Result<void> WsWriter::send_batch(Batch& batch, Deadline deadline) {
  WsCore& core = *core_;
  const Exclusive mark(core.writing, "two fibers inside one writer");
  if (core.write_error) return *core.write_error;
  if (core.closing) return Errc::closed;
  if (batch.empty()) return {};
  if (batch.size() > batch_messages_max) {
    core.drop({Errc::too_large, 0});
    return Errc::too_large;
  }
  if (auto sent = send_in_turn(core, batch, deadline); !sent) {
    core.drop(sent.error());
    // Another fiber may have dropped the connection while this batch was under way: its reason came first, and stays.
    return core.write_error.value_or(sent.error());
  }
  batch.clear();
  return {};
}

Result<void> WsWriter::close(Duration grace) {
  WsCore& core = *core_;
  const Exclusive mark(core.writing, "two fibers inside one writer");
  if (core.close_result) return *core.close_result;
  if (core.write_error) return *core.write_error;
  const Deadline deadline = core.clock.in(grace);
  core.closing = true;
  // From here on, and however this ends: what a reader has been told stays.
  if (!core.read_error) core.read_error = Error{Errc::closed, 0};
  core.inbox.clear();
  core.arrivals.wake_all(core.scheduler);
  core.room.wake_all(core.scheduler);

  if (auto ended = end_both_sides(core, deadline); !ended) {
    core.drop(ended.error());
    core.close_result = ended;
    return ended;
  }
  core.write_error = Error{Errc::closed, 0};
  core.read_error = Error{Errc::closed, 0};
  core.close_result = Result<void>{};
  core.wake_everybody();
  core.stream
      .reset();  // both ends were seen: a plain close; the pump has ended, and no control frame may follow
  return {};
}

}  // namespace twinwire
