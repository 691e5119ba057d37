// SPDX-License-Identifier: Apache-2.0
// The WebSocket decoder. Input: a byte of options (role, seal), two that bound a message, two for the cut, then the
// stream.
//
// Holds for every stream: cutting it otherwise changes nothing; what RFC 6455 forbids in a head (sections 5.2 to 5.5)
// is a violation, and nothing comes out behind it; a message has its header's size and stays within the bound, as does
// memory; what came out, encoded anew, comes out again; what was lent is given back.
#include "props/fuzz/fuzz.h"
#include "transport/ws/ws_decoder.h"

namespace twinwire::fuzz {
namespace {

using ws::Head;
using ws::Opcode;
using ws::WsDecoder;
using Got = WsDecoder::Got;

struct Outcome {
  std::vector<Bytes> messages;
  std::string events;  // "m300 p4 c1000 !1002"
  bool violation = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome decode(std::span<const std::byte> stream, ws::Role role, bool sealed, std::size_t max,
               Cut cut) {
  BufferPool pool;
  Lender lender;
  Outcome out;
  {
    WsDecoder decoder(pool, role, sealed);
    while (!stream.empty() && !out.violation) {
      feed_next(decoder, lender, stream, cut);
      for (Got got; !out.violation && (got = decoder.next({max, true})) != Got::more;) {
        switch (got) {
          case Got::message: {
            const Message message = decoder.take_message();
            FUZZ_CHECK(message.size() >= header_size && message.size() <= max,
                       "a message is within the bound");
            FUZZ_CHECK(
                message.size() == message.header().size() && message.header().command_byte() <= 12,
                "a message is what its header says");
            out.messages.emplace_back(message.bytes().begin(), message.bytes().end());
            out.events += "m" + std::to_string(message.size()) + " ";
            break;
          }
          case Got::ping:
          case Got::pong: {
            const auto payload = decoder.payload();
            FUZZ_CHECK(payload.size() <= ws::control_payload_max, "a control frame is small");
            out.events += got == Got::ping ? "p" : "q";
            out.events.append(reinterpret_cast<const char*>(payload.data()), payload.size());
            out.events += " ";
            break;
          }
          case Got::close:
            FUZZ_CHECK(decoder.close_code() == ws::close_none ||
                           ws::is_valid_close_code(decoder.close_code()),
                       "a close code is one that may be sent");
            out.events += "c" + std::to_string(decoder.close_code()) + " ";
            break;
          case Got::violation:
            out.violation = true;
            FUZZ_CHECK(ws::is_valid_close_code(decoder.fault()), "the answer is a valid code");
            FUZZ_CHECK(decoder.next({max, true}) == Got::violation, "a violation is final");
            out.events += "!" + std::to_string(decoder.fault());
            break;
          default: FUZZ_CHECK(false, "nothing was out of bounds and no memory ran out");
        }
      }
    }
    FUZZ_CHECK(pool.bytes_in_use_max() <= 4 * max + 4096,
               "memory is bounded by the message's bound");
  }
  FUZZ_CHECK(lender.out == 0 && pool.blocks_in_use() == 0, "what was lent is given back");
  return out;
}

// How many messages are whole before the first head that the RFC forbids; none of that kind: SIZE_MAX.
std::size_t messages_before_forbidden_head(std::span<const std::byte> stream, ws::Role role) {
  bool in_message = false;
  std::size_t messages = 0;
  while (stream.size() >= 2 && stream.size() >= ws::head_size(stream.data())) {
    const Head head = ws::parse_head(stream.data());
    const bool control = ws::is_control(head.opcode);
    const bool known = head.opcode <= 2 || (head.opcode >= 8 && head.opcode <= 10);
    const bool in_turn = control || (head.opcode == 0) == in_message;
    if (head.reserved != 0 || head.masked != (role == ws::Role::server) || !known || !in_turn ||
        !head.minimal || head.length >> 63 != 0 || head.opcode == 1 ||
        (control && (!head.fin || head.length > ws::control_payload_max)))
      return messages;
    if (!control) in_message = !head.fin;
    if (stream.size() - head.size < head.length || head.opcode == 8) break;
    if (!control && head.fin) ++messages;
    stream = stream.subspan(head.size + static_cast<std::size_t>(head.length));
  }
  return SIZE_MAX;
}

constexpr ws::MaskKey key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

Bytes encoded(std::span<const std::byte> payload, ws::Role to, unsigned first_byte = 0x82) {
  Bytes out(ws::head_size_max + payload.size());
  const bool masked = to == ws::Role::server;
  const std::size_t head =
      ws::write_head(out.data(), Opcode::binary, payload.size(), masked ? &key : nullptr);
  out[0] = static_cast<std::byte>(first_byte);
  if (masked)
    ws::mask(out.data() + head, payload.data(), payload.size(), key, 0);
  else if (!payload.empty())
    std::memcpy(out.data() + head, payload.data(), payload.size());
  out.resize(head + payload.size());
  return out;
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  for (const ws::Role role : {ws::Role::server, ws::Role::client}) {
    const auto add = [&](const std::vector<Bytes>& frames) {
      Bytes seed{static_cast<std::byte>(role == ws::Role::server), std::byte{0xff}, std::byte{0x0f},
                 std::byte{1}, std::byte{2}};
      for (const Bytes& one : frames) append(seed, one);
      all.push_back(seed);
    };
    const Bytes whole = frame(600);
    const std::span<const std::byte> parts(whole);
    add({encoded(frame(256), role), encoded(frame(400), role)});
    add({encoded(parts.first(100), role, 0x02), encoded(bytes_of("ping"), role, 0x89),
         encoded(parts.subspan(100, 300), role, 0x00), encoded(parts.subspan(400), role, 0x80)});
    add({encoded(bytes_of("pong"), role, 0x8a), encoded(bytes_of("\x03\xe8"
                                                                 "bye"),
                                                        role, 0x88)});
    add({encoded(parts, role, 0x80)});       // a continuation of nothing
    add({encoded(parts.first(500), role)});  // less than its header says
    add({encoded(frame(0xfff), role)});      // within the bound
    add({encoded(frame(0x1100), role)});     // at the bound
    add({encoded(frame(0x1200), role)});     // beyond it
    add({encoded(bytes_of("text"), role, 0x81)});
    add({encoded(parts, role, 0xc2)});
    add({encoded({}, role, 0x88), encoded(parts, role)});
  }
  return all;
}

}  // namespace twinwire::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace twinwire::fuzz;
  namespace ws = twinwire::ws;
  Input input(data, size);
  const unsigned options = input.byte();
  const ws::Role role = (options & 1) != 0 ? ws::Role::server : ws::Role::client;
  const bool sealed = (options & 2) != 0;
  const std::size_t max = twinwire::header_size + input.word();
  const std::uint16_t salt = input.word();
  const auto stream = input.rest();
  const Outcome whole = decode(stream, role, sealed, max, {Cut::How::whole});
  for (const Cut& cut :
       {Cut{Cut::How::pieces, salt},
        Cut{stream.size() < 2000 ? Cut::How::bytes : Cut::How::pieces, ~salt * 1U}})
    FUZZ_CHECK(decode(stream, role, sealed, max, cut) == whole, "the cut changes nothing");
  if (const std::size_t before = messages_before_forbidden_head(stream, role); before != SIZE_MAX) {
    FUZZ_CHECK(whole.violation, "what the RFC forbids is a violation");
    FUZZ_CHECK(whole.messages.size() <= before, "nothing comes out behind it");
  }
  Bytes again;
  for (const Bytes& message : whole.messages) append(again, encoded(message, role));
  FUZZ_CHECK(decode(again, role, sealed, max, {Cut::How::pieces, salt}).messages == whole.messages,
             "what came out comes out again");
  return 0;
}
