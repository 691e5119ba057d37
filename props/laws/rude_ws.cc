// SPDX-License-Identifier: Apache-2.0
// A rude WebSocket client, byte by byte: what no honest one would send.
#include <algorithm>
#include <string_view>

#include "props/laws/rude_peer.h"
#include "transport/wire/header.h"
#include "transport/ws/ws_frame.h"

namespace twinwire::laws {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::string_view request =
    "GET / HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

void append(Bytes& to, const Bytes& more) { to.insert(to.end(), more.begin(), more.end()); }

// One frame: first byte as it stands, payload masked unless told otherwise.
Bytes frame(Env& env, std::uint8_t first, const Bytes& payload, bool masked = true) {
  ws::MaskKey key;
  for (std::byte& b : key) b = static_cast<std::byte>(env.draw(256));
  Bytes bytes(ws::head_size_max + payload.size());
  const std::size_t head =
      ws::write_head(bytes.data(), ws::Opcode::binary, payload.size(), masked ? &key : nullptr);
  bytes[0] = static_cast<std::byte>(first);
  if (masked)
    ws::mask(bytes.data() + head, payload.data(), payload.size(), key, 0);
  else
    std::copy(payload.begin(), payload.end(), bytes.begin() + static_cast<std::ptrdiff_t>(head));
  bytes.resize(head + payload.size());
  return bytes;
}

Bytes close_payload(std::uint16_t code) {
  return {static_cast<std::byte>(code >> 8), static_cast<std::byte>(code)};
}

// A message in one frame, or in fragments with a ping between them.
Bytes message(Env& env, const Bytes& payload) {
  if (env.draw(3) != 0) return frame(env, 0x82, payload);
  Bytes bytes;
  std::size_t at = 0;
  std::uint8_t opcode = 0x02;
  while (at < payload.size()) {
    const std::size_t n = std::min<std::size_t>(payload.size() - at, 1 + env.draw(400));
    const auto begin = payload.begin() + static_cast<std::ptrdiff_t>(at);
    append(bytes, frame(env, opcode, Bytes(begin, begin + static_cast<std::ptrdiff_t>(n))));
    if (env.draw(4) == 0) append(bytes, frame(env, 0x89, Bytes(env.draw(126))));
    opcode = 0x00;
    at += n;
  }
  append(bytes, frame(env, 0x80, {}));
  return bytes;
}

// What breaks RFC 6455 itself, after good frames.
Bytes rude_frame(Env& env, const Bytes& good) {
  switch (env.draw(13)) {
    case 0: return frame(env, 0x82, good, false);                   // unmasked
    case 1: return frame(env, 0x82 | (0x10 << env.draw(3)), good);  // a reserved bit
    case 2: return frame(env, static_cast<std::uint8_t>(0x83 + env.draw(5)), good);
    case 3: return frame(env, static_cast<std::uint8_t>(0x8b + env.draw(5)), {});
    case 4: return frame(env, 0x81, good);                  // text
    case 5: return frame(env, 0x80, good);                  // a continuation of nothing
    case 6: return frame(env, 0x09, Bytes(env.draw(100)));  // a control frame in fragments
    case 7: return frame(env, 0x89, Bytes(126 + env.draw(100)));
    case 8: return frame(env, 0x88, Bytes(1));
    case 9: return frame(env, 0x88, close_payload(static_cast<std::uint16_t>(env.draw(1000))));
    case 10: {
      Bytes bytes = frame(env, 0x02, good);
      append(bytes, frame(env, 0x82, good));  // a message inside another
      return bytes;
    }
    case 11: {
      Bytes liar = good;
      const std::size_t claimed = good.size() + 1;
      store(liar.data() + offset::size, static_cast<std::uint32_t>(claimed));
      return frame(env, 0x82, liar);
    }
    default: {
      Bytes payload = close_payload(1000);
      payload.push_back(std::byte{0xff});  // not UTF-8
      return frame(env, 0x88, payload);
    }
  }
}

}  // namespace

RudePlan rude_ws_plan_of(Env& env) {
  RudePlan plan = rude_plan_of(env);
  Bytes last = std::move(plan.frames.back());
  plan.frames.pop_back();
  plan.bytes.clear();
  for (const char c : request) plan.bytes.push_back(static_cast<std::byte>(c));
  for (const Bytes& good : plan.frames) append(plan.bytes, message(env, good));
  const Bytes honest = plan.frames.empty() ? Bytes() : plan.frames.back();
  switch (plan.rudeness) {
    case Rudeness::none:
      switch (env.draw(3)) {
        case 0: append(plan.bytes, frame(env, 0x88, close_payload(1000))); break;
        case 1: append(plan.bytes, frame(env, 0x88, {})); break;
        default: plan.expected = Errc::broken; break;  // the end, without a Close
      }
      return plan;
    case Rudeness::cut_header:
    case Rudeness::cut_body: {
      Bytes payload(header_size + env.draw(plan.max - header_size + 1));
      store(payload.data() + offset::size, static_cast<std::uint32_t>(payload.size()));
      Bytes whole = frame(env, 0x82, payload);
      whole.resize(1 + env.draw(whole.size() - 1));
      append(plan.bytes, whole);
      return plan;
    }
    case Rudeness::huge: {
      // A head that announces what its header claims, and nothing behind it.
      Bytes head(ws::head_size_max);
      const ws::MaskKey key{};
      head.resize(ws::write_head(head.data(), ws::Opcode::binary,
                                 load<std::uint32_t>(last.data() + offset::size), &key));
      append(plan.bytes, head);
      append(plan.bytes, last);
      return plan;
    }
    default: break;
  }
  if (env.draw(2) == 0 && !honest.empty())
    append(plan.bytes, rude_frame(env, honest));
  else
    append(plan.bytes, frame(env, 0x82, last));
  return plan;
}

}  // namespace twinwire::laws
