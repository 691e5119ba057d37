// SPDX-License-Identifier: Apache-2.0
// WsCore: what the halves and the fibers of one WebSocket connection share. Private to transport/ws/.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "transport/fiber/wait_queue.h"
#include "transport/net/network.h"
#include "transport/ws/ws_decoder.h"
#include "transport/ws/ws_options.h"

namespace twinwire {

// Messages that arrived while nobody read: few, and small together.
class WsInbox {
 public:
  static constexpr std::size_t messages_max = 64;
  static constexpr std::size_t bytes_max = 64 * 1024;

  bool empty() const noexcept { return count_ == 0; }
  bool has_room() const noexcept { return count_ < messages_max && bytes_ < bytes_max; }
  const Message& front() const noexcept { return messages_[first_]; }
  void push(Message message) noexcept {
    bytes_ += cost(message);
    messages_[(first_ + count_++) % messages_max] = std::move(message);
  }
  Message pop() noexcept {
    Message message = std::move(messages_[first_]);
    bytes_ -= cost(message);
    first_ = (first_ + 1) % messages_max;
    --count_;
    return message;
  }
  void clear() noexcept {
    while (!empty()) pop();
  }

 private:
  // What it keeps from its owner counts, not what it shows.
  static std::size_t cost(const Message& message) noexcept { return message.slice().held(); }

  std::array<Message, messages_max> messages_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

class WsCore {
 public:
  WsCore(Network& network, std::unique_ptr<ByteStream> s, ws::Role r,
         const WsOptions& options) noexcept;

  // Starts the fibers of the connection.
  // Errors     no_resources
  Result<void> start() noexcept;

  // Ends the connection by a reset, for `why`; the first reason stays. Never suspends. `after_inbox`: it came from
  // the peer, so what arrived before it is read first.
  void drop(Error why, bool after_inbox = false) noexcept;
  bool dropped() const noexcept { return dropped_; }
  // The peer violated the protocol: it is told by a Close frame, within a bound, and dropped.
  void violate(std::uint16_t code) noexcept;

  // The one way to write: whoever has the turn. Fails with write_error where the connection was dropped meanwhile.
  Result<void> take_turn(Deadline deadline);
  void give_turn() noexcept;
  // Writes a control frame. Requires the turn.
  Result<void> write_control(ws::Opcode opcode, std::span<const std::byte> payload,
                             Deadline deadline);
  Result<void> write_close(std::uint16_t code, Deadline deadline);
  // A fiber that writes what is owed (owes_pong, owes_ping), as soon as it gets the turn.
  void pay() noexcept;

  void run_pump();
  void run_keepalive();
  ws::MaskKey mask_key() noexcept;

  Scheduler& scheduler;
  Clock& clock;
  Random& random;
  BufferPool& buffers;
  Scope& background;
  std::unique_ptr<ByteStream> stream;  // gone after a close that returned ok
  const ws::Role role;
  const Duration ping_interval;
  const Duration ping_timeout;

  // Reading.
  ws::WsDecoder decoder;  // the pump's alone
  WsInbox inbox;
  std::optional<Error> inbound_end;  // what a reader gets once the inbox is empty
  std::optional<Error> read_error;   // what every later read_message returns
  bool shortage = false;             // the pump found no memory; the next read_message tries again
  bool reading = false;              // a fiber is inside read_message
  std::size_t reader_max = 0;        // and waits, with this bound
  WaitQueue arrivals;                // it
  WaitQueue room;                    // the pump, where it has to wait for the reader
  std::uint64_t heard = 0;           // reads of the stream that gave bytes

  // Writing.
  std::optional<Error> write_error;  // what every later send_batch returns
  bool writing = false;              // a fiber is inside send_batch or close
  bool turn_taken = false;
  WaitQueue turns;

  // Control frames that are owed; of pongs only the newest.
  bool owes_pong = false;
  bool owes_ping = false;
  std::array<std::byte, ws::control_payload_max> pong;
  std::size_t pong_size = 0;
  bool paying = false;

  // The end.
  bool closing = false;                     // close() was called: messages are discarded
  bool close_sent = false;                  // no frame may follow
  std::optional<std::uint16_t> peer_close;  // what the peer's Close said; 0: nothing
  bool stream_ended = false;
  bool violated = false;
  std::optional<Result<void>> close_result;
  WaitQueue ends;  // close(), until the peer's Close or end
  WaitQueue over;  // the keepalive

  void hold() noexcept { ++references_; }
  void let_go() noexcept {
    if (--references_ == 0) delete this;
  }
  void wake_everybody() noexcept;

 private:
  ~WsCore() = default;
  bool drain();
  bool wait_for_reader();
  ws::Limit limit() const noexcept;
  void end_of_stream() noexcept;
  bool read_failed(Error error);
  void peer_closed() noexcept;
  void run_payments();
  void farewell(std::uint16_t code);
  template <class F>
  Result<void> spawn(const char* name, F body) noexcept;

  bool dropped_ = false;
  int references_ = 2;  // the two halves
};

// What a connection's fiber holds.
class WsRef {
 public:
  explicit WsRef(WsCore& core) noexcept : core_(&core) { core_->hold(); }
  WsRef(WsRef&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  WsRef& operator=(WsRef&&) = delete;
  ~WsRef() {
    if (core_ != nullptr) core_->let_go();
  }
  WsCore* operator->() const noexcept { return core_; }

 private:
  WsCore* core_;
};

template <class F>
Result<void> WsCore::spawn(const char* name, F body) noexcept {
  try {
    auto fiber = background.try_spawn(
        name, [ref = WsRef(*this), body]() mutable { body(*ref.operator->()); });
    if (!fiber) return fiber.error();
    return {};
  } catch (...) {
    return Errc::no_resources;
  }
}

}  // namespace twinwire
