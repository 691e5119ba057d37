// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/script.h"

#include <algorithm>
#include <string_view>

#include "transport/base/mix.h"

namespace twinwire::oracle {
namespace {

constexpr std::string_view names[op_count] = {
    "listen",    "connect", "accept",     "write",          "write_pieces", "read",
    "read_once", "drain",   "begin_read", "begin_write",    "await_read",   "await_write",
    "end",       "abort",   "close",      "close_listener", "hop",          "settle"};

bool has_size(Op op) {
  return op == Op::write || op == Op::write_pieces || op == Op::read || op == Op::read_once ||
         op == Op::begin_read || op == Op::begin_write;
}

bool has_side(Op op) {
  return has_size(op) || op == Op::drain || op == Op::await_read || op == Op::await_write ||
         op == Op::end || op == Op::abort || op == Op::close;
}

}  // namespace

std::byte byte_of(std::size_t connection, unsigned side, std::uint64_t offset) noexcept {
  const std::uint64_t word = scramble(offset / 8 + (connection * 2 + side + 1) * 0x1000003);
  return static_cast<std::byte>(word >> (8 * (offset % 8)));
}

std::vector<std::uint32_t> pieces_of(std::uint32_t size) {
  std::vector<std::uint32_t> pieces{0};
  std::uint32_t next = 1;
  while (size > 0) {
    const std::uint32_t some = std::min(size, next);
    pieces.push_back(some);
    if (next % 3 == 0) pieces.push_back(0);
    size -= some;
    next = next * 2 + 1;
  }
  return pieces;
}

std::string to_text(const Step& step) {
  std::string text;
  if (has_side(step.op))
    text = (step.side == 0 ? "a" : "b") + std::to_string(step.connection) + " ";
  if (step.op == Op::connect) text = "a" + std::to_string(step.connection) + " ";
  text += names[static_cast<std::size_t>(step.op)];
  if (has_size(step.op)) text += " " + std::to_string(step.size);
  return text;
}

std::string to_text(const Script& script) {
  std::string text = "seed " + std::to_string(script.seed) + (script.ipv6 ? ", IPv6" : "") +
                     ", backlog " + std::to_string(script.backlog);
  for (std::size_t side = 0; side < 2; ++side) {
    const std::string who = side == 0 ? "a" : "b";
    if (script.send_buffer[side] != 0)
      text += ", " + who + " sends from " + std::to_string(script.send_buffer[side]);
    if (script.receive_buffer[side] != 0)
      text += ", " + who + " receives into " + std::to_string(script.receive_buffer[side]);
  }
  text += "\n";
  for (const Step& step : script.steps) text += "  " + to_text(step) + "\n";
  return text;
}

Script without_pauses(const Script& script) {
  Script result = script;
  std::erase_if(result.steps,
                [](const Step& step) { return step.op == Op::hop || step.op == Op::settle; });
  return result;
}

Script settled(const Script& script) {
  Script result = script;
  result.steps.clear();
  for (const Step& step : without_pauses(script).steps) {
    result.steps.push_back(step);
    result.steps.push_back({.op = Op::settle});
  }
  return result;
}

}  // namespace twinwire::oracle
