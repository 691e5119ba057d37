// SPDX-License-Identifier: Apache-2.0
// `serve` over ws and wss, and peers that mean it no good: each costs its own connection, and one line; honest clients
// that were there before and that come after are served to their end.
// ctest: timeout=120 serial
#include "props/bad_input_rig.h"
#include "transport/ws/ws_frame.h"
#include "transport/ws/ws_upgrade.h"

namespace twinwire::props {
namespace {

std::string upgrade() { return ws::upgrade_request("/", "server", "", "dGhlIHNhbXBsZSBub25jZQ=="); }
// A client's message that announces so many bytes, and those that come of it. The mask is zeros.
std::string message(std::uint64_t announced, const std::string& bytes) {
  const ws::MaskKey key{};
  std::byte head[ws::head_size_max];
  const std::size_t size = ws::write_head(head, ws::Opcode::binary, announced, &key);
  return std::string(reinterpret_cast<const char*>(head), size) + bytes;
}

class BadWsInput : public BadInput, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(BadInput, BadWsInput, ::testing::Values("ws", "wss"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(BadWsInput, no_upgrade) {
  serve(GetParam());
  begin();
  send_inside(std::string(5000, 'g'));
  expect_refused("its upgrade was answered 400 Bad Request");
  send_inside(std::string(http_request));
  expect_refused("its upgrade was answered 426 Upgrade Required");
  send_inside("GET / HTTP/1.1\r\n" + std::string(20'000, 'h'));
  expect_refused("its upgrade was answered 431 Request Header Fields Too Large");
  finish(3);
}

TEST_P(BadWsInput, messages_that_are_none) {
  serve(GetParam());
  begin();
  const std::string begin_well = upgrade() + message(header_size, good_request());
  const std::string no_message =
      "it sent what is no message, or one that is too large to begin with";
  send_inside(upgrade() + std::string(5000, 'g'));
  expect_refused(no_message);
  send_inside(upgrade() + message(std::uint64_t{1} << 40, ""));
  expect_refused(no_message);
  send_inside(upgrade() + message(header_size, frame_of_size(default_max_message + 1)));
  expect_refused(no_message);
  send_inside(begin_well + message(std::uint64_t{1} << 40, ""));
  expect_line("lost after 1 messages: it sent what is no frame, or one that is too large");
  send_inside(begin_well + std::string(5000, 'g'));
  expect_line("lost after 1 messages: it sent what is no frame, or one that is too large");
  finish(3, 2);
}

TEST_P(BadWsInput, the_wrong_kind_of_client) {
  const bool secure = is_secure(GetParam());
  serve(GetParam());
  begin();
  if (secure) {
    send_and_wait(std::string(5000, 'g'));
    expect_refused("not a TLS record");
    send_and_wait(std::string(http_request));
    expect_refused("not a TLS record");
    dishonest("--transport ws", "not a TLS record");
    finish(3);
  } else {
    dishonest("--transport wss --ca ca", "its upgrade was answered 400 Bad Request");
    dishonest("--transport tls --ca ca", "its upgrade was answered 400 Bad Request");
    finish(2);
  }
}

TEST_F(BadInput, over_wss_certificates_that_do_not_fit) {
  mutual_ = true;
  serve("wss", "--cert server.cert --key server.key --ca ca");
  begin();
  strangers();
  finish(5);
}

}  // namespace
}  // namespace twinwire::props
