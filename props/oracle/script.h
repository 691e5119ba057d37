// SPDX-License-Identifier: Apache-2.0
// Script: a short list of socket calls for the two ends of a few connections, with the pauses between them. Data, so
// that it can be drawn from a seed, run in several worlds, shrunk and printed.
//
// Every connection has two sides: side 0 dials (a), side 1 is what the listener accepts (b). One thread of control
// makes all calls in order; a call that would block is given up at once and reported as blocked, unless it was begun as
// one that waits. What passes between two calls is said by the pauses: none at all, one hop (what is in flight arrives,
// its answers do not), or until everything is quiet.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace twinwire::oracle {

enum class Op : std::uint8_t {
  listen,        // opens the listener again, on the port that it had
  connect,       // gives up two hops after it began
  accept,        // whichever connection comes first
  write,         // until `size` bytes are taken, or nothing more is
  write_pieces,  // the same in pieces of many sizes, zero among them
  read,          // until `size` bytes, the end, an error, or nothing is there
  read_once,     // one call
  drain,         // until the end or an error, or until nothing comes any more; pauses as it needs
  begin_read,    // as read, but by somebody who waits as long as it takes, while the script goes on
  begin_write,   // as write, likewise
  await_read,    // what that came to; one that still waits is told to stop
  await_write,
  end,             // shutdown_write()
  abort,           // abort(): what lingers is thrown away
  close,           // destroys the stream
  close_listener,  // with what waits in it
  hop,
  settle,
};
inline constexpr int op_count = static_cast<int>(Op::settle) + 1;

struct Step {
  Op op{};
  std::uint8_t connection = 0;
  std::uint8_t side = 0;
  std::uint32_t size = 0;

  friend bool operator==(const Step&, const Step&) = default;
};

inline constexpr std::size_t connections_max = 3;

struct Script {
  std::uint64_t seed = 0;  // that it was drawn from
  int backlog = 8;
  bool ipv6 = false;  // not on the wire
  // Of the dialing and of the accepted side; 0: not asked for.
  std::array<std::uint32_t, 2> send_buffer{};
  std::array<std::uint32_t, 2> receive_buffer{};
  std::vector<Step> steps;
};

inline bool is_write(Op op) {
  return op == Op::write || op == Op::write_pieces || op == Op::begin_write ||
         op == Op::await_write;
}
inline bool is_read(Op op) {
  return op == Op::read || op == Op::read_once || op == Op::drain || op == Op::begin_read ||
         op == Op::await_read;
}

// Byte `offset` of what this side sends, so that a lost, doubled or foreign one shows.
std::byte byte_of(std::size_t connection, unsigned side, std::uint64_t offset) noexcept;
// The sizes in which write_pieces hands over `size` bytes: the same in every world.
std::vector<std::uint32_t> pieces_of(std::uint32_t size);

std::string to_text(const Step& step);      // "a0 write 100"
std::string to_text(const Script& script);  // one line each, for a person

// The same calls without any pause; and with everything quiet between any two.
Script without_pauses(const Script& script);
Script settled(const Script& script);

}  // namespace twinwire::oracle
