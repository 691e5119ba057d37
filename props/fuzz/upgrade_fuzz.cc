// SPDX-License-Identifier: Apache-2.0
// The upgrade from HTTP to WebSocket, both sides. Input: a byte that chooses, then a head.
//
// Holds for every head: the answer is one of the documented, a whole HTTP reply of its status, small, and the same the
// second time; 101 only for what asks for a WebSocket with a key of 16 bytes (RFC 6455, section 4.2.1) at our path, and
// then with the value that belongs to it; nothing of the request comes back in a refusal. A client is content only with
// a reply that holds that value. What we ask ourselves, we accept.
#include <array>

#include "props/fuzz/fuzz.h"
#include "transport/ws/ws_upgrade.h"

namespace twinwire::fuzz {
namespace {

constexpr std::string_view nonce = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455, section 1.3
constexpr std::string_view nonce_answer = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

const ws::UpgradePolicy& policy(bool open) {
  static const ws::UpgradePolicy anybody;
  static const ws::UpgradePolicy some{"/chat", {"server.example.com"}, {"http://example.com"}};
  return open ? anybody : some;
}

void check_server(std::string_view head, bool open) {
  const ws::UpgradePolicy& rules = policy(open);
  const ws::UpgradeAnswer answer = ws::answer_upgrade(head, rules);
  FUZZ_CHECK(answer.text == ws::answer_upgrade(head, rules).text, "one question, one answer");
  constexpr std::array documented = {101U, 400U, 403U, 404U, 405U, 426U, 431U, 505U};
  bool known = false;
  for (const unsigned status : documented) known = known || status == answer.status;
  FUZZ_CHECK(known, "the status is a documented one");
  FUZZ_CHECK(answer.text.starts_with("HTTP/1.1 " + std::to_string(answer.status) + " "),
             "the reply says its status");
  FUZZ_CHECK(answer.text.size() < 1024 && answer.text.find("\r\n\r\n") != std::string::npos,
             "the reply is whole, and small");
  if (answer.status != 101) {
    FUZZ_CHECK(answer.text == ws::refuse_upgrade(answer.status).text,
               "nothing of the request is in a refusal");
    return;
  }
  FUZZ_CHECK(answer.text.ends_with("\r\n\r\n"), "frames follow at once");
  const std::string text = lower(head);
  FUZZ_CHECK(head.starts_with("GET " + rules.path), "our path");
  for (const char* needed : {"upgrade", "websocket", "sec-websocket-key", "sec-websocket-version"})
    FUZZ_CHECK(text.find(needed) != std::string::npos, "it asks for a WebSocket");
  if (!open) FUZZ_CHECK(text.find("server.example.com") != std::string::npos, "our host");
}

void check_client(std::string_view head) {
  if (!ws::upgrade_accepted(head, nonce)) return;
  FUZZ_CHECK(head.find(nonce_answer) != std::string_view::npos, "the value belongs to the key");
  FUZZ_CHECK(head.starts_with("HTTP/1.1 101"), "it switches protocols");
}

// Whatever stands in the path or the host, as long as HTTP can carry it.
void check_round_trip(std::string_view text) {
  std::string name;
  for (const char c : text.substr(0, 100))
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-') name += c;
  const std::string path = "/" + name;
  const std::string host = name.empty() ? "host" : name;
  const std::string request = ws::upgrade_request(path, host, "http://" + host, nonce);
  const auto answer = ws::answer_upgrade(request, {path, {host}, {"http://" + host}});
  FUZZ_CHECK(answer.status == 101, "we accept what we ask");
  FUZZ_CHECK(answer.text.find(nonce_answer) != std::string::npos, "with the right value");
  FUZZ_CHECK(ws::upgrade_accepted(answer.text, nonce), "and are content with it");
  FUZZ_CHECK(!ws::upgrade_accepted(answer.text, "AAAAAAAAAAAAAAAAAAAAAA=="), "for this key alone");
}

}  // namespace

std::vector<Bytes> seeds() {
  const std::string chat =
      ws::upgrade_request("/chat", "server.example.com", "http://example.com", nonce);
  std::vector<Bytes> all;
  for (const std::string& head :
       {"d" + ws::upgrade_request("/", "127.0.0.1:4000", "", nonce), "e" + chat,
        std::string("dGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        std::string("dPOST / HTTP/1.0\r\nContent-Length: 5\r\n\r\n"),
        std::string(
            "dGET /?a=b HTTP/1.1\r\nHost: a\r\nUpgrade: h2c, WebSocket\r\nConnection: keep-alive, "
            "Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
        "f" + ws::answer_upgrade(chat, policy(false)).text, std::string("gname-7")})
    all.push_back(bytes_of(head));
  return all;
}

}  // namespace twinwire::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace twinwire::fuzz;
  if (size == 0 || size > twinwire::ws::upgrade_head_max) return 0;
  const std::string head(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 'd' % 4: check_server(head, true); break;
    case 'e' % 4: check_server(head, false); break;
    case 'f' % 4: check_client(head); break;
    default: check_round_trip(head); break;
  }
  return 0;
}
