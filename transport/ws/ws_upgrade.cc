// SPDX-License-Identifier: Apache-2.0
// The one file that knows Beast: its HTTP parser, SHA-1 and base64, and nothing of its streams.
#include "transport/ws/ws_upgrade.h"

#include <algorithm>
#include <boost/beast/core/detail/base64.hpp>
#include <boost/beast/core/detail/sha1.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/rfc7230.hpp>

namespace twinwire::ws {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;

std::string_view view(beast::string_view text) noexcept { return {text.data(), text.size()}; }

std::string base64(const void* data, std::size_t size) {
  std::string text(beast::detail::base64::encoded_size(size), '\0');
  text.resize(beast::detail::base64::encode(text.data(), data, size));
  return text;
}

// A key is the base64 of 16 bytes.
bool is_key(std::string_view key) noexcept {
  if (key.size() != 24 || !key.ends_with("==")) return false;
  return std::all_of(key.begin(), key.end() - 2, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  });
}

template <class Fields>
bool has_token(const Fields& fields, http::field name, std::string_view token) {
  const auto range = fields.equal_range(name);
  return std::any_of(range.first, range.second, [&](const auto& field) {
    return http::token_list{field.value()}.exists({token.data(), token.size()});
  });
}

template <class Parser>
bool parse(Parser& parser, std::string_view head) {
  parser.header_limit(upgrade_head_max + 1);
  beast::error_code error;
  parser.eager(false);
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  return !error && parser.is_header_done();
}

std::string_view reason(unsigned status) noexcept {
  return view(http::obsolete_reason(static_cast<http::status>(status)));
}

bool listed(const std::vector<std::string>& allowed, std::string_view value) noexcept {
  return allowed.empty() ||
         std::any_of(allowed.begin(), allowed.end(), [&](const std::string& one) {
           return beast::iequals({one.data(), one.size()}, {value.data(), value.size()});
         });
}

// 0: nothing is wrong with it.
template <class Fields>
unsigned refusal(const Fields& fields, const UpgradePolicy& policy) {
  if (fields.version() != 11) return 505;
  if (fields.method() != http::verb::get) return 405;
  if (fields.count(http::field::host) != 1) return 400;
  if (!listed(policy.hosts, view(fields[http::field::host]))) return 403;
  const std::string_view target = view(fields.target());
  if (target.substr(0, target.find('?')) != policy.path) return 404;
  if (!has_token(fields, http::field::upgrade, "websocket")) return 426;
  if (!has_token(fields, http::field::connection, "upgrade")) return 400;
  if (fields.count(http::field::sec_websocket_version) != 1 ||
      view(fields[http::field::sec_websocket_version]) != "13")
    return 426;
  if (fields.count(http::field::sec_websocket_key) != 1 ||
      !is_key(view(fields[http::field::sec_websocket_key])))
    return 400;
  if (fields.count(http::field::content_length) != 0 ||
      fields.count(http::field::transfer_encoding) != 0)
    return 400;  // a body would be taken for frames
  const auto origins = fields.count(http::field::origin);
  if (origins > 1) return 400;
  if (origins == 1 && !listed(policy.origins, view(fields[http::field::origin]))) return 403;
  return 0;
}

}  // namespace

UpgradeAnswer refuse_upgrade(unsigned status) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text += reason(status);
  text += "\r\nConnection: close\r\nContent-Length: 0\r\n";
  if (status == 426) text += "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
  if (status == 405) text += "Allow: GET\r\n";
  return {status, text + "\r\n"};
}

UpgradeAnswer answer_upgrade(std::string_view head, const UpgradePolicy& policy) {
  http::request_parser<http::empty_body> parser;
  if (!parse(parser, head)) return refuse_upgrade(400);
  const auto& fields = parser.get();
  if (const unsigned status = refusal(fields, policy); status != 0) return refuse_upgrade(status);
  return {101,
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Accept: " +
              accept_value(view(fields[http::field::sec_websocket_key])) + "\r\n\r\n"};
}

std::string upgrade_key(std::span<const std::byte, 16> random) {
  return base64(random.data(), random.size());
}

std::string accept_value(std::string_view key) {
  constexpr std::string_view magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  beast::detail::sha1_context context;
  beast::detail::init(context);
  beast::detail::update(context, key.data(), key.size());
  beast::detail::update(context, magic.data(), magic.size());
  std::array<char, beast::detail::sha1_context::digest_size> digest;
  beast::detail::finish(context, digest.data());
  return base64(digest.data(), digest.size());
}

std::string upgrade_request(std::string_view path, std::string_view host, std::string_view origin,
                            std::string_view key) {
  std::string text = "GET ";
  text.append(path).append(" HTTP/1.1\r\nHost: ").append(host);
  text += "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
  if (!origin.empty()) text.append("Origin: ").append(origin).append("\r\n");
  text.append("Sec-WebSocket-Key: ").append(key).append("\r\n\r\n");
  return text;
}

bool upgrade_accepted(std::string_view head, std::string_view key) {
  http::response_parser<http::empty_body> parser;
  if (!parse(parser, head)) return false;
  const auto& fields = parser.get();
  return fields.version() == 11 && fields.result_int() == 101 &&
         has_token(fields, http::field::upgrade, "websocket") &&
         has_token(fields, http::field::connection, "upgrade") &&
         fields.count(http::field::sec_websocket_accept) == 1 &&
         view(fields[http::field::sec_websocket_accept]) == accept_value(key) &&
         fields.count(http::field::sec_websocket_extensions) == 0 &&
         fields.count(http::field::sec_websocket_protocol) == 0;
}

}  // namespace twinwire::ws
