// SPDX-License-Identifier: Apache-2.0
// WebSocket frames (RFC 6455 section 5) that come in any pieces: messages in any fragments, control frames between
// them, cut anywhere, with memory that runs out and a bound that is too small for now. What comes out is what was sent,
// and a read that is told to stop loses nothing of it.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "props/lender.h"
#include "props/ws_rig.h"
#include "transport/ws/ws_decoder.h"

namespace twinwire::sim {
namespace {

using props::Lender;
using ws::Role;
using ws::WsDecoder;

struct Gate final : AllocationGate {
  bool admit(std::size_t) noexcept override { return (pattern >> (asked++ % 64) & 1) == 0; }
  std::uint64_t pattern = 0;
  unsigned asked = 0;
};

// A frame of the wire, with a body that tells which it is.
Bytes message_of(std::size_t size, std::size_t which) {
  Bytes bytes(size);
  for (std::size_t i = header_size; i < size; ++i)
    bytes[i] = static_cast<std::byte>(i * 7 + which * 31);
  store(bytes.data() + offset::size, static_cast<std::uint32_t>(size));
  bytes[offset::command] = std::byte{5};
  return bytes;
}

void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

Bytes frame(Role reader, unsigned first, const Bytes& payload, std::uint32_t key_bits) {
  ws::MaskKey key;
  std::memcpy(key.data(), &key_bits, key.size());
  Bytes out(ws::head_size_max + payload.size());
  const bool masked = reader == Role::server;
  const std::size_t head =
      ws::write_head(out.data(), ws::Opcode::binary, payload.size(), masked ? &key : nullptr);
  out[0] = static_cast<std::byte>(first);
  ws::mask(out.data() + head, payload.data(), payload.size(), masked ? key : ws::MaskKey{}, 0);
  out.resize(head + payload.size());
  return out;
}

// What the decoder says of it, in order.
struct Event {
  char kind;  // m, p, q
  Bytes payload;
  friend bool operator==(const Event&, const Event&) = default;
  friend void showValue(const Event& event, std::ostream& out) {
    out << event.kind << event.payload.size();
  }
};

// Drawn from a seed alone, which is not shrunk: what a failure prints is enough to see it again.
struct Case {
  Role role = Role::server;
  std::vector<Event>
      events;  // a message stands where it is whole: behind the control frames inside it
  Bytes stream;
  std::vector<std::size_t> pieces;
  std::uint64_t refusals = 0;
  std::size_t slack = 0;

  Case() = default;
  Case(std::uint64_t from, Role of) : role(of), seed(from) {
    for (std::size_t i = 1 + draw(5); i > 0; --i) {
      constexpr std::size_t edges[] = {header_size, 65'535, 65'536};
      const std::size_t kind = draw(5);
      add_message(kind == 0   ? edges[draw(3)]
                  : kind == 1 ? header_size + draw(70'000)
                              : header_size + draw(400));
      add_control_frames();
    }
    constexpr std::size_t piece_max[] = {1, 20, 2000, 40'000};
    for (std::size_t i = 1 + draw(20); i > 0; --i) pieces.push_back(1 + draw(piece_max[draw(4)]));
    refusals = scramble(mix(seed, 1)) & scramble(mix(seed, 2));
    slack = draw(3) * draw(50'000);
  }

 private:
  std::uint64_t seed = 0;
  std::uint64_t draws = 2;

  std::size_t draw(std::size_t bound) { return scramble(mix(seed, ++draws)) % bound; }
  std::uint32_t key() { return static_cast<std::uint32_t>(scramble(mix(seed, ++draws))); }

  void add_control_frames() {
    while (draw(3) == 0) {
      const bool ping = draw(2) == 0;
      events.push_back({ping ? 'p' : 'q', pattern(draw(4) == 0 ? 125 : draw(126))});
      append(stream, frame(role, ping ? 0x89 : 0x8a, events.back().payload, key()));
    }
  }
  void add_message(std::size_t size) {
    const Bytes message = message_of(size, events.size());
    std::vector<std::size_t> ends{size};
    for (std::size_t i = draw(6); i > 0; --i) ends.push_back(draw(size + 1));
    std::ranges::sort(ends);  // two that are the same make an empty fragment
    std::size_t from = 0;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      const bool last = i + 1 == ends.size();
      append(stream, frame(role, (last ? 0x80 : 0) | (i == 0 ? 0x02 : 0x00),
                           Bytes(message.begin() + static_cast<std::ptrdiff_t>(from),
                                 message.begin() + static_cast<std::ptrdiff_t>(ends[i])),
                           key()));
      from = ends[i];
      if (!last) add_control_frames();
    }
    events.push_back({'m', message});
  }
};

std::uint64_t any_seed() { return *rc::gen::noShrink(rc::gen::arbitrary<std::uint64_t>()); }

// Everything that comes out. Each event is asked for with a bound that is first too small.
std::vector<Event> decoded(const Case& c, int& lent) {
  BufferPool pool;
  Gate gate;
  gate.pattern = c.refusals;
  pool.set_gate(&gate);
  Lender lender;
  std::vector<Event> events;
  {
    WsDecoder decoder(pool, c.role, false);
    std::size_t at = 0;
    for (std::size_t i = 0; at < c.stream.size(); ++i) {
      const std::size_t n = std::min(c.pieces[i % c.pieces.size()], c.stream.size() - at);
      const auto piece = std::span(c.stream).subspan(at, n);
      const auto space = decoder.direct_space();
      if (i % 2 == 0 && !space.empty()) {
        const std::size_t some = std::min(n, space.size());
        std::memcpy(space.data(), piece.data(), some);
        decoder.commit(some);
        at += some;
      } else {
        decoder.feed(lender.lend(piece, piece.size() + 1 + c.slack));
        at += n;
      }
      std::size_t max = header_size;
      for (;;) {
        const auto got = decoder.next({max, false});
        if (got == WsDecoder::Got::more) break;
        const auto payload = decoder.payload();
        if (got == WsDecoder::Got::bound) {
          max = 100'000;
        } else if (got == WsDecoder::Got::message) {
          const Message message = decoder.take_message();
          events.push_back({'m', Bytes(message.bytes().begin(), message.bytes().end())});
          max = header_size;
        } else if (got == WsDecoder::Got::ping || got == WsDecoder::Got::pong) {
          events.push_back(
              {got == WsDecoder::Got::ping ? 'p' : 'q', Bytes(payload.begin(), payload.end())});
        } else if (got != WsDecoder::Got::no_resources) {
          events.push_back({'!', {}});
          return events;
        }
      }
    }
  }
  lent = lender.out + static_cast<int>(pool.blocks_in_use());
  return events;
}

RC_GTEST_PROP(WsFragments, what_is_sent_comes_out_whatever_the_pieces, ()) {
  const std::uint64_t seed = any_seed();
  const Case c(seed, seed % 2 == 0 ? Role::server : Role::client);
  int lent = 0;
  RC_ASSERT(decoded(c, lent) == c.events);
  RC_ASSERT(lent == 0);
}

// One message, a ping in its middle: every place to split it, every place to cut the stream.
TEST(WsFragments, every_split_and_every_cut) {
  const Bytes message = message_of(300, 1);
  for (const Role role : {Role::server, Role::client})
    for (std::size_t split = 0; split <= message.size(); ++split) {
      const auto middle = message.begin() + static_cast<std::ptrdiff_t>(split);
      Case c;
      c.role = role;
      c.events = {{'p', pattern(5)}, {'m', message}};
      append(c.stream, frame(role, 0x02, Bytes(message.begin(), middle), 0x12345678));
      append(c.stream, frame(role, 0x89, pattern(5), 0x9abcdef0));
      append(c.stream, frame(role, 0x80, Bytes(middle, message.end()), 0x0fedcba9));
      for (std::size_t cut = 1; cut < c.stream.size(); ++cut) {
        c.pieces = {cut, c.stream.size()};
        int lent = 0;
        ASSERT_EQ(decoded(c, lent), c.events) << "split at " << split << ", cut at " << cut;
        ASSERT_EQ(lent, 0);
      }
    }
}

// The same over a connection whose reader is told to stop again and again, by its deadline and by cancellation.
template <class T>
void stopped_reads_lose_nothing(const Case& c) {
  WsRig<T> rig;
  std::vector<Event> messages;
  std::size_t stopped = 0;
  rig.run([&] {
    auto peer = rig.dial_upgraded();
    auto [reader, writer] = split(rig.accept());
    run_scope(rig.world.scheduler(), [&](Scope& scope) {
      scope.spawn("peer", [&] {
        std::size_t at = 0;
        for (std::size_t i = 0; at < c.stream.size(); ++i) {
          const std::size_t n = std::min(c.pieces[i % c.pieces.size()], c.stream.size() - at);
          const auto from = c.stream.begin() + static_cast<std::ptrdiff_t>(at);
          if (!write_all(*peer, Bytes(from, from + static_cast<std::ptrdiff_t>(n)), rig.in(60s)))
            return;
          at += n;
          if (i < 200) rig.sleep(20us);
        }
        (void)write_all(*peer, ws_frame(0x88, {}), rig.in(60s));
        while (peer->read(rig.in(60s)).value_or(Slice()).size() != 0) {}
      });
      for (bool by_deadline = true;; by_deadline = !by_deadline) {
        Result<Message> message = Errc::canceled;
        run_scope(rig.world.scheduler(), [&](Scope& reading) {
          const FiberHandle fiber = reading.spawn("reader", [&] {
            message = reader.read_message(default_max_message,
                                          by_deadline ? rig.in(7us) : Deadline::never());
          });
          rig.sleep(7us);
          rig.world.scheduler().cancel(fiber);
        });
        if (message) {
          messages.push_back({'m', Bytes(message->bytes().begin(), message->bytes().end())});
        } else if (message.error() == Errc::timed_out || message.error() == Errc::canceled) {
          ++stopped;
        } else {
          EXPECT_EQ(message.error(), Errc::closed);
          break;
        }
      }
      peer->abort();
    });
  });
  std::vector<Event> expected;
  std::ranges::copy_if(c.events, std::back_inserter(expected),
                       [](const Event& event) { return event.kind == 'm'; });
  RC_ASSERT(messages == expected);
  RC_ASSERT(stopped > 0U);
}

RC_GTEST_PROP(WsFragments, reads_that_are_told_to_stop_lose_nothing_over_ws, ()) {
  stopped_reads_lose_nothing<Ws>(Case(any_seed(), Role::server));
}
RC_GTEST_PROP(WsFragments, reads_that_are_told_to_stop_lose_nothing_over_wss, ()) {
  stopped_reads_lose_nothing<Wss>(Case(any_seed(), Role::server));
}

// RFC 6455, section 5.3: each byte with the key's byte at its place in the payload modulo four.
TEST(WsFragments, a_mask_is_the_exclusive_or_of_each_byte_with_the_keys) {
  const ws::MaskKey key = {std::byte{0x12}, std::byte{0x34}, std::byte{0x56}, std::byte{0x78}};
  for (std::size_t size = 0; size <= 100; ++size)
    for (std::uint64_t offset = 0; offset < 8; ++offset) {
      std::vector<std::byte> bytes(size);
      for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(7 * i + size);
      std::vector<std::byte> expected(size);
      for (std::size_t i = 0; i < size; ++i) expected[i] = bytes[i] ^ key[(offset + i) % 4];
      std::vector<std::byte> out(size);
      ws::mask(out.data(), bytes.data(), size, key, offset);
      EXPECT_EQ(out, expected) << size << " bytes at " << offset;
      ws::mask(bytes.data(), bytes.data(), size, key, offset);  // where they lie
      EXPECT_EQ(bytes, expected) << size << " bytes at " << offset;
    }
}

}  // namespace
}  // namespace twinwire::sim
