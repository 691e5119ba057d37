// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/seam_runner.h"

#include "transport/net/write_all.h"

namespace twinwire::oracle {
namespace {

Outcome failed(const Error& error, std::uint64_t bytes = 0) {
  const bool gave_up = error == Errc::timed_out || error == Errc::canceled;
  if (gave_up && error.os_errno == 0) return Outcome::of(Kind::blocked, bytes);
  return Outcome::of(error, bytes);
}

}  // namespace

Outcomes SeamRunner::run(Scope& scope) {
  scope_ = &scope;
  Outcomes outcomes;
  (void)listen();
  for (const Step& each : script_.steps) {
    outcomes.push_back(step(each));
    // Whoever waited for what this step brought has it before the next.
    if (anybody_waits()) pause(pace_.turn);
  }
  for (auto& sides : waiting_)
    for (auto& ways : sides)
      for (Waiting& each : ways) stop(each);
  acceptor_.reset();
  streams_ = {};
  return outcomes;
}

bool SeamRunner::anybody_waits() const {
  for (const auto& sides : waiting_)
    for (const auto& ways : sides)
      for (const Waiting& each : ways)
        if (each.active) return true;
  return false;
}

Outcome SeamRunner::step(const Step& step) {
  switch (step.op) {
    case Op::listen: return listen();
    case Op::connect: return connect(step.connection);
    case Op::accept: return accept();
    case Op::hop: pause(pace_.hop); return {};
    case Op::settle: pause(pace_.settle); return {};
    case Op::close_listener:
      if (acceptor_ == nullptr) return {};
      acceptor_.reset();
      return Outcome::of(Kind::ok);
    default: break;
  }
  Stream& stream = streams_[step.connection][step.side];
  if (stream == nullptr) return {};
  if (step.op == Op::await_read || step.op == Op::await_write) return await(step);
  // One reads and one writes at a time; and nobody may be inside a stream that is destroyed.
  const bool read_waits = waiting(step, reading).active;
  const bool write_waits = waiting(step, writing).active;
  if (is_read(step.op) && read_waits) return {};
  if (is_write(step.op) && write_waits) return {};
  if (step.op == Op::close && (read_waits || write_waits)) return {};
  switch (step.op) {
    case Op::begin_read:
    case Op::begin_write: return begin(*stream, step);
    case Op::write:
    case Op::write_pieces: return write(*stream, step);
    case Op::read: return read(*stream, step, step.size, false);
    case Op::read_once: return read(*stream, step, step.size, true);
    case Op::drain: return drain(*stream, step);
    case Op::end: {
      const auto ended = stream->shutdown_write(in(pace_.moment));
      return ended ? Outcome::of(Kind::ok) : failed(ended.error());
    }
    case Op::abort: stream->abort(); return Outcome::of(Kind::ok);
    default: stream.reset(); return Outcome::of(Kind::ok);
  }
}

Outcome SeamRunner::begin(ByteStream& stream, const Step& step) {
  Waiting& one = waiting(step, step.op == Op::begin_read ? reading : writing);
  one = {.active = true};
  one.fiber = scope_->spawn("waits", [this, &one, &stream, step] {
    one.outcome = step.op == Op::begin_read ? read(stream, step, step.size, false, true)
                                            : write(stream, step, true);
    one.done = true;
  });
  return Outcome::of(Kind::ok);
}

void SeamRunner::stop(Waiting& waiting) {
  if (!waiting.active) return;
  if (!waiting.done) dialer_.scheduler().cancel(waiting.fiber);
  while (!waiting.done) pause(pace_.turn);
  waiting.active = false;
}

Outcome SeamRunner::await(const Step& step) {
  Waiting& one = waiting(step, step.op == Op::await_read ? reading : writing);
  if (!one.active) return {};
  stop(one);
  if (step.op == Op::await_read)
    one.outcome.complete = progress_.complete(step.connection, step.side);
  return one.outcome;
}

Outcome SeamRunner::listen() {
  if (acceptor_ != nullptr) return {};
  ListenOptions options{.backlog = script_.backlog};
  options.stream.send_buffer = script_.send_buffer[1];
  options.stream.receive_buffer = script_.receive_buffer[1];
  auto listening = listener_.listen(listens_on_, options);
  if (!listening) return failed(listening.error());
  acceptor_ = std::move(*listening);
  listens_on_ = acceptor_->local();
  return Outcome::of(Kind::ok);
}

Outcome SeamRunner::connect(std::size_t connection) {
  if (dialed_from_[connection] != 0) return {};  // once: the books are kept by connection
  const StreamOptions options{.send_buffer = script_.send_buffer[0],
                              .receive_buffer = script_.receive_buffer[0]};
  auto dialed = dialer_.dial(listens_on_, options, in(pace_.connect));
  if (!dialed) return failed(dialed.error());
  streams_[connection][0] = std::move(*dialed);
  dialed_from_[connection] = streams_[connection][0]->local().port;
  return Outcome::of(Kind::ok);
}

Outcome SeamRunner::accept() {
  if (acceptor_ == nullptr) return {};
  auto accepted = acceptor_->accept(in(pace_.moment));
  if (!accepted) return failed(accepted.error());
  // The dialer's port tells whose other end it is: the dialer itself may be gone by now.
  for (std::size_t i = 0; i < connections_max; ++i) {
    if (dialed_from_[i] != (*accepted)->peer().port) continue;
    streams_[i][1] = std::move(*accepted);
    return Outcome::of(Kind::ok, i);
  }
  return Outcome::of(Error{Errc::invalid, 0});
}

Outcome SeamRunner::write(ByteStream& stream, const Step& step, bool waits) {
  const std::vector<std::byte> bytes = progress_.next(step.connection, step.side, step.size);
  std::vector<iovec> pieces;
  std::size_t at = 0;
  const auto sizes =
      step.op != Op::write_pieces ? std::vector<std::uint32_t>{step.size} : pieces_of(step.size);
  for (const std::uint32_t size : sizes) {
    pieces.push_back({const_cast<std::byte*>(bytes.data()) + at, size});
    at += size;
  }
  std::uint64_t taken = 0;
  for (std::span<iovec> left = pieces; taken < step.size;) {
    const auto n = stream.write(left, waits ? Deadline::never() : in(pace_.moment));
    if (!n) return failed(n.error(), taken);
    progress_.wrote(step.connection, step.side, *n);
    taken += *n;
    left = advance(left, *n);
  }
  return Outcome::of(Kind::ok, taken);
}

Outcome SeamRunner::read(ByteStream& stream, const Step& step, std::size_t size, bool once,
                         bool waits) {
  Outcome outcome = Outcome::of(Kind::ok);
  std::vector<std::byte> into(size);
  while (outcome.bytes < size) {
    const auto n = stream.read_into({into.data(), size - outcome.bytes},
                                    waits ? Deadline::never() : in(pace_.moment));
    if (!n) {
      const bool intact = outcome.intact;
      outcome = failed(n.error(), outcome.bytes);
      outcome.intact = intact;
      break;
    }
    if (*n == 0) {
      outcome.kind = Kind::end;
      break;
    }
    outcome.intact &= progress_.took(step.connection, step.side, {into.data(), *n});
    outcome.bytes += *n;
    if (once) break;
  }
  outcome.complete = progress_.complete(step.connection, step.side);
  return outcome;
}

Outcome SeamRunner::drain(ByteStream& stream, const Step& step) {
  std::uint64_t bytes = 0;
  bool intact = true;
  for (int quiet = 0;;) {
    Outcome outcome = read(stream, step, 16 * 1024, true);
    bytes += outcome.bytes;
    intact &= outcome.intact;
    if (outcome.kind == Kind::ok) {
      quiet = 0;
      continue;
    }
    if (outcome.kind == Kind::blocked && ++quiet <= 2) {
      pause(quiet == 1 || outcome.complete ? pace_.settle : pace_.patience);
      continue;
    }
    outcome.bytes = bytes;
    outcome.intact = intact;
    return outcome;
  }
}

}  // namespace twinwire::oracle
