// SPDX-License-Identifier: Apache-2.0
// Reading: bytes from the stream into the decoder until it yields a frame.
#include <cstring>
#include <optional>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/framed/framed_conn.h"
#include "transport/framed/framed_core.h"

namespace twinwire {
namespace {

class InsideReader {
 public:
  explicit InsideReader(FramedCore& core) noexcept : core_(core) {
    TWINWIRE_CHECK(core.reading == nullptr, "two fibers inside one reader");
    core.reading = &core.scheduler().current();
  }
  InsideReader(const InsideReader&) = delete;
  InsideReader& operator=(const InsideReader&) = delete;
  ~InsideReader() {
    core_.reading = nullptr;
    if (!core_.reader_left.empty()) core_.reader_left.wake_one(core_.scheduler());
  }

 private:
  FramedCore& core_;
};

// PLANT(yield_cut_off_message): completes the frame that the stream's end cut off, with zeros.
void pad_with_zeros(FramedCore& core) {
  Block* zeros = core.network->buffers().allocate(64 * 1024);
  if (zeros == nullptr) return;
  std::memset(zeros->data, 0, zeros->capacity);
  core.decoder.feed(Slice(zeros, zeros->data, zeros->capacity));
}

// The stream has ended.
[[gnu::noinline]] Result<void> note_end(FramedCore& core) {
  if (PLANT(yield_cut_off_message) && core.decoder.end_of_stream() == Errc::broken) {
    pad_with_zeros(core);
    return {};
  }
  return core.decoder.end_of_stream();
}

// The rest of a large body, to where it belongs.
[[gnu::noinline]] Result<void> fill_directly(FramedCore& core, Deadline deadline) {
  const auto n = core.stream->read_into(core.decoder.direct_space(), deadline);
  if (!n) return n.error();
  core.decoder.commit(*n);
  return *n != 0 ? Result<void>{} : note_end(core);
}

// One read's worth of bytes into the decoder. Into its callers: a fiber that waits lies below them, and each frame less
// is a line of the cache less that its waking brings in.
// Errors     closed or broken at the end of the stream, and those of ByteStream::read
[[gnu::always_inline]] inline Result<void> fill(FramedCore& core, Deadline deadline) {
  if (core.decoder.reads_directly()) [[unlikely]]
    return fill_directly(core, deadline);
  auto slice = core.stream->read(deadline);
  if (!slice) return slice.error();
  if (slice->empty()) [[unlikely]]
    return note_end(core);
  core.decoder.feed(std::move(*slice));
  return {};
}

// close() has taken over: nothing more is yielded, also where close() itself fails later.
Error end_by_close(FramedCore& core) {
  if (!core.read_error) core.read_error = Error{Errc::closed, 0};
  return *core.read_error;
}

void note_stop(FramedCore& core) noexcept {
  if (core.decoder.end_of_stream() == Errc::broken)
    core.scheduler().reached(Sometimes::read_stopped_inside_frame);
}

// Final errors end the connection; the others leave everything as it was.
Error read_failed(FramedCore& core, Error error) {
  switch (error.code) {
    case Errc::timed_out:
    case Errc::no_resources:
      note_stop(core);
      if (PLANT(lose_bytes_when_read_stops)) core.decoder.discard();
      return error;
    case Errc::canceled:
      note_stop(core);
      if (PLANT(lose_bytes_when_read_stops)) core.decoder.discard();
      if (!core.closing) return error;
      // close() has interrupted this read to take over the stream.
      core.scheduler().reached(Sometimes::close_took_over_read);
      return end_by_close(core);
    case Errc::closed: core.read_error = error; return error;
    default:
      if (core.read_error) {  // dropped on this side while we waited
        core.scheduler().reached(Sometimes::reader_woken_by_drop);
        if (PLANT(reader_waits_for_dead_writer))
          (void)core.reader_left.wait(core.scheduler(), Deadline::never(), "a writer that is dead");
        return *core.read_error;
      }
      if (!(PLANT(keep_connection_after_invalid) && error == Errc::invalid)) {
        core.read_error = error;
        core.drop(error);
      }
      return error;
  }
}

// Whether nothing may be read any more, or not by this fiber.
bool refuses(FramedCore& core) noexcept {
  return core.read_error || core.closing || core.scheduler().cancel_pending();
}
// And why.
Error refusal(FramedCore& core) {
  if (core.read_error) return *core.read_error;
  if (core.closing) return end_by_close(core);
  return {Errc::canceled, 0};
}

Result<void> read_one(FramedCore& core, std::size_t max, Deadline deadline, Message& message) {
  if (refuses(core)) [[unlikely]]
    return refusal(core);
  if (PLANT(read_ignores_deadline)) deadline = Deadline::never();
  for (;;) {
    const auto whole = core.decoder.next(max, message);
    if (!whole) return read_failed(core, whole.error());
    if (*whole) return {};
    // close() has begun while this fiber was on its way here, too late to be interrupted: the stream is close()'s now.
    if (core.closing) return end_by_close(core);
    if (auto filled = fill(core, deadline); !filled) return read_failed(core, filled.error());
  }
}

// The same of what the decoder holds.
Result<void> take_one(FramedCore& core, std::size_t max, Message& message) {
  if (refuses(core)) [[unlikely]]
    return refusal(core);
  const auto whole = core.decoder.next(max, message);
  if (!whole) return read_failed(core, whole.error());
  if (!*whole) return Errc::timed_out;
  return {};
}

// `read(message)`: after the message that accept() has read ahead, where it did.
template <class Read>
Result<Message> read_or_first(FramedCore& core, std::size_t max, Read&& read) {
  TWINWIRE_CHECK(max >= header_size, "no frame is smaller than its header");
  InsideReader mark(core);
  Result<Message> message{std::in_place};  // the one that is returned, so that it is never moved
  if (core.first_message && !core.closing && !core.read_error) {
    if (core.first_message->size() > max) {
      message = read_failed(core, {Errc::invalid, 0});
    } else {
      message = std::move(*core.first_message);
      core.first_message.reset();
    }
  } else if (auto done = read(*message); !done) {
    message = done.error();
  }
  return message;
}

}  // namespace

Result<Message> FramedReader::read_message(std::size_t max, Deadline deadline) {
  FramedCore& core = *core_.operator->();
  return read_or_first(core, max,
                       [&](Message& message) { return read_one(core, max, deadline, message); });
}

Result<Message> FramedReader::try_read_message(std::size_t max) {
  FramedCore& core = *core_.operator->();
  return read_or_first(core, max, [&](Message& message) { return take_one(core, max, message); });
}

Result<void> FramedReader::read_batch(Batch& into, std::size_t max, Deadline deadline) {
  FramedCore& core = *core_.operator->();
  TWINWIRE_CHECK(into.size() < into.capacity(), "a batch to read into has room for one message");
  if (core.first_message) [[unlikely]] {
    auto first = read_message(max, deadline);
    if (!first) return first.error();
    into.push(std::move(*first));
    (void)core.decoder.take(max, into);
    return {};
  }
  TWINWIRE_CHECK(max >= header_size, "no frame is smaller than its header");
  const InsideReader mark(core);
  if (refuses(core)) [[unlikely]]
    return refusal(core);
  if (PLANT(read_ignores_deadline)) deadline = Deadline::never();
  const std::size_t before = into.size();
  for (;;) {
    if (!core.decoder.needs_more()) {
      const auto taken = core.decoder.take(max, into);
      if (into.size() != before) return {};
      if (!taken) return read_failed(core, taken.error());
    }
    if (core.closing) return end_by_close(core);
    if (auto filled = fill(core, deadline); !filled) return read_failed(core, filled.error());
  }
}

Result<void> FramedConn::await_first_message(std::size_t max, Deadline deadline) {
  FramedCore& core = *reader_half_.operator->();
  InsideReader mark(core);
  Message message;
  auto read = read_one(core, max, deadline, message);
  if (read) core.first_message = std::move(message);
  return read;
}

}  // namespace twinwire
