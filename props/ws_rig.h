// SPDX-License-Identifier: Apache-2.0
// For the tests of WebSocket in the World: a listener whose refusals are written down, and a client that speaks byte by
// byte, over TLS where the transport has it.
#pragma once

#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "props/laws/test_credentials.h"
#include "props/sim_rig.h"
#include "transport/tls/tls_stream.h"
#include "transport/ws/ws.h"
#include "transport/ws/ws_frame.h"
#include "transport/ws/ws_upgrade.h"
#include "transport/wss/wss.h"

namespace twinwire::sim {

inline Bytes bytes_of(std::string_view text) {
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

// A client's frame. `first`: the first byte as it stands.
inline Bytes ws_frame(unsigned first, const Bytes& payload) {
  constexpr ws::MaskKey key{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  Bytes out(ws::head_size_max + payload.size());
  const std::size_t head = ws::write_head(out.data(), ws::Opcode::binary, payload.size(), &key);
  out[0] = static_cast<std::byte>(first);
  ws::mask(out.data() + head, payload.data(), payload.size(), key, 0);
  out.resize(head + payload.size());
  return out;
}

// The frames that a server sent, and what is left: a frame that was cut.
struct ServerFrames {
  struct One {
    unsigned first = 0;
    Bytes payload;
  };
  std::vector<One> all;
  std::size_t left = 0;

  explicit ServerFrames(const Bytes& bytes) {
    std::size_t at = 0;
    while (bytes.size() - at >= 2) {
      const std::size_t head_size = ws::head_size(bytes.data() + at);
      if (bytes.size() - at < head_size) break;
      const ws::Head head = ws::parse_head(bytes.data() + at);
      if (bytes.size() - at - head_size < head.length) break;
      const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(at + head_size);
      all.push_back({static_cast<unsigned>(bytes[at]),
                     Bytes(begin, begin + static_cast<std::ptrdiff_t>(head.length))});
      at += head_size + head.length;
    }
    left = bytes.size() - at;
  }
  std::size_t count(unsigned first) const {
    std::size_t n = 0;
    for (const One& one : all) n += one.first == first ? 1 : 0;
    return n;
  }
};

inline constexpr std::string_view ws_key = "dGhlIHNhbXBsZSBub25jZQ==";

template <class T>
struct WsRig {
  World world{{}, test_stacks()};
  SimNetwork& server = world.add_node("server");
  SimNetwork& client = world.add_node("client");
  typename T::Options listening;
  typename T::Options dialing;
  std::vector<std::string> refused;
  typename T::Listener* listener = nullptr;

  WsRig() {
    if constexpr (requires { listening.tls; }) {
      listening.tls.credentials = laws::test_credentials().server->share();
      dialing.tls.credentials = laws::test_credentials().client->share();
      dialing.tls.server_name = laws::test_server_name;
    }
  }

  Deadline in(Duration d) { return {world.now() + d}; }
  void sleep(Duration d) { (void)world.scheduler().sleep_for(d); }

  // Runs body() with the listener up; nothing may be left over.
  void run(const std::function<void()>& body) {
    listening.accept.on_refused = [this](const Address&, std::string_view why) {
      refused.emplace_back(why);
    };
    const RunReport report = world.run([&](Scope& scope) {
      {
        auto made = T::listen(server, scope, server.address(port), listening);
        ASSERT_TRUE(made.has_value());
        listener = &*made;
        body();
        sleep(3s);  // until the last who was refused has gone
      }
      scope.cancel();
    });
    expect_clean(report);
  }

  // Below the WebSocket.
  std::unique_ptr<ByteStream> dial_raw(const StreamOptions& options = {}) {
    auto stream = client.dial(server.address(port), options, in(10s));
    EXPECT_TRUE(stream.has_value());
    if constexpr (requires { dialing.tls; }) {
      auto secured = tls_connect(client, std::move(*stream), dialing.tls, in(10s));
      EXPECT_TRUE(secured.has_value());
      return std::move(*secured);
    } else {
      return std::move(*stream);
    }
  }
  // A request's head, and the head of what is answered.
  std::string ask(ByteStream& stream, std::string_view head) {
    (void)write_all(stream, bytes_of(head), in(10s));
    Bytes answer;
    while (answer.size() < 4 || std::memcmp(answer.data() + answer.size() - 4, "\r\n\r\n", 4) != 0)
      if (!read_up_to(stream, answer, answer.size() + 1, in(10s))) break;
    return {reinterpret_cast<const char*>(answer.data()), answer.size()};
  }
  // Upgraded, and from here on byte by byte.
  std::unique_ptr<ByteStream> dial_upgraded(const StreamOptions& options = {}) {
    auto stream = dial_raw(options);
    const std::string answer = ask(*stream, ws::upgrade_request("/", "server", "", ws_key));
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 101 ")) << answer;
    return stream;
  }
  WsConn accept() {
    auto accepted = listener->accept(in(20s));
    EXPECT_TRUE(accepted.has_value());
    return std::move(accepted->first);
  }
};

}  // namespace twinwire::sim
