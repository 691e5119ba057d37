// SPDX-License-Identifier: Apache-2.0
// The path of a batch: one piece a message, written until the network has taken the last byte.
#include <array>
#include <cstddef>

#include "transport/base/plant.h"
#include "transport/fiber/exclusive.h"
#include "transport/framed/coalesce.h"
#include "transport/framed/framed_conn.h"
#include "transport/framed/framed_core.h"
#include "transport/net/write_all.h"

namespace twinwire {
namespace {

// Waits until no fiber is inside read_message: from then on close() alone reads.
Result<void> take_over_reading(FramedCore& core, Deadline deadline) {
  while (core.reading != nullptr) {
    core.scheduler().interrupt(*core.reading);
    const Wake wake = core.reader_left.wait(core.scheduler(), deadline, "the reader to leave");
    if (wake != Wake::ready && core.reading != nullptr) return to_errc(wake);
  }
  return {};
}

// Reads and discards to the peer's end: data left unread would turn the close into a reset and destroy what is still on
// its way to the peer. Into memory of its own, since every receive buffer may be lent out.
Result<void> drain(ByteStream& stream, Deadline deadline) {
  std::array<std::byte, 16 * 1024> discarded;
  for (;;) {
    const auto n = stream.read_into(discarded, deadline);
    if (!n) return n.error();
    if (*n == 0) return {};
  }
}

Result<void> end_both_sides(FramedCore& core, Deadline deadline) {
  if (auto shut = core.stream->shutdown_write(deadline); !shut) return shut;
  if (PLANT(close_without_drain)) return {};
  if (auto alone = take_over_reading(core, deadline); !alone) return alone;
  if (core.read_error && *core.read_error != Errc::closed) return *core.read_error;
  core.read_error = Error{Errc::closed, 0};
  core.first_message.reset();
  core.decoder.discard();
  return drain(*core.stream, deadline);
}

struct Gathered {
  std::size_t count = 0;
  std::size_t bytes = 0;
};

// One piece a message, in order.
Gathered gather(const Batch& batch, std::span<iovec> pieces) noexcept {
  Gathered all;
  for (const Message& message : batch.messages()) {
    pieces[all.count++] = {const_cast<std::byte*>(message.bytes().data()), message.size()};
    all.bytes += message.size();
  }
  if (PLANT(swap_two_messages) && all.count > 2) std::swap(pieces[1], pieces[2]);
  if (PLANT(skip_last_of_large_batch) && all.count > 64) all.bytes -= pieces[--all.count].iov_len;
  return all;
}

// Into its callers: for a batch of one the call is a tenth of all that sending takes.
[[gnu::always_inline]] inline Result<void> write_gathered(FramedCore& core, const Batch& batch,
                                                          std::span<iovec> pieces,
                                                          Deadline deadline) {
  const Gathered all = gather(batch, pieces);
  return write_all(*core.stream, pieces.first(all.count), all.bytes, deadline);
}

#ifdef TWINWIRE_PLANTS
// PLANT(success_before_accepted): one write, and what it left is owed until the next call.
Result<void> write_some(FramedCore& core, std::span<iovec> pieces, Deadline deadline) {
  if (!core.owed.empty()) {
    iovec owed{core.owed.data(), core.owed.size()};
    auto paid = write_all(*core.stream, {&owed, 1}, deadline);
    if (!paid) return paid;
    core.owed.clear();
  }
  const auto written = core.stream->write(pieces, deadline);
  if (!written) return written.error();
  for (const iovec& piece : advance(pieces, *written)) {
    const auto* bytes = static_cast<const std::byte*>(piece.iov_base);
    core.owed.insert(core.owed.end(), bytes, bytes + piece.iov_len);
  }
  return {};
}
#else
Result<void> write_some(FramedCore&, std::span<iovec>, Deadline) { return {}; }
#endif

// From where the messages lie. `pieces_max` at least as many as there are: a fiber that sends small batches touches
// less of its stack, which costs time, and memory for as long as it lives.
template <std::size_t pieces_max>
[[gnu::noinline]] Result<void> write_in_place(FramedCore& core, const Batch& batch,
                                              Deadline deadline) {
  std::array<iovec, pieces_max> pieces;
  if (PLANT(success_before_accepted))
    return write_some(core, std::span(pieces).first(gather(batch, pieces).count), deadline);
  auto sent = write_gathered(core, batch, pieces, deadline);
  if (!sent && PLANT(retry_failed_batch))
    sent = write_gathered(core, batch, pieces, Deadline::never());
  return sent;
}

Result<void> write_where_they_lie(FramedCore& core, const Batch& batch, Deadline deadline) {
  constexpr std::size_t few = 32;
  return batch.size() <= few ? write_in_place<few>(core, batch, deadline)
                             : write_in_place<batch_messages_max>(core, batch, deadline);
}

}  // namespace

Result<void> FramedWriter::send_batch(Batch& batch, Deadline deadline) {
  FramedCore& core = *core_.operator->();
  const Exclusive mark(core.writing, "two fibers inside one writer");
  if (core.write_error) return *core.write_error;
  if (core.closing) return Errc::closed;
  if (batch.empty()) return {};
  if (batch.size() > batch_messages_max) {
    core.drop({Errc::too_large, 0});
    return Errc::too_large;
  }

  auto sent = core.coalesce_below == 0 ? write_where_they_lie(core, batch, deadline)
                                       : write_coalesced(*core.stream, core.network->buffers(),
                                                         batch, core.coalesce_below, deadline);
  if (!sent) {
    if (PLANT(drain_batch_on_failure)) batch.clear();
    if (!PLANT(keep_connection_after_failure)) core.drop(sent.error());
    if (PLANT(failed_batch_reports_success)) return {};
    // The reader may have dropped the connection while this batch was under way: its reason came first, and stays.
    return core.write_error.value_or(sent.error());
  }
  batch.clear();
  if (PLANT(free_batch_allocation)) batch = Batch();
  return {};
}

Result<void> FramedWriter::close(Duration grace) {
  FramedCore& core = *core_.operator->();
  const Exclusive mark(core.writing, "two fibers inside one writer");
  if (core.close_result) return *core.close_result;
  if (core.write_error) return *core.write_error;
  const Deadline deadline =
      PLANT(close_without_bound) ? Deadline::never() : core.network->clock().in(grace);
  core.closing = true;

  Result<void> ended = end_both_sides(core, deadline);
  if (!ended && !(PLANT(close_ignores_timeout) && ended.error() == Errc::timed_out)) {
    core.drop(ended.error());
    core.close_result = ended;
    return ended;
  }
  core.write_error = Error{Errc::closed, 0};
  core.close_result = Result<void>{};
  if (core.reading == nullptr) {
    core.read_error = Error{Errc::closed, 0};
    core.stream.reset();  // both ends were seen: a plain close
  }
  return {};
}

}  // namespace twinwire
