// SPDX-License-Identifier: Apache-2.0
// WsDecoder against RFC 6455, sections 5 to 7, case by case: each whole, and with its stream cut at every byte. And the
// upgrade (section 4) as text. Generated streams are in ws_fragments_prop.cc.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "props/lender.h"
#include "transport/ws/ws_decoder.h"
#include "transport/ws/ws_upgrade.h"

namespace twinwire::ws {
namespace {

using props::Lender;
using Bytes = std::vector<std::byte>;
using Got = WsDecoder::Got;

constexpr MaskKey key{std::byte{0x37}, std::byte{0xfa}, std::byte{0x21}, std::byte{0x3d}};

// `first`: the first byte as it stands; `length`: what the head says, where it is not the payload's.
Bytes frame(unsigned first, const Bytes& payload, bool masked = true, std::int64_t length = -1) {
  Bytes out(head_size_max + payload.size());
  const std::size_t head = write_head(
      out.data(), Opcode::binary, length >= 0 ? static_cast<std::uint64_t>(length) : payload.size(),
      masked ? &key : nullptr);
  out[0] = static_cast<std::byte>(first);
  if (masked)
    mask(out.data() + head, payload.data(), payload.size(), key, 0);
  else if (!payload.empty())
    std::memcpy(out.data() + head, payload.data(), payload.size());
  out.resize(head + payload.size());
  return out;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes text(std::string_view s) {
  const auto* first = reinterpret_cast<const std::byte*>(s.data());
  return Bytes(first, first + s.size());
}

Bytes close_payload(unsigned code, std::string_view reason = "") {
  return Bytes{static_cast<std::byte>(code >> 8), static_cast<std::byte>(code)} + text(reason);
}

// A frame of the wire: header and a body with a pattern.
Bytes wire(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = header_size; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7);
  if (size >= header_size) {
    store(bytes.data() + offset::size, static_cast<std::uint32_t>(size));
    bytes[offset::command] = std::byte{5};
  }
  return bytes;
}

// Everything that comes out: "m300 p4 c1000 !1002".
std::string decoded(const Bytes& stream, std::size_t cut, Role role = Role::server,
                    std::size_t max = 100'000) {
  BufferPool pool;
  Lender lender;
  WsDecoder decoder(pool, role, false);
  std::string out;
  std::size_t at = 0;
  while (at < stream.size()) {
    const std::size_t n =
        std::min(at == 0 && cut != 0 ? cut : stream.size() - at, stream.size() - at);
    decoder.feed(lender.lend(std::span(stream).subspan(at, n)));
    at += n;
    for (Got got; (got = decoder.next({max, true})) != Got::more;) {
      switch (got) {
        case Got::message: {
          const Message message = decoder.take_message();
          const Bytes expected = wire(message.size());
          const bool same =
              std::memcmp(message.bytes().data(), expected.data(), expected.size()) == 0;
          out += (same ? "m" : "damaged") + std::to_string(message.size()) + " ";
          break;
        }
        case Got::ping: out += "p" + std::to_string(decoder.payload().size()) + " "; break;
        case Got::pong: out += "q" + std::to_string(decoder.payload().size()) + " "; break;
        case Got::close: out += "c" + std::to_string(decoder.close_code()) + " "; break;
        case Got::violation: return out + "!" + std::to_string(decoder.fault()) + " ";
        default: return out + "?";
      }
    }
  }
  return out;
}

struct Strictness {
  std::string what;
  Bytes stream;
  std::string expected;
  Role role = Role::server;
};

std::vector<Strictness> table() {
  std::vector<Strictness> all;
  const auto add = [&](std::string what, Bytes stream, std::string expected) {
    all.push_back({std::move(what), std::move(stream), std::move(expected), Role::server});
  };
  const Bytes good = frame(0x82, wire(300));
  // Reserved bits and opcodes (5.2).
  for (unsigned bits = 1; bits < 8; ++bits)
    for (const unsigned opcode : {0x0U, 0x2U, 0x8U, 0x9U, 0xaU})
      add("reserved bits " + std::to_string(bits) + " opcode " + std::to_string(opcode),
          good + frame(0x80 | bits << 4 | opcode, {}), "m300 !1002 ");
  for (const unsigned opcode : {3U, 4U, 5U, 6U, 7U, 11U, 12U, 13U, 14U, 15U})
    for (const bool fin : {true, false})
      for (const std::size_t size : {std::size_t{0}, std::size_t{100}})
        add("reserved opcode " + std::to_string(opcode),
            frame((fin ? 0x80 : 0) | opcode, Bytes(size)), "!1002 ");
  // Control frames (5.5): at most 125 bytes, never in fragments.
  for (const std::size_t size : {0, 1, 2, 64, 124, 125}) {
    add("ping", frame(0x89, Bytes(size)) + good, "p" + std::to_string(size) + " m300 ");
    add("pong", frame(0x8a, Bytes(size)) + good, "q" + std::to_string(size) + " m300 ");
  }
  for (const unsigned opcode : {8U, 9U, 10U}) {
    for (const std::size_t size : {126, 127, 300, 65535, 65536})
      add("long control " + std::to_string(opcode), frame(0x80 | opcode, Bytes(size)), "!1002 ");
    for (const std::size_t size : {0, 2, 125})
      add("fragmented control " + std::to_string(opcode), frame(opcode, Bytes(size)), "!1002 ");
  }
  // Masks (5.1): from a client always, from a server never.
  for (const unsigned opcode : {0U, 1U, 2U, 8U, 9U, 10U}) {
    add("unmasked " + std::to_string(opcode), frame(0x80 | opcode, {}, false), "!1002 ");
    all.push_back({"masked from a server " + std::to_string(opcode), frame(0x80 | opcode, {}),
                   "!1002 ", Role::client});
  }
  // Lengths (5.2): the shortest form, and the top bit clear.
  for (const unsigned length : {0U, 1U, 125U})
    add("two bytes for " + std::to_string(length),
        Bytes{std::byte{0x82}, std::byte{0xfe}, std::byte{0}, static_cast<std::byte>(length)} +
            Bytes(4),
        "!1002 ");
  for (const unsigned length : {0U, 125U, 126U, 65535U})
    add("eight bytes for " + std::to_string(length),
        Bytes{std::byte{0x82}, std::byte{0xff}} + Bytes(6) +
            Bytes{static_cast<std::byte>(length >> 8), static_cast<std::byte>(length)} + Bytes(4),
        "!1002 ");
  for (const unsigned top : {0x80U, 0xc0U, 0xffU})
    add("top bit", Bytes{std::byte{0x82}, std::byte{0xff}, static_cast<std::byte>(top)} + Bytes(11),
        "!1002 ");
  add("too long", Bytes{std::byte{0x82}, std::byte{0xff}, std::byte{0x7f}} + Bytes(11), "!1009 ");
  // Fragments (5.4).
  add("continuation of nothing", frame(0x80, wire(300)), "!1002 ");
  add("continuation of nothing, more to come", frame(0x00, wire(300)), "!1002 ");
  add("continuation after a whole message", good + frame(0x80, {}), "m300 !1002 ");
  add("binary inside a message", frame(0x02, Bytes(10)) + frame(0x82, wire(300)), "!1002 ");
  add("text inside a message", frame(0x02, Bytes(10)) + frame(0x81, {}), "!1002 ");
  for (const std::size_t split : {0, 1, 2, 125, 126, 127, 255, 256, 257, 299, 300}) {
    const Bytes whole = wire(300);
    const auto middle = whole.begin() + static_cast<std::ptrdiff_t>(split);
    const Bytes a(whole.begin(), middle);
    const Bytes b(middle, whole.end());
    add("two fragments", frame(0x02, a) + frame(0x80, b), "m300 ");
    add("with an empty one between", frame(0x02, a) + frame(0x00, {}) + frame(0x80, b), "m300 ");
    add("with a ping between", frame(0x02, a) + frame(0x89, Bytes(5)) + frame(0x80, b), "p5 m300 ");
    add("with a Close between", frame(0x02, a) + frame(0x88, {}) + frame(0x80, b), "c0 ");
    add("one byte more than its header says", frame(0x02, a) + frame(0x80, b + Bytes(1)), "!1008 ");
  }
  // Text (5.6): this transport has none.
  add("text", frame(0x81, text("hello")), "!1003 ");
  add("empty text", frame(0x81, {}), "!1003 ");
  add("text in fragments", frame(0x01, text("hel")) + frame(0x80, text("lo")), "!1003 ");
  add("text that is no UTF-8", frame(0x81, Bytes(3, std::byte{0xff})), "!1003 ");
  // Close (5.5.1, 7.4).
  add("empty Close", frame(0x88, {}), "c0 ");
  add("Close of one byte", frame(0x88, Bytes(1)), "!1002 ");
  for (const unsigned code : {1000U, 1001U, 1002U, 1003U, 1007U, 1008U, 1009U, 1010U, 1011U, 1012U,
                              1013U, 1014U, 3000U, 3999U, 4000U, 4999U}) {
    add("Close " + std::to_string(code), frame(0x88, close_payload(code)),
        "c" + std::to_string(code) + " ");
    add("Close with a reason", frame(0x88, close_payload(code, "gr\xc3\xbc\xc3\x9f")),
        "c" + std::to_string(code) + " ");
  }
  for (const unsigned code :
       {0U, 1U, 999U, 1004U, 1005U, 1006U, 1015U, 1016U, 1100U, 2000U, 2999U, 5000U, 65535U})
    add("Close " + std::to_string(code), frame(0x88, close_payload(code)), "!1002 ");
  for (const std::string_view bad :
       {"\x80", "\xff", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80",
        "\xed\xbf\xbf", "\xe2\x82", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xf0\x9f\x98", "ok\xfe"})
    add("a reason that is no UTF-8", frame(0x88, close_payload(1000, bad)), "!1007 ");
  for (const std::string_view fine :
       {"a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    add("a reason in UTF-8", frame(0x88, close_payload(1000, fine)), "c1000 ");
  add("the longest reason", frame(0x88, close_payload(1000, std::string(123, 'r'))), "c1000 ");
  add("a reason of one byte too many", frame(0x88, close_payload(1000, std::string(124, 'r'))),
      "!1002 ");
  add("a Close of one byte that is cut into fragments", frame(0x08, Bytes(1)), "!1002 ");
  // What a client takes from a server: the same, unmasked.
  const auto from_server = [&](std::string what, Bytes stream, std::string expected) {
    all.push_back({std::move(what), std::move(stream), std::move(expected), Role::client});
  };
  for (const std::size_t size : {256, 300, 65'535, 65'536})
    from_server("a message", frame(0x82, wire(size), false), "m" + std::to_string(size) + " ");
  for (const std::size_t size : {0, 1, 125}) {
    from_server("ping", frame(0x89, Bytes(size), false), "p" + std::to_string(size) + " ");
    from_server("pong", frame(0x8a, Bytes(size), false), "q" + std::to_string(size) + " ");
  }
  const Bytes in_two = wire(300);
  from_server("fragments, a ping and a pong between them",
              frame(0x02, Bytes(in_two.begin(), in_two.begin() + 100), false) +
                  frame(0x89, {}, false) + frame(0x8a, Bytes(3), false) +
                  frame(0x80, Bytes(in_two.begin() + 100, in_two.end()), false),
              "p0 q3 m300 ");
  from_server("Close", frame(0x88, close_payload(1001), false), "c1001 ");
  from_server("a bad close code", frame(0x88, close_payload(1005), false), "!1002 ");
  from_server("text", frame(0x81, text("hello"), false), "!1003 ");
  from_server("reserved bits", frame(0xc2, wire(300), false), "!1002 ");
  from_server("a masked message after a good one",
              frame(0x82, wire(300), false) + frame(0x82, wire(300)), "m300 !1002 ");
  add("an unmasked message after a good one", good + frame(0x82, wire(300), false), "m300 !1002 ");
  // Control frames between control frames, and the answers in the order of the pings.
  add("pings in a row", frame(0x89, Bytes(1)) + frame(0x89, Bytes(2)) + frame(0x8a, Bytes(3)),
      "p1 p2 q3 ");
  add("a ping before Close", frame(0x89, Bytes(1)) + frame(0x88, {}), "p1 c0 ");
  add("a violation before Close", frame(0x83, {}) + frame(0x88, {}), "!1002 ");
  add("anything after Close", frame(0x88, {}) + Bytes(50, std::byte{0xff}), "c0 ");
  // The frame inside: its size, its command.
  for (const std::size_t size : {0, 1, 100, 255}) {
    add("undersized", frame(0x82, Bytes(size)), "!1008 ");
    add("undersized in fragments", frame(0x02, Bytes(size)) + frame(0x80, {}), "!1008 ");
  }
  for (const std::size_t size : {256, 300, 4096}) {
    Bytes more = wire(size);
    store(more.data() + offset::size, static_cast<std::uint32_t>(size + 1));
    add("a size field over the payload", frame(0x82, more), "!1008 ");
    Bytes less = wire(size);
    store(less.data() + offset::size, static_cast<std::uint32_t>(size - 1));
    add("a size field under the payload", frame(0x82, less), "!1008 ");
  }
  Bytes unknown = wire(300);
  unknown[offset::command] = std::byte{13};
  add("unknown command", frame(0x82, unknown), "!1008 ");
  add("the maximum", frame(0x82, wire(100'000)), "m100000 ");
  add("over the maximum", frame(0x82, wire(100'001)), "!1009 ");
  Bytes claims = wire(300);
  store(claims.data() + offset::size, std::uint32_t{100'001});
  add("over the maximum in fragments", frame(0x02, claims), "!1009 ");
  return all;
}

TEST(WsStrictness, has_200_cases_and_each_holds_whole_and_cut_anywhere) {
  const auto all = table();
  EXPECT_GE(all.size(), 200U);
  for (const Strictness& one : all)
    for (std::size_t cut = 0; cut < std::min<std::size_t>(one.stream.size(), 700); ++cut)
      ASSERT_EQ(decoded(one.stream, cut, one.role), one.expected) << one.what << ", cut at " << cut;
  std::printf("%zu strictness cases\n", all.size());
}

TEST(WsCodec, unmasked_messages_are_handed_out_where_they_lie) {
  BufferPool pool;
  Lender lender;
  WsDecoder decoder(pool, Role::client, false);
  decoder.feed(lender.lend(frame(0x82, wire(5000), false)));
  ASSERT_EQ(decoder.next({100'000, true}), Got::message);
  EXPECT_EQ(decoder.take_message().size(), 5000U);
  EXPECT_EQ(pool.allocations(), 0U);
}

std::string request(std::string_view change = "", std::string_view to = "") {
  std::string text = upgrade_request("/", "host:80", "", "dGhlIHNhbXBsZSBub25jZQ==");
  if (!change.empty()) text.replace(text.find(change), change.size(), to);
  return text;
}

TEST(WsUpgrade, answers_what_it_is_asked) {
  EXPECT_EQ(accept_value("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  UpgradePolicy policy;
  const auto status = [&](const std::string& head) { return answer_upgrade(head, policy).status; };
  EXPECT_EQ(status(request()), 101U);
  EXPECT_EQ(status(request("GET / ", "GET /?x=1 ")), 101U);
  EXPECT_EQ(status(request("GET", "POST")), 405U);
  EXPECT_EQ(status(request("HTTP/1.1", "HTTP/1.0")), 505U);
  EXPECT_EQ(status(request("GET / ", "GET /other ")), 404U);
  EXPECT_EQ(status(request("Host: host:80\r\n", "")), 400U);
  EXPECT_EQ(status(request("Host: host:80\r\n", "Host: a\r\nHost: b\r\n")), 400U);
  EXPECT_EQ(status(request("Upgrade: websocket\r\n", "")), 426U);
  EXPECT_EQ(status(request("Upgrade: websocket", "Upgrade: h2c, WebSocket")), 101U);
  EXPECT_EQ(status(request("Connection: Upgrade", "Connection: keep-alive")), 400U);
  EXPECT_EQ(status(request("Version: 13", "Version: 8")), 426U);
  EXPECT_EQ(status(request("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=")), 400U);
  EXPECT_EQ(status(request("Upgrade: websocket", "Content-Length: 3\r\nUpgrade: websocket")), 400U);
  EXPECT_EQ(status("nonsense\r\n\r\n"), 400U);
  policy.origins = {"https://good"};
  EXPECT_EQ(status(request()), 101U);
  EXPECT_EQ(status(request("Upgrade: websocket", "Origin: https://evil\r\nUpgrade: websocket")),
            403U);
  EXPECT_EQ(status(request("Upgrade: websocket", "Origin: https://good\r\nUpgrade: websocket")),
            101U);
  policy.hosts = {"other"};
  EXPECT_EQ(status(request()), 403U);
  EXPECT_EQ(status(request("Host: host:80", "Host: OTHER")), 101U);
}

TEST(WsUpgrade, offered_compression_is_not_accepted_and_a_reply_with_it_is_refused) {
  const auto answer =
      answer_upgrade(request("Upgrade: websocket",
                             "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: websocket"),
                     {});
  EXPECT_EQ(answer.status, 101U);
  EXPECT_EQ(answer.text.find("Extensions"), std::string::npos);
  EXPECT_TRUE(upgrade_accepted(answer.text, "dGhlIHNhbXBsZSBub25jZQ=="));
  EXPECT_FALSE(upgrade_accepted(answer.text, "AGhlIHNhbXBsZSBub25jZQ=="));
  std::string with = answer.text;
  with.insert(with.size() - 2, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  EXPECT_FALSE(upgrade_accepted(with, "dGhlIHNhbXBsZSBub25jZQ=="));
}

}  // namespace
}  // namespace twinwire::ws
