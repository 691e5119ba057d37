// SPDX-License-Identifier: Apache-2.0
// `serve` over ws and wss, and peers that begin well: what follows an upgrade is no message, a client's certificate is
// none that wss takes. Each costs its own connection, and one line.
// ctest: timeout=120 real_time no_tsan
#include "props/bad_input_rig.h"
#include "props/bad_ws_bytes.h"

namespace twinwire::props {
namespace {

class BadWsInput : public BadInput, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(BadInput, BadWsInput, ::testing::Values("ws", "wss"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(BadWsInput, no_message_behind_the_upgrade) {
  serve(GetParam());
  begin();
  const std::string none = "it sent what is no message, or one that is too large to begin with";
  const std::vector<std::string> bad = {
      std::string(5000, 'g'),
      ws_head(0x82, std::uint64_t{default_max_message} + 1),
      ws_message(frame_of_size(default_max_message + 1)),
      ws_message(std::string(300, 'x')),
      ws_head(0x81, 5) + "hello",  // text
      ws_head(0x82, header_size, false) + good_request(),
  };
  for (const std::string& bytes : bad) {
    send_inside(ws_upgrade() + bytes);
    expect_refused(none);
  }
  honest();
  // The same in the middle of a connection that began well.
  for (const std::string& bytes : bad) {
    send_inside(ws_upgrade() + ws_message(good_request()) + bytes);
    expect_line("lost after 1 messages: it sent what is no frame, or one that is too large");
  }
  finish(bad.size(), bad.size());
}

TEST_P(BadWsInput, http_without_an_upgrade) {
  serve(GetParam());
  begin();
  send_inside(std::string(http_request));
  expect_refused("its upgrade was answered 426 Upgrade Required");
  send_inside("POST /login HTTP/1.1\r\nHost: server\r\nContent-Length: 4\r\n\r\nuser");
  expect_refused("its upgrade was answered 405 Method Not Allowed");
  send_inside(std::string(5000, 'g'));
  expect_refused("its upgrade was answered 400 Bad Request");
  finish(3);
}

TEST_F(BadInput, over_wss_clients_with_certificates_of_no_use) {
  mutual_ = true;
  serve("wss", "--cert server.cert --key server.key --ca ca");
  begin();
  strangers();
  finish(5);
}

}  // namespace
}  // namespace twinwire::props
