// SPDX-License-Identifier: Apache-2.0
#include "cli/metrics_http.h"

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "real/prometheus_text.h"

namespace twinwire::cli {
namespace {

namespace http = boost::beast::http;

std::string response(unsigned status, std::string_view type, std::string_view body,
                     bool head_only) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  std::string text = "HTTP/1.1 " + std::to_string(status) + " ";
  text.append(reason.data(), reason.size());
  text += "\r\nConnection: close\r\n";
  if (status == 405) text += "Allow: GET, HEAD\r\n";
  text += "Content-Type: " + std::string(type) +
          "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  if (!head_only) text += body;
  return text;
}

std::string refuse(unsigned status, bool head_only) {
  std::string body(status == 404   ? "there is only /metrics here\n"
                   : status == 405 ? "there is only GET here\n"
                   : status == 431 ? "that head is too large\n"
                   : status == 503 ? "a shard did not say in time what it counted\n"
                                   : "that is no request\n");
  return response(status, "text/plain; charset=utf-8", body, head_only);
}

}  // namespace

std::string refuse_metrics(unsigned status) { return refuse(status, false); }

std::string answer_metrics(std::string_view head,
                           const std::function<Result<std::string>()>& metrics) {
  http::request_parser<http::empty_body> parser;
  parser.header_limit(metrics_head_max + 1);
  parser.eager(false);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error || !parser.is_header_done()) return refuse(400, false);
  const auto& request = parser.get();
  const bool head_only = request.method() == http::verb::head;
  if (request.version() == 11 && request.count(http::field::host) != 1)
    return refuse(400, head_only);
  if (!head_only && request.method() != http::verb::get) return refuse(405, false);
  const std::string_view target(request.target().data(), request.target().size());
  if (target.substr(0, target.find('?')) != "/metrics") return refuse(404, head_only);
  const auto text = metrics();
  if (!text) return refuse(503, head_only);
  return response(200, real::PrometheusText::content_type, *text, head_only);
}

}  // namespace twinwire::cli
