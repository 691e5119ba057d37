// SPDX-License-Identifier: Apache-2.0
// QuicRequest: a request of the peer, and the way back for its reply. QuicReader::next_request() yields it.
#pragma once

#include <memory>
#include <utility>

#include "transport/base/error.h"
#include "transport/base/time.h"
#include "transport/wire/message.h"

namespace twinwire {

class QuicConnection;
struct QuicExchange;

// Destroyed without a reply it resets its stream: the peer's request() then ends with `refused`. Never suspends.
class QuicRequest {
 public:
  QuicRequest(std::shared_ptr<QuicConnection> connection, std::shared_ptr<QuicExchange> exchange,
              Message message) noexcept
      : connection_(std::move(connection)),
        exchange_(std::move(exchange)),
        message_(std::move(message)) {}
  QuicRequest(QuicRequest&&) noexcept = default;
  QuicRequest& operator=(QuicRequest&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(exchange_, other.exchange_);
    std::swap(message_, other.message_);
    return *this;
  }
  ~QuicRequest();

  const Message& message() const noexcept { return message_; }

  // Sends `reply` on the request's own stream.
  //
  // Promise    Success: every byte is in a packet that the socket has taken; the reply cannot be taken for that of
  //            another request. Failure: the peer gets no reply to this request; the connection goes on.
  // Requires   At most one call. Checked; a second aborts. May run beside everything else on the connection.
  // Memory     As send_batch: a reference to `reply` is kept until the peer has acknowledged it.
  // Suspends   While the peer gives no credit, or the congestion window is full.
  // Errors     refused (the peer has given the request up) · timed_out · canceled · broken · closed (after close()) ·
  //            no_resources
  Result<void> reply(const Message& reply, Deadline deadline);

 private:
  std::shared_ptr<QuicConnection> connection_;
  std::shared_ptr<QuicExchange> exchange_;
  Message message_;
};

}  // namespace twinwire
