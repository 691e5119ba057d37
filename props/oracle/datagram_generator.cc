// SPDX-License-Identifier: Apache-2.0
// Draws scripts of datagram calls.
#include <algorithm>

#include "props/oracle/datagram_script.h"
#include "transport/base/mix.h"

namespace twinwire::oracle {
namespace {

// No socket has more than this unread, unless its buffer is small on purpose: the World and the kernel charge
// different sums for a datagram.
constexpr std::uint32_t unread_bytes_max = 70'000;
constexpr std::uint32_t unread_datagrams_max = 60;
constexpr std::uint32_t small_receive_buffer = 4096;
constexpr std::uint32_t payload_max4 = 65'507;
constexpr std::uint32_t payload_max6 = 65'527;

class DatagramGenerator {
 public:
  DatagramGenerator(std::uint64_t seed, bool one_host) : seed_(seed) {
    script_.seed = seed;
    script_.one_host = one_host;
  }

  DatagramScript make() {
    tempo_ = script_.one_host ? 0 : static_cast<unsigned>(below(4));
    for (std::uint32_t& size : script_.receive_buffer)
      if (chance(15)) size = small_receive_buffer;
    const std::uint64_t length = 4 + below(16);
    for (std::uint8_t socket = 0; socket < datagram_sockets; ++socket)
      if (chance(script_.one_host ? 50 : 75)) add(bind(socket));
    for (std::uint64_t i = 0; i < length; ++i) add(draw());
    // What is left over tells what went before.
    script_.steps.push_back({.op = DatagramOp::settle});
    for (std::uint8_t socket = 0; socket < datagram_sockets; ++socket)
      for (const DatagramOp op : {DatagramOp::await_receive, DatagramOp::receive})
        script_.steps.push_back({.op = op, .socket = socket, .count = 255});
    return script_;
  }

 private:
  std::uint64_t draw_word() { return scramble(mix(seed_ ^ 0xda7a, ++drawn_)); }
  std::uint64_t below(std::uint64_t n) { return draw_word() % n; }
  bool chance(std::uint64_t percent) { return below(100) < percent; }

  void add(const DatagramStep& step) {
    script_.steps.push_back(step);
    const std::uint64_t pause = tempo_ == 0 ? 2 : tempo_ == 1 ? 1 : tempo_ == 2 ? 0 : below(3);
    if (pause == 1) script_.steps.push_back({.op = DatagramOp::hop});
    if (pause == 2) script_.steps.push_back({.op = DatagramOp::settle});
  }

  Place here() {
    if (!script_.one_host) return chance(60) ? Place::own4 : Place::any4;
    constexpr Place places[] = {Place::any4,  Place::any6, Place::loop4,
                                Place::loop6, Place::own4, Place::own6};
    return places[below(std::size(places))];
  }

  DatagramStep bind(std::uint8_t socket) {
    Place place = here();
    if (chance(5)) place = chance(50) ? Place::nobody4 : Place::far4;
    const auto port = static_cast<std::uint8_t>(chance(50) ? 0 : 1 + below(3));
    return {.op = DatagramOp::bind, .socket = socket, .place = place, .port = port};
  }

  Place there() {
    if (!script_.one_host) return chance(90) ? Place::far4 : Place::nobody4;
    constexpr Place places[] = {Place::loop4, Place::loop6, Place::own4, Place::own6,
                                Place::loop4, Place::own4,  Place::any4, Place::any6};
    return places[below(std::size(places))];
  }

  DatagramStep send() {
    DatagramStep step{.op = DatagramOp::send, .socket = socket(), .place = there()};
    step.to = script_.one_host ? socket()
                               : static_cast<std::uint8_t>((step.socket < 2 ? 2 : 0) + below(2));
    if (chance(6)) step.to = chance(60) ? to_nobodys_port : to_port_zero;
    if (chance(3)) step.op = DatagramOp::send_late;
    if (chance(20)) step.ecn = static_cast<Ecn>(1 + below(3));
    if (chance(10))
      step.source = script_.one_host ? here() : chance(70) ? Place::own4 : Place::far4;
    if (step.source == Place::any4) step.source = Place::any6;
    step.count = static_cast<std::uint8_t>(chance(70) ? 1 : 1 + below(20));
    step.size = static_cast<std::uint32_t>(chance(20)   ? 0
                                           : chance(70) ? 1 + below(100)
                                                        : 1 + below(1400));
    if (chance(4))
      step.size = (is_v4(step.place) ? payload_max4 : payload_max6) + (chance(50) ? 0 : 1);
    // What an interface's MTU allows over IPv6 is no part of the truth.
    if (!is_v4(step.place) && step.size == payload_max6) step.size = 60'000;
    if (chance(10)) step.segment_size = static_cast<std::uint16_t>(1 + below(step.size / 20 + 300));
    // More than a small receive buffer, which takes it all the same where it is empty.
    if (step.to < datagram_sockets && script_.receive_buffer[step.to] != 0 && chance(8)) {
      step.size = static_cast<std::uint32_t>(5000 + below(50'000));
      step.segment_size = 0;
      step.count = 1;
    }
    bound(step);
    if (step.count > 1 && step.segment_size == 0 && chance(15)) step.last_size = payload_max6 + 1;
    return step;
  }

  // Sends no more than may be unread.
  void bound(DatagramStep& step) {
    if (step.to >= datagram_sockets) return;
    if (script_.receive_buffer[step.to] != 0 && !bursts_ && chance(30) && step.size < 300) {
      // On one host it may reach another than meant, of the same port: one that has room.
      bursts_ = script_.one_host;
      step.count = 120;
      return;
    }
    std::uint32_t& bytes = bytes_[step.to];
    std::uint32_t& datagrams = datagrams_[step.to];
    const std::uint32_t segments = step.segment_size == 0 ? 1 : step.size / step.segment_size + 1;
    if (datagrams + segments > unread_datagrams_max || bytes + step.size > unread_bytes_max)
      step.size = step.segment_size = 0;
    const auto more = static_cast<std::uint32_t>(step.segment_size == 0 ? 1 : segments);
    const std::uint32_t room =
        std::min((unread_datagrams_max - std::min(datagrams, unread_datagrams_max)) / more,
                 (unread_bytes_max - bytes) / std::max(step.size, 1u));
    step.count =
        static_cast<std::uint8_t>(std::clamp<std::uint32_t>(step.count, 1, std::max(room, 1u)));
    bytes += step.count * step.size;
    datagrams += step.count * more;
  }

  std::uint8_t socket() { return static_cast<std::uint8_t>(below(datagram_sockets)); }

  DatagramStep draw() {
    const std::uint64_t what = below(100);
    if (what < 45) return send();
    if (what < 62)
      return {.op = DatagramOp::receive,
              .socket = socket(),
              .count = static_cast<std::uint8_t>(1 + below(10))};
    if (what < 70)
      return {.op = DatagramOp::begin_receive,
              .socket = socket(),
              .count = static_cast<std::uint8_t>(1 + below(4))};
    if (what < 76) return {.op = DatagramOp::await_receive, .socket = socket()};
    if (what < 90) return bind(socket());
    return {.op = DatagramOp::close, .socket = socket()};
  }

  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  unsigned tempo_ = 0;
  bool bursts_ = false;
  std::array<std::uint32_t, datagram_sockets> bytes_{};
  std::array<std::uint32_t, datagram_sockets> datagrams_{};
  DatagramScript script_;
};

}  // namespace

DatagramScript datagram_script_of(std::uint64_t seed, bool one_host) {
  return DatagramGenerator(seed, one_host).make();
}

}  // namespace twinwire::oracle
