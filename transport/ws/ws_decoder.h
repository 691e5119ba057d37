// SPDX-License-Identifier: Apache-2.0
// WsDecoder: bytes in, messages and control frames out (RFC 6455). Sans-IO: no stream, no clock, never suspends.
//
//   decoder.feed(slice);                 // what the stream lent
//   switch (decoder.next(limit)) ...     // until it says `more`
//
// One binary message is one frame of transport/wire, and its header says how long the message is: so memory is taken
// once, of the right size, after the bound was checked, fragmented or not. State survives everything but destruction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/wire/message.h"
#include "transport/ws/ws_frame.h"

namespace twinwire::ws {

enum class Role : bool { client, server };

// How large a message may be. `final`: a larger one is a violation; else the decoder stops before it and says `bound`.
struct Limit {
  std::size_t max = 0;
  bool final = true;
};

class WsDecoder {
 public:
  enum class Got : std::uint8_t {
    more,          // every byte was consumed: feed more
    message,       // take_message()
    ping,          // payload()
    pong,          // payload()
    close,         // close_code(); everything after it is discarded
    bound,         // a message over the limit that is not final; ask again with a larger one
    no_resources,  // the pool said no; nothing is lost, ask again later
    violation,     // fault() is the close code that answers it; final
  };

  // `role`: of this side. A server takes masked frames only, a client unmasked ones only.
  WsDecoder(BufferPool& pool, Role role, bool verify_seal) noexcept
      : pool_(&pool), role_(role), verify_seal_(verify_seal) {}
  WsDecoder(const WsDecoder&) = delete;
  WsDecoder& operator=(const WsDecoder&) = delete;
  ~WsDecoder();

  // Hands over the next bytes of the stream, in order.
  // Requires   that next() said `more`.
  void feed(Slice bytes) noexcept;

  // The next event. An unmasked, unfragmented message that lies in one slice and fills at least half of the memory
  // which that slice holds is handed out where it lies; others are copied, and unmasked on the way.
  Got next(Limit limit) noexcept;

  Message take_message() noexcept { return std::move(message_); }
  std::span<const std::byte> payload() const noexcept { return {control_.data(), control_size_}; }
  std::uint16_t close_code() const noexcept { return close_code_; }
  std::uint16_t fault() const noexcept { return fault_; }

  // Where the stream may read the rest of a large payload directly; empty where feed() serves better.
  std::span<std::byte> direct_space() noexcept;
  void commit(std::size_t n) noexcept;

  // From now on messages are skipped, whatever their size; control frames still come out.
  void skip_messages() noexcept;
  // Drops all that next() has not handed out, and skips what is to come.
  void release() noexcept;
  bool closed() const noexcept { return closed_; }
  // The first frames of a message have come, and not the last one.
  bool in_message() const noexcept { return in_message_; }

 private:
  enum class Step : std::uint8_t { head, payload };

  Got parse_head_step() noexcept;
  Got check_head() noexcept;
  Got message_payload(Limit limit) noexcept;
  Got control_payload() noexcept;
  Got skip_payload() noexcept;
  Got finish_frame() noexcept;
  Got deliver(Message&& message) noexcept;
  // A message's header is whole: its size is checked, and memory taken.
  Got begin_body(Limit limit) noexcept;
  std::uint16_t header_fault(const std::byte* header) const noexcept;
  void take(std::byte* to, std::size_t n) noexcept;  // from the input, unmasked
  void consume(std::size_t n) noexcept;
  void drop_partial() noexcept;
  Got fail(std::uint16_t code) noexcept {
    fault_ = code;
    return Got::violation;
  }

  BufferPool* pool_;
  Role role_;
  bool verify_seal_;
  bool skipping_ = false;
  bool closed_ = false;
  bool in_message_ = false;  // a fragmented message has begun
  Step step_ = Step::head;
  Slice input_;

  std::array<std::byte, head_size_max> head_bytes_;
  std::size_t head_filled_ = 0;
  Head head_;
  std::uint64_t done_ = 0;  // of the present frame's payload

  std::array<std::byte, header_size> header_;  // the start of a message
  std::size_t filled_ = 0;                     // of the present message, fragments together
  Block* partial_ = nullptr;
  std::size_t size_ = 0;  // of the present message, once its header is whole
  Message message_;

  std::array<std::byte, control_payload_max> control_;
  std::size_t control_size_ = 0;
  std::uint16_t close_code_ = close_none;
  std::uint16_t fault_ = close_none;
};

}  // namespace twinwire::ws
