// SPDX-License-Identifier: Apache-2.0
// FakeFile: a socket of the fake kernel: a stream with its two ends, or a listener. It holds what Linux would: bytes
// that arrived, the ends, a failure that one operation is told.
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "real/descriptor.h"
#include "sim/site.h"
#include "transport/base/mix.h"
#include "transport/base/time.h"
#include "transport/net/address.h"

namespace twinwire::fake {

class FakeOperation;
using real::Direction;

// Bytes in order.
class Pipe {
 public:
  std::size_t size() const noexcept { return bytes_.size() - head_; }
  void push(std::span<const std::byte> bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  std::span<const std::byte> front(std::size_t n) const noexcept { return {&bytes_[head_], n}; }
  void pop(std::size_t n) {
    head_ += n;
    if (head_ * 2 < bytes_.size()) return;
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }

 private:
  std::vector<std::byte> bytes_;
  std::size_t head_ = 0;
};

struct FakeFile {
  enum class Kind : std::uint8_t { fresh, stream, listener };

  Kind kind = Kind::fresh;
  std::uint64_t ordinal = 0;
  EntityId entity = 0;
  // How often it came to each site of a ring.
  std::array<std::uint64_t, sim::site_count - static_cast<std::size_t>(sim::Site::ring_delay)>
      occurrences{};
  Address local;
  Address remote;

  bool open = true;                                       // a descriptor refers to it
  bool lingers_none = false;                              // SO_LINGER{1, 0}
  bool released = false;                                  // nothing refers to it any more
  std::uint32_t holders = 0;                              // operations
  std::array<std::vector<FakeOperation*>, 2> operations;  // by direction, in order of submission

  // --- A stream ----------------------------------------------------------------------------------------------------
  FakeFile* peer = nullptr;
  Pipe in;
  std::size_t capacity = 64 * 1024;  // of `in`
  bool ended_in = false;             // the peer's end came
  bool ended_out = false;            // shut
  bool dead = false;                 // reset
  int error = 0;                     // for the next operation alone
  std::uint64_t sent = 0;
  std::uint64_t reset_at = UINT64_MAX;  // by the fault, when so many bytes were sent

  // --- A listener --------------------------------------------------------------------------------------------------
  std::deque<FakeFile*> backlog;
  std::size_t backlog_max = 0;

  // --- For the laws ------------------------------------------------------------------------------------------------
  bool failure_told = false;   // an operation on it failed
  bool reset_told = false;     // with ECONNRESET
  bool end_told = false;       // a receive brought the end
  std::uint64_t received = 0;  // by operations that were completed
  TimePoint received_at;       // the last of them
  TimePoint ready_since[2] = {TimePoint::never(), TimePoint::never()};

  std::size_t room() const noexcept {
    return peer->in.size() < peer->capacity ? peer->capacity - peer->in.size() : 0;
  }
  // Whether an operation in that direction would not wait.
  bool is_ready(Direction direction) const noexcept {
    if (kind == Kind::listener) return direction == Direction::in && !backlog.empty();
    if (kind == Kind::fresh) return false;
    if (dead || error != 0) return true;
    if (direction == Direction::in) return in.size() != 0 || ended_in;
    return ended_out || peer->released || room() != 0;
  }
  // What a reset does to it (tcp_reset): after the peer's end it is a broken pipe.
  void meet_reset() noexcept {
    if (dead || kind != Kind::stream) return;
    dead = true;
    error = ended_in && !ended_out ? EPIPE : ECONNRESET;
  }
  std::vector<FakeOperation*>& waiting(Direction direction) noexcept {
    return operations[static_cast<std::size_t>(direction)];
  }
};

}  // namespace twinwire::fake
