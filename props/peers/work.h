// SPDX-License-Identifier: Apache-2.0
// The work of `bench transports`, the same for our transports and for their peers: what the messages hold, who counts
// them, and what is timed.
//
// One connection. The client sends the same prepared batch again and again for a time; then a message that asks for an
// answer, and the server answers with what it has counted. All of that twice: first to warm up, then to be measured.
// Nothing but the header and the last eight bytes of a message is looked at: more would measure the looking.
#pragma once

#include <time.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <vector>

#include "transport/wire/header.h"

namespace twinwire::peers {

struct Work {
  std::size_t size = header_size;  // of a message, header included
  std::size_t batch = 64;
  std::uint64_t time_ns = 0;  // of the measured part; a tenth of it warms up
};

struct Totals {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t sum = 0;  // of what they hold, in their order
  std::uint64_t processor_ns = 0;

  void add(const std::byte* message, std::size_t size) noexcept {
    ++messages;
    bytes += size;
    sum = sum * 0x9e3779b97f4a7c15ULL + load<std::uint64_t>(message + size - 8) + size;
  }
  bool same_messages(const Totals& other) const noexcept {
    return messages == other.messages && bytes == other.bytes && sum == other.sum;
  }
};

inline std::uint64_t clock_ns(clockid_t clock) noexcept {
  timespec at{};
  (void)::clock_gettime(clock, &at);
  return static_cast<std::uint64_t>(at.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(at.tv_nsec);
}

// --- Messages ------------------------------------------------------------------------------------------------------

inline void write_message(std::span<std::byte> into, Command command,
                          std::uint64_t number) noexcept {
  std::memset(into.data(), 0, header_size);
  if (into.size() > header_size)
    std::memset(into.data() + header_size, static_cast<int>(number & 0xff),
                into.size() - header_size);
  store(into.data() + offset::size, static_cast<std::uint32_t>(into.size()));
  store(into.data() + offset::command, static_cast<std::uint8_t>(command));
  store(into.data() + into.size() - 8, number * 0xd6e8feb86659fd93ULL + 1);
}

inline constexpr Command data_command = Command::request;
inline constexpr Command ask_command = Command::ping_client;
inline constexpr Command answer_command = Command::pong_client;
inline constexpr std::size_t answer_size = header_size + sizeof(Totals);

inline void write_answer(std::span<std::byte, answer_size> into, const Totals& totals) noexcept {
  write_message(into, answer_command, 0);
  std::memcpy(into.data() + header_size, &totals, sizeof totals);
}

// --- Who counts ----------------------------------------------------------------------------------------------------

// What an end has received since the last question or answer.
class Receiver {
 public:
  // True: it was a question, which wants answer(), or the answer, which is in totals().
  bool take(std::span<const std::byte> message) {
    const HeaderView header(message.data());
    if (header.command() == data_command) [[likely]] {
      totals_.add(message.data(), message.size());
      return false;
    }
    if (header.command() == answer_command && message.size() == answer_size)
      std::memcpy(&totals_, message.data() + header_size, sizeof totals_);
    return true;
  }
  // Writes the answer, and begins anew.
  void answer(std::span<std::byte, answer_size> into) noexcept {
    const std::uint64_t used = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    totals_.processor_ns = used - begun_;
    begun_ = used;
    write_answer(into, totals_);
    totals_ = {};
  }
  const Totals& totals() const noexcept { return totals_; }

 private:
  Totals totals_;
  std::uint64_t begun_ = 0;
};

// What a client prints, and `bench` reads.
struct Report {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t wall_ns = 0;
  std::uint64_t processor_ns = 0;  // of both ends
};
inline constexpr const char* report_format =
    "measured %lu messages %lu bytes %lu ns %lu processor ns\n";

// The server counted other messages than were sent.
struct Miscounted : std::runtime_error {
  Miscounted() : std::runtime_error("the server counted other messages than were sent") {}
};

// The client's part. `send()` sends the prepared batch, whose sum `each` tells; `ask()` sends the question and returns
// the answer; `wall` and `processor` are the clocks.
template <class Send, class Ask, class Wall, class Processor>
Report drive(const Work& work, std::span<const std::uint64_t> each, Send&& send, Ask&& ask,
             Wall&& wall, Processor&& processor) {
  Report report;
  for (const std::uint64_t time : {work.time_ns / 10, work.time_ns}) {
    Totals sent;
    const std::uint64_t start = wall();
    const std::uint64_t processor_start = processor();
    do {
      send();
      for (const std::uint64_t last : each) {
        ++sent.messages;
        sent.bytes += work.size;
        sent.sum = sent.sum * 0x9e3779b97f4a7c15ULL + last + work.size;
      }
    } while (wall() - start < time);
    const Totals counted = ask();
    report = {sent.messages, sent.bytes, wall() - start,
              processor() - processor_start + counted.processor_ns};
    if (!counted.same_messages(sent)) throw Miscounted();
  }
  return report;
}

}  // namespace twinwire::peers
