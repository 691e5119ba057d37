// SPDX-License-Identifier: Apache-2.0
#include "cli/metrics_server.h"

#include <memory>

#include "cli/metrics_http.h"
#include "transport/net/write_all.h"

namespace twinwire::cli {
namespace {

// The head of a request, to its empty line; nothing where it is too large.
Result<std::string> read_head(ByteStream& stream, Deadline deadline) {
  std::string head;
  for (;;) {
    auto bytes = stream.read(deadline);
    if (!bytes) return bytes.error();
    if (bytes->empty()) return Errc::closed;
    const std::size_t from = head.size() < 3 ? 0 : head.size() - 3;
    head.append(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    const std::size_t end = head.find("\r\n\r\n", from);
    if (end != std::string::npos && end + 4 <= metrics_head_max) return head.substr(0, end + 4);
    if (head.size() > metrics_head_max) return Errc::too_large;
  }
}

// Ends the stream, and reads on to the peer's end: what was left unread would turn the end into a reset, which takes
// the answer with it.
void end(ByteStream& stream, Deadline deadline) {
  constexpr std::size_t bytes_max = std::size_t{256} * 1024;
  if (!stream.shutdown_write(deadline)) return;
  for (std::size_t n = 0; n < bytes_max;) {
    const auto bytes = stream.read(deadline);
    if (!bytes || bytes->empty()) return;
    n += bytes->size();
  }
}

Result<void> converse(ByteStream& stream, const std::function<Result<std::string>()>& metrics,
                      Deadline deadline) {
  const auto head = read_head(stream, deadline);
  if (!head && head.error() != Errc::too_large) return head.error();
  const std::string answer = head ? answer_metrics(*head, metrics) : refuse_metrics(431);
  iovec piece{const_cast<char*>(answer.data()), answer.size()};
  if (auto written = write_all(stream, {&piece, 1}, deadline); !written) return written.error();
  end(stream, deadline);
  return {};
}

}  // namespace

Result<MetricsServer> MetricsServer::start(Network& network, Scope& background,
                                           const Address& address,
                                           std::function<Result<std::string>()> metrics) {
  auto acceptor = network.listen(address, {.backlog = static_cast<int>(at_once_max)});
  if (!acceptor) return acceptor.error();
  AcceptOptions options;
  options.handshake_timeout = time_max;
  options.handshakes_max = at_once_max;
  auto stage = Stage::start(
      network, background, std::move(*acceptor), options, true,
      [metrics = std::move(metrics)](std::unique_ptr<ByteStream> stream,
                                     const HandshakeTerms& terms) -> Result<std::monostate> {
        if (const auto done = converse(*stream, metrics, terms.deadline); !done)
          return done.error();
        return Errc::closed;  // it is over, and there is nothing to hand on
      });
  if (!stage) return stage.error();
  return MetricsServer(std::move(*stage));
}

}  // namespace twinwire::cli
