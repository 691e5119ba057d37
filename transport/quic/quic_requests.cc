// SPDX-License-Identifier: Apache-2.0
// Requests and their replies: what asks, and what answers.
#include <new>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/fiber/exclusive.h"
#include "transport/quic/quic_conn.h"
#include "transport/quic/quic_connection.h"
#include "transport/quic/quic_endpoint.h"

namespace twinwire {

// How the connection ended, for whoever asks or answers; nothing while it goes on.
std::optional<Error> QuicConnection::no_more_requests() const noexcept {
  if (closing_) return Error{Errc::closed, 0};
  if (engine_ != nullptr && !write_error_) return std::nullopt;
  return Error{Errc::broken, write_error_ ? write_error_->os_errno : 0};
}

void QuicConnection::abandon(QuicExchange& exchange) noexcept {
  exchanges_.abandon(exchange);
  tell_engine_of_exchanges();
}

void QuicConnection::tell_engine_of_exchanges() noexcept {
  if (engine_ == nullptr) return;
  bool news = false;
  while (const auto stream = exchanges_.next_abandoned()) {
    engine_->abandon(*stream);
    news = true;
  }
  while (const auto growth = exchanges_.next_growth(serving_)) {
    engine_->credit_stream(growth->stream, growth->bytes);
    news = true;
  }
  if (const auto credit = exchanges_.take_credit()) {
    if (credit->streams != 0) engine_->credit({.requests = credit->streams});
    give_bytes(credit->bytes);
    news = news || credit->streams != 0;
  }
  if (news) wake_pump();
}

Result<Message> QuicConnection::request(const Message& request, std::size_t max,
                                        Deadline deadline) {
  TWINWIRE_CHECK(max >= header_size, "no frame is smaller than its header");
  TWINWIRE_CHECK(!request.empty(), "a request is a whole frame");
  Scheduler& scheduler = *endpoint_->services().scheduler;
  if (const auto over = no_more_requests()) return *over;
  if (const auto refuses = scheduler.refuses(deadline)) return *refuses;
  std::optional<std::uint64_t> number;
  while (!(number = engine_->open_request())) {
    if (!engine_->peer_takes_requests()) return Errc::refused;
    const Wake wake =
        request_credit_.wait(scheduler, deadline, "the peer to take one more request");
    if (const auto over = no_more_requests()) return *over;
    if (wake != Wake::ready) return to_errc(wake);
  }
  QuicExchanges::Handle exchange;
  try {
    exchange = exchanges_.ask(*number, request, max);
  } catch (const std::bad_alloc&) {
    engine_->abandon({QuicStream::Kind::our_request, *number});
    wake_pump();
    return Errc::no_resources;
  }
  wake_pump();
  for (Wake wake = Wake::ready;;) {
    Message reply;
    const auto whole = exchanges_.take_reply(*exchange, reply);
    if (!whole) {
      abandon(*exchange);
      if (whole.error() == Errc::invalid) drop(whole.error(), QuicCode::violation);
      if (const auto over = no_more_requests(); over && whole.error() == Errc::refused)
        return *over;
      return whole.error();
    }
    tell_engine_of_exchanges();
    if (*whole) return reply;
    if (const auto over = no_more_requests()) return *over;
    if (wake != Wake::ready) {
      scheduler.reached(Sometimes::quic_request_given_up);
      abandon(*exchange);
      if (PLANT(quic_late_reply_drops_connection)) drop({to_errc(wake), 0}, QuicCode::dropped);
      return to_errc(wake);
    }
    wake = exchange->changed.wait(scheduler, deadline, "a reply");
  }
}

Result<QuicRequest> QuicConnection::next_request(std::size_t max, Deadline deadline) {
  TWINWIRE_CHECK(max >= header_size, "no frame is smaller than its header");
  TWINWIRE_CHECK(options_.requests_window > 0, "this side takes no requests");
  Scheduler& scheduler = *endpoint_->services().scheduler;
  const Exclusive inside(serving_, "two fibers inside one next_request");
  if (scheduler.cancel_pending()) return Errc::canceled;
  for (;;) {
    if (closing_) return Errc::closed;
    if (read_error_) return *read_error_;
    Message message;
    auto exchange = exchanges_.take_request(max, message);
    if (!exchange) {
      read_error_ = exchange.error();
      drop(*read_error_, QuicCode::violation);
      return *read_error_;
    }
    tell_engine_of_exchanges();
    if (*exchange != nullptr)
      return QuicRequest(shared_from_this(), std::move(*exchange), std::move(message));
    if (peer_end_) return *peer_end_;
    if (engine_ == nullptr) return Errc::broken;
    if (inbound_.ended()) {
      served_to_end_ = true;
      return Errc::closed;
    }
    const Wake wake = exchanges_.request_arrived().wait(scheduler, deadline, "a request");
    if (wake != Wake::ready && !closing_ && !read_error_) return to_errc(wake);
  }
}

Result<void> QuicConnection::reply(const QuicExchanges::Handle& exchange, const Message& reply,
                                   Deadline deadline) {
  TWINWIRE_CHECK(exchange->size == 0, "a request is answered once");
  TWINWIRE_CHECK(!reply.empty(), "a reply is a whole frame");
  Scheduler& scheduler = *endpoint_->services().scheduler;
  if (const auto over = no_more_requests()) return *over;
  if (exchange->unwanted || exchange->abandoned) return Errc::refused;
  if (const auto refuses = scheduler.refuses(deadline)) {
    abandon(*exchange);
    return *refuses;
  }
  try {
    exchanges_.answer(exchange, reply);
  } catch (const std::bad_alloc&) {
    abandon(*exchange);
    return Errc::no_resources;
  }
  wake_pump();
  while (!exchange->handed) {
    if (engine_ == nullptr || write_error_) return no_more_requests().value_or(Error{Errc::broken});
    if (exchange->unwanted) return Errc::refused;
    const Wake wake = exchange->changed.wait(scheduler, deadline, "the network to take a reply");
    if (wake != Wake::ready && !exchange->handed) {
      abandon(*exchange);
      return to_errc(wake);
    }
  }
  return {};
}

// --- The public calls ------------------------------------------------------------------------------------------------

QuicRequest::~QuicRequest() {
  if (connection_ != nullptr && exchange_->size == 0) connection_->abandon(*exchange_);
}
Result<void> QuicRequest::reply(const Message& reply, Deadline deadline) {
  return connection_->reply(exchange_, reply, deadline);
}
Result<Message> QuicWriter::request(const Message& request, std::size_t max, Deadline deadline) {
  return half_.connection().request(request, max, deadline);
}
Result<QuicRequest> QuicReader::next_request(std::size_t max, Deadline deadline) {
  return half_.connection().next_request(max, deadline);
}

}  // namespace twinwire
