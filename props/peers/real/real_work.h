// SPDX-License-Identifier: Apache-2.0
// The work of `bench real`, the same for ours and for its peers: which messages, over how many connections, how many of
// them outstanding, and what is told of it. What the messages hold: props/peers/work.h.
//
//   stream     one connection, one way: the same prepared batch again and again
//   echo       `connections`, on each `depth` messages outstanding: the server writes back all whole frames of one read
//              in one write, the client answers k echoes with k new messages in one write
//   ping-pong  echo over one connection, one message outstanding, each round trip timed
//   singles    one connection, one way: `batch` senders at once, each with one message to a call
//
// Twice: first to warm up, then to be measured. Each time the client asks afterwards, and the server answers with what
// it has counted, which must be what was sent.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "props/peers/work.h"

namespace twinwire::peers {

enum class RealKind : std::uint8_t { stream, echo, ping_pong, singles };
inline constexpr std::string_view real_kind_names[] = {"stream", "echo", "ping-pong", "singles"};

struct RealWork {
  RealKind kind = RealKind::stream;
  std::size_t size = header_size;  // of a message, header included
  std::size_t batch = 256;         // stream: messages to a batch; singles: senders
  std::size_t connections = 1;     // echo
  std::size_t depth = 1;           // echo: messages outstanding on each connection
  std::uint64_t time_ns = 0;       // of the measured part; a tenth of it warms up

  bool echoes() const noexcept { return kind == RealKind::echo || kind == RealKind::ping_pong; }
};

// What a client prints, and `bench` reads. Of an echo a message is a round trip.
struct RealReport {
  std::uint64_t messages = 0;
  std::uint64_t wall_ns = 0;
  std::uint64_t processor_ns = 0;  // of both ends
  std::uint64_t calls = 0;         // system calls, of both ends
  std::uint64_t p50_ns = 0;        // of a round trip; ping-pong alone
  std::uint64_t p99_ns = 0;
};
inline constexpr const char* real_report_format =
    "measured %lu messages %lu ns %lu processor ns %lu calls %lu p50 %lu p99\n";

// What a server answers with: its totals since the last answer, those of every connection added up.
struct RealTotals : Totals {
  std::uint64_t calls = 0;

  void add_connection(const Totals& other) noexcept {
    messages += other.messages;
    bytes += other.bytes;
    sum += other.sum;
  }
};
inline constexpr std::size_t real_answer_size = header_size + sizeof(RealTotals);

inline void write_real_answer(std::span<std::byte, real_answer_size> into,
                              const RealTotals& totals) noexcept {
  write_message(into, answer_command, 0);
  std::memcpy(into.data() + header_size, &totals, sizeof totals);
}
inline RealTotals read_real_answer(std::span<const std::byte> message) noexcept {
  RealTotals totals;
  if (message.size() == real_answer_size)
    std::memcpy(&totals, message.data() + header_size, sizeof totals);
  return totals;
}

// Where many send at once nobody knows in which order.
inline void add_unordered(Totals& totals, std::span<const std::byte> message) noexcept {
  ++totals.messages;
  totals.bytes += message.size();
  totals.sum += twinwire::load<std::uint64_t>(message.data() + message.size() - 8) + message.size();
}

inline std::uint64_t wall_ns() noexcept { return clock_ns(CLOCK_MONOTONIC); }
inline std::uint64_t processor_ns() noexcept { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

// Round trips, kept one by one.
class RoundTrips {
 public:
  RoundTrips() { times_.reserve(std::size_t{1} << 20); }
  void clear() noexcept { times_.clear(); }
  void add(std::uint64_t ns) { times_.push_back(static_cast<std::uint32_t>(ns)); }
  std::uint64_t percentile(unsigned percent) {
    if (times_.empty()) return 0;
    const std::size_t index = std::min(times_.size() - 1, times_.size() * percent / 100);
    const auto at = times_.begin() + static_cast<std::ptrdiff_t>(index);
    std::nth_element(times_.begin(), at, times_.end());
    return *at;
  }

 private:
  std::vector<std::uint32_t> times_;
};

// The clocks of a client: what it has used since begin(), and what the server's answer adds.
class RealMeter {
 public:
  void begin(std::uint64_t calls) noexcept {
    calls_ = calls;
    processor_ = processor_ns();
    wall_ = wall_ns();
  }
  std::uint64_t began() const noexcept { return wall_; }
  // Throws Miscounted.
  RealReport end(const Totals& sent, const RealTotals& counted, std::uint64_t calls) const {
    if (!counted.same_messages(sent)) throw Miscounted();
    return {.messages = sent.messages,
            .wall_ns = wall_ns() - wall_,
            .processor_ns = processor_ns() - processor_ + counted.processor_ns,
            .calls = calls - calls_ + counted.calls};
  }

 private:
  std::uint64_t wall_ = 0;
  std::uint64_t processor_ = 0;
  std::uint64_t calls_ = 0;
};

}  // namespace twinwire::peers
