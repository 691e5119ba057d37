// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/generator.h"

#include "transport/base/mix.h"

namespace twinwire::oracle {
namespace {

// More than this is not left unread in one direction, unless its buffers are small on purpose: the World's are smaller
// than the kernel's, and what fits is no part of the truth.
constexpr std::uint32_t unread_max = 40'000;
constexpr std::uint32_t small_buffer = 4096;
constexpr std::uint32_t fill = 200'000;

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : seed_(seed) { script_.seed = seed; }

  Script make() {
    connections_ = chance(30) ? 2 + below(2) : 1;
    tempo_ = static_cast<unsigned>(below(4));
    if (chance(15)) script_.backlog = static_cast<int>(below(2));
    for (std::size_t side = 0; side < 2; ++side) {
      if (chance(20)) script_.send_buffer[side] = small_buffer;
      if (chance(20)) script_.receive_buffer[side] = small_buffer;
    }
    if (chance(3)) add({.op = Op::close_listener});
    const std::uint64_t length = 4 + below(16);
    if (!chance(5)) add({.op = Op::connect});
    if (!chance(15)) {
      if (chance(90)) script_.steps.push_back({.op = Op::settle});
      add({.op = Op::accept});
    }
    for (std::uint64_t i = 0; i < length; ++i) add(draw());
    if (chance(50)) {
      // What is left over tells what went before.
      script_.steps.push_back({.op = Op::settle});
      for (std::uint8_t c = 0; c < static_cast<std::uint8_t>(connections_); ++c)
        for (std::uint8_t side = 0; side < 2; ++side)
          for (const Op op : {Op::await_write, Op::await_read, Op::drain})
            script_.steps.push_back({op, c, side, 0});
    }
    return script_;
  }

 private:
  std::uint64_t draw_word() { return scramble(mix(seed_, ++drawn_)); }
  std::uint64_t below(std::uint64_t n) { return draw_word() % n; }
  bool chance(std::uint64_t percent) { return below(100) < percent; }

  void add(const Step& step) {
    script_.steps.push_back(step);
    // Four tempi: everything settles; hop by hop; nothing pauses; all mixed.
    switch (tempo_) {
      case 0: script_.steps.push_back({.op = Op::settle}); break;
      case 1: script_.steps.push_back({.op = Op::hop}); break;
      case 2: break;
      default:
        if (const std::uint64_t pause = below(3); pause != 0)
          script_.steps.push_back({.op = pause == 1 ? Op::hop : Op::settle});
    }
  }

  std::uint32_t size(std::uint8_t connection, std::uint8_t side) {
    if (script_.send_buffer[side] != 0 && script_.receive_buffer[1 - side] != 0 && chance(25))
      return fill;
    const std::uint64_t wanted = chance(60) ? 1 + below(100) : 1 + below(8000);
    std::uint32_t& written = written_[connection][side];
    if (written + wanted > unread_max) return 1;
    written += static_cast<std::uint32_t>(wanted);
    return static_cast<std::uint32_t>(wanted);
  }

  Step draw() {
    const auto connection = static_cast<std::uint8_t>(below(connections_));
    const auto side = static_cast<std::uint8_t>(below(2));
    const std::uint64_t what = below(100);
    if (what < 4)
      return {Op::begin_read, connection, side, static_cast<std::uint32_t>(1 + below(6000))};
    if (what < 8) return {Op::begin_write, connection, side, size(connection, side)};
    if (what < 12) return {chance(50) ? Op::await_read : Op::await_write, connection, side, 0};
    if (what < 30)
      return {chance(70) ? Op::write : Op::write_pieces, connection, side, size(connection, side)};
    if (what < 40) return {Op::read, connection, side, static_cast<std::uint32_t>(1 + below(3000))};
    if (what < 50)
      return {Op::read_once, connection, side, static_cast<std::uint32_t>(1 + below(3000))};
    if (what < 57) return {Op::drain, connection, side, 0};
    if (what < 69) return {Op::end, connection, side, 0};
    if (what < 75) return {Op::abort, connection, side, 0};
    if (what < 82) return {Op::close, connection, side, 0};
    if (what < 88) return {.op = Op::connect, .connection = connection};
    if (what < 94) return {.op = Op::accept};
    if (what < 97) return {.op = Op::close_listener};
    return {.op = Op::listen};
  }

  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  std::uint64_t connections_ = 1;
  unsigned tempo_ = 0;
  std::array<std::array<std::uint32_t, 2>, connections_max> written_{};
  Script script_;
};

}  // namespace

Script script_of(std::uint64_t seed) { return Generator(seed).make(); }

}  // namespace twinwire::oracle
