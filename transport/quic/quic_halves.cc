// SPDX-License-Identifier: Apache-2.0
// What the two halves of a connection do: reading, sending, closing.
#include <new>

#include "transport/base/plant.h"
#include "transport/fiber/exclusive.h"
#include "transport/quic/quic_conn.h"
#include "transport/quic/quic_connection.h"
#include "transport/quic/quic_endpoint.h"

namespace twinwire {

Result<void> QuicConnection::wait_until_established(Deadline deadline) {
  Scheduler& scheduler = *endpoint_->services().scheduler;
  while (!established_) {
    if (failure_) return *failure_;
    if (engine_ == nullptr) return Errc::handshake;
    const Wake wake = settled_.wait(scheduler, deadline, "a QUIC handshake");
    if (wake != Wake::ready && !established_ && !failure_) return to_errc(wake);
  }
  return {};
}

Result<Message> QuicConnection::read_one(std::size_t max, Deadline deadline) {
  Scheduler& scheduler = *endpoint_->services().scheduler;
  if (read_error_) return *read_error_;
  if (closing_) return Errc::closed;
  if (scheduler.cancel_pending()) return Errc::canceled;
  if (first_message_) {
    if (first_message_->size() > max) {
      read_error_ = Error{Errc::invalid, 0};
      drop(*read_error_, QuicCode::violation);
      return *read_error_;
    }
    Message first = std::move(*first_message_);
    first_message_.reset();
    return first;
  }
  for (;;) {
    Message message;
    auto whole = inbound_.next(max, message);
    if (!whole) {
      read_error_ = whole.error();
      if (*read_error_ != Errc::closed)
        drop(*read_error_, *read_error_ == Errc::invalid ? QuicCode::violation : QuicCode::dropped);
      return *read_error_;
    }
    if (*whole) {
      give_credit(false);
      return message;
    }
    if (peer_end_) {
      read_error_ = peer_end_;
      return *read_error_;
    }
    give_credit(true);
    if (inbound_.stuck(credit_untold_)) {
      read_error_ = Error{Errc::invalid, 0};
      drop(*read_error_, QuicCode::violation);
      return *read_error_;
    }
    const Wake wake = arrived_.wait(scheduler, deadline, "a message");
    if (read_error_) return *read_error_;
    if (closing_) return Errc::closed;
    if (wake != Wake::ready) {
      // What became whole in the same instant stays for the next read.
      return to_errc(wake);
    }
  }
}

Result<Message> QuicConnection::read(std::size_t max, Deadline deadline) {
  TWINWIRE_CHECK(max >= header_size, "no frame is smaller than its header");
  const Exclusive inside(reading_, "two fibers inside one reader");
  auto message = read_one(max, deadline);
  if (closing_) settled_.wake_all(*endpoint_->services().scheduler);
  return message;
}

Result<void> QuicConnection::send(Batch& batch, Deadline deadline) {
  Scheduler& scheduler = *endpoint_->services().scheduler;
  const Exclusive inside(writing_, "two fibers inside one writer");
  if (write_error_) return *write_error_;
  if (closing_) return Errc::closed;
  if (batch.empty()) return {};
  if (batch.size() > batch_messages_max) {
    drop({Errc::too_large, 0}, QuicCode::dropped);
    return Errc::too_large;
  }
  if (const auto refuses = scheduler.refuses(deadline)) {
    drop({*refuses, 0}, QuicCode::dropped);
    return *write_error_;
  }
  try {
    for (const Message& message : batch.messages()) outbound_.push(message);
  } catch (const std::bad_alloc&) {
    drop({Errc::no_resources, 0}, QuicCode::dropped);
    return *write_error_;
  }
  const std::uint64_t target = outbound_.pushed();
  wake_pump();
  while (handed_ < target) {
    if (write_error_) return *write_error_;
    const Wake wake = sent_.wait(scheduler, deadline, "the network to take a batch");
    if (wake != Wake::ready && handed_ < target && !write_error_)
      drop({to_errc(wake), 0}, QuicCode::dropped);
  }
  batch.clear();
  return {};
}

Result<void> QuicConnection::finish_both_sides(Deadline deadline) {
  Scheduler& scheduler = *endpoint_->services().scheduler;
  try {
    outbound_.push_end();
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
  inbound_.discard();
  exchanges_.close();
  request_credit_.wake_all(scheduler);
  first_message_.reset();
  give_credit(true);
  tell_engine_of_exchanges();
  wake_pump();
  while (!finished_) {
    if (write_error_) return *write_error_;
    if (all_said()) break;
    if (PLANT(quic_close_before_acked)) break;
    const Wake wake = settled_.wait(scheduler, deadline, "the peer's good-bye");
    if (wake != Wake::ready && !finished_ && !all_said()) return to_errc(wake);
  }
  return {};
}

Result<void> QuicConnection::close(Duration grace) {
  const Exclusive inside(writing_, "two fibers inside one writer");
  if (close_result_) return *close_result_;
  if (write_error_) return *write_error_;
  const Deadline deadline = endpoint_->services().clock->in(grace);
  closing_ = true;
  arrived_.wake_all(*endpoint_->services().scheduler);
  Result<void> ended = finish_both_sides(deadline);
  if (!ended) {
    drop(ended.error(), QuicCode::dropped);
  } else {
    finished_ = true;
    end(QuicCode::finished);
    write_error_ = Error{Errc::closed, 0};
    if (!read_error_) read_error_ = Error{Errc::closed, 0};
    wake_everybody();
  }
  close_result_ = ended;
  return ended;
}

Result<void> QuicConnection::migrate(Network& network, const Address& local) {
  if (const auto over = no_more_requests()) return *over;
  if (is_server_) return Errc::unsupported;
  auto moved = endpoint_->move_to(network, local, *engine_);
  wake_pump();
  return moved;
}

// --- The halves ------------------------------------------------------------------------------------------------------

QuicHalf::~QuicHalf() {
  if (connection_ != nullptr) connection_->half_destroyed(role_ == Role::reader);
}

Result<void> QuicWriter::send_batch(Batch& batch, Deadline deadline) {
  return half_.connection().send(batch, deadline);
}
Result<void> QuicWriter::migrate(Network& network, const Address& local) {
  return half_.connection().migrate(network, local);
}
Result<void> QuicWriter::close(Duration grace) { return half_.connection().close(grace); }
Result<Message> QuicReader::read_message(std::size_t max, Deadline deadline) {
  return half_.connection().read(max, deadline);
}

}  // namespace twinwire
