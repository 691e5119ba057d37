// SPDX-License-Identifier: Apache-2.0
// Who gets in: the upgrade over a stream, as a listener's options set it, over ws and wss; how long it may take, how
// much it may say, and what the listener's log says of those that were refused.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/ws_rig.h"

namespace twinwire::sim {
namespace {

using Words = std::vector<std::string>;

template <class T>
class WsUpgradeOver : public testing::Test {
 protected:
  WsRig<T> rig_;

  // What a dial with these options makes of it.
  Error dialled(const std::function<void(typename T::Options&)>& change) {
    typename T::Options options = rig_.dialing;
    change(options);
    auto conn = T::dial(rig_.client, rig_.server.address(port), options, rig_.in(5s));
    if (!conn) return conn.error();
    (void)rig_.accept();
    return {};
  }
  std::string status(std::string_view head) {
    auto stream = rig_.dial_raw();
    const std::string answer = rig_.ask(*stream, head);
    return answer.size() < 12 ? answer : answer.substr(9, 3);
  }
};

struct UpgradeNames {
  template <class T>
  static std::string GetName(int) {
    return std::string(T::name);
  }
};
using BothUpgrades = testing::Types<Ws, Wss>;
TYPED_TEST_SUITE(WsUpgradeOver, BothUpgrades, UpgradeNames);

TYPED_TEST(WsUpgradeOver, path_host_and_origin_decide_who_gets_in) {
  auto& rig = this->rig_;
  rig.listening.path = "/bus";
  rig.listening.hosts = {"a.example", "b.example:4000"};
  rig.listening.origins = {"https://a.example"};
  using Options = typename TypeParam::Options;
  const auto dial = [&](const char* path, const char* host, const char* origin) {
    return this->dialled([&](Options& options) {
      options.path = path;
      options.host = host;
      options.origin = origin;
    });
  };
  rig.run([&] {
    const Error refused{Errc::handshake};
    EXPECT_EQ(dial("/bus", "a.example", ""), Error{});
    EXPECT_EQ(dial("/bus", "B.EXAMPLE:4000", "https://a.example"), Error{});
    EXPECT_EQ(dial("/bus?token=1", "a.example", ""), Error{});
    EXPECT_EQ(dial("/", "a.example", ""), refused);
    EXPECT_EQ(dial("/bus/", "a.example", ""), refused);
    EXPECT_EQ(dial("/bus", "b.example", ""), refused);  // without its port it is another
    EXPECT_EQ(dial("/bus", "", ""), refused);           // the address that was dialled
    EXPECT_EQ(dial("/bus", "a.example", "https://b.example"), refused);
    EXPECT_EQ(dial("/bus", "a.example", "null"), refused);
  });
  EXPECT_EQ(
      rig.refused,
      (Words{"its upgrade was answered 404 Not Found", "its upgrade was answered 404 Not Found",
             "its upgrade was answered 403 Forbidden", "its upgrade was answered 403 Forbidden",
             "its upgrade was answered 403 Forbidden", "its upgrade was answered 403 Forbidden"}));
}

TYPED_TEST(WsUpgradeOver, a_head_has_8_KiB_and_no_byte_more) {
  auto& rig = this->rig_;
  const auto head_of = [](std::size_t size) {
    std::string head = ws::upgrade_request("/", "server", "", ws_key);
    head.resize(head.size() - 2);
    const std::size_t filler = size - head.size() - sizeof("Filler: \r\n\r\n") + 1;
    return head + "Filler: " + std::string(filler, 'x') + "\r\n\r\n";
  };
  rig.run([&] {
    EXPECT_EQ(this->status(head_of(ws::upgrade_head_max)), "101");
    (void)rig.accept();
    EXPECT_EQ(this->status(head_of(ws::upgrade_head_max + 1)), "431");
    EXPECT_EQ(this->status(head_of(100'000)), "431");
    // One that never ends, and one of many lines.
    EXPECT_EQ(this->status("GET / HTTP/1.1\r\n" + std::string(20'000, 'a')), "431");
    std::string lines = "GET / HTTP/1.1\r\n";
    while (lines.size() < 20'000) lines += "A: b\r\n";
    EXPECT_EQ(this->status(lines), "431");
  });
  EXPECT_EQ(rig.refused, Words(4, "its upgrade was answered 431 Request Header Fields Too Large"));
}

TYPED_TEST(WsUpgradeOver, what_is_no_upgrade_is_told_so) {
  auto& rig = this->rig_;
  rig.run([&] {
    EXPECT_EQ(this->status("GET / HTTP/1.1\r\nHost: server\r\n\r\n"), "426");
    EXPECT_EQ(this->status("POST / HTTP/1.1\r\nHost: server\r\nContent-Length: 0\r\n\r\n"), "405");
    EXPECT_EQ(this->status("garbage that is no HTTP at all\r\n\r\n"), "400");
    EXPECT_EQ(this->status("GARBAGE\r\n\r\n"), "400");
  });
  EXPECT_EQ(rig.refused, (Words{"its upgrade was answered 426 Upgrade Required",
                                "its upgrade was answered 405 Method Not Allowed",
                                "its upgrade was answered 400 Bad Request",
                                "its upgrade was answered 400 Bad Request"}));
}

// A byte now and then keeps nobody's place, whichever layer it is for: the budget is one, from the accept on.
TYPED_TEST(WsUpgradeOver, a_request_that_trickles_has_the_handshakes_time) {
  auto& rig = this->rig_;
  rig.run([&] {
    const TimePoint begin = rig.world.now();
    auto stream = rig.dial_raw();
    const std::string request = ws::upgrade_request("/", "server", "", ws_key);
    std::size_t sent = 0;
    while (sent < request.size() &&
           write_all(*stream, bytes_of(request.substr(sent, 1)), rig.in(1s))) {
      ++sent;
      rig.sleep(500ms);
    }
    EXPECT_LT(sent, 25U);
    EXPECT_LE(rig.world.now(), begin + 12s);
  });
  EXPECT_EQ(rig.refused, Words{"handshake timed out"});
}

TYPED_TEST(WsUpgradeOver, a_client_refuses_a_server_that_does_not_agree) {
  auto& rig = this->rig_;
  rig.run([&] {
    for (const std::string_view answer :
         {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 403 Forbidden\r\n\r\n",
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",  // of another key
          "garbage\r\n\r\n", "\x16\x03\x01"}) {
      auto acceptor = rig.server.listen(rig.server.address(port + 1), {});
      ASSERT_TRUE(acceptor.has_value());
      Error error;
      run_scope(rig.world.scheduler(), [&](Scope& both) {
        both.spawn("client", [&] {
          auto conn =
              TypeParam::dial(rig.client, rig.server.address(port + 1), rig.dialing, rig.in(5s));
          error = conn ? Error{} : conn.error();
        });
        auto stream = std::move(*(*acceptor)->accept(rig.in(5s)));
        if constexpr (requires { rig.listening.tls; })
          stream =
              std::move(*tls_accept(rig.server, std::move(stream), rig.listening.tls, rig.in(5s)));
        Bytes request;
        (void)read_up_to(*stream, request, 100, rig.in(5s));
        (void)write_all(*stream, bytes_of(answer), rig.in(5s));
        (void)stream->read(rig.in(1s));
      });
      EXPECT_EQ(error, Error{Errc::handshake}) << answer;
    }
  });
}

// What is wss's own.

TEST(WssUpgrade, the_host_is_the_name_that_the_certificate_bears) {
  WsRig<Wss> rig;
  rig.listening.hosts = {std::string(laws::test_server_name) + ":" + std::to_string(port)};
  rig.run([&] {
    EXPECT_TRUE(
        Wss::dial(rig.client, rig.server.address(port), rig.dialing, rig.in(5s)).has_value());
  });
  EXPECT_EQ(rig.refused, Words{});
}

TEST(WssUpgrade, its_own_port_goes_without_saying) {
  WsRig<Wss> rig;
  rig.run([&] {
    auto acceptor = rig.server.listen(rig.server.address(443), {});
    ASSERT_TRUE(acceptor.has_value());
    Bytes request;
    run_scope(rig.world.scheduler(), [&](Scope& both) {
      both.spawn("client", [&] {
        (void)Wss::dial(rig.client, rig.server.address(443), rig.dialing, rig.in(1s));
      });
      auto stream = std::move(*(*acceptor)->accept(rig.in(5s)));
      auto secured = tls_accept(rig.server, std::move(stream), rig.listening.tls, rig.in(5s));
      ASSERT_TRUE(secured.has_value());
      (void)read_up_to(**secured, request, SIZE_MAX, rig.in(1s));
    });
    const std::string text(reinterpret_cast<const char*>(request.data()), request.size());
    EXPECT_NE(text.find("Host: " + std::string(laws::test_server_name) + "\r\n"), std::string::npos)
        << text;
  });
}

// Nine seconds for TLS leave one for the upgrade.
TEST(WssUpgrade, tls_and_the_upgrade_share_one_budget) {
  WsRig<Wss> rig;
  rig.run([&] {
    auto stream = rig.client.dial(rig.server.address(port), {}, rig.in(1s));
    ASSERT_TRUE(stream.has_value());
    const TimePoint begin = rig.world.now();
    rig.sleep(9s);
    auto secured = tls_connect(rig.client, std::move(*stream), rig.dialing.tls, rig.in(1s));
    ASSERT_TRUE(secured.has_value());
    EXPECT_EQ((*secured)->read(rig.in(20s)).error(), Errc::broken);
    EXPECT_LE(rig.world.now(), begin + 10100ms);
  });
  EXPECT_EQ(rig.refused, Words{"handshake timed out"});
}

TEST(WssUpgrade, a_plain_client_and_a_tls_client_at_the_wrong_port) {
  WsRig<Wss> secure;
  secure.run([&] {
    auto conn = Ws::dial(secure.client, secure.server.address(port), {}, secure.in(5s));
    EXPECT_EQ(conn.error(), Error{Errc::handshake});
  });
  EXPECT_EQ(secure.refused, Words{"not a TLS record"});
  WsRig<Ws> plain;
  plain.run([&] {
    WssOptions options;
    options.tls.credentials = laws::test_credentials().client->share();
    auto conn = Wss::dial(plain.client, plain.server.address(port), options, plain.in(5s));
    EXPECT_EQ(conn.error(), Error{Errc::handshake});
  });
  EXPECT_EQ(plain.refused, Words{"its upgrade was answered 400 Bad Request"});
}

}  // namespace
}  // namespace twinwire::sim
