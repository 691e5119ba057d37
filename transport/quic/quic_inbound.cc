// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic_inbound.h"

#include <algorithm>
#include <new>
#include <utility>

#include "transport/base/plant.h"
#include "transport/wire/seal.h"

namespace twinwire {

QuicInbound::QuicInbound(BufferPool& pool, const QuicOptions& options) noexcept
    : pool_(&pool),
      stream_window_(options.stream_window),
      connection_window_(options.connection_window),
      messages_window_(options.messages_window),
      verify_seal_(options.verify_seal),
      any_order_(options.any_order && !options.one_stream),
      one_stream_(options.one_stream),
      given_(options.connection_window) {}

bool QuicInbound::append(Stream& stream, std::span<const std::byte> bytes) noexcept {
  // A whole block for what is no more than what may arrive anyway; and for the oldest message, where its size is known
  // to be welcome. For every later one the headers alone could claim as much.
  const std::size_t room = connection_window_ > held_ ? connection_window_ - held_ : 0;
  const std::size_t before = stream.frame.capacity();
  const std::size_t claim = &stream == &streams_.front() ? known_max_ : 0;
  const bool ok =
      stream.frame.append(*pool_, bytes, std::max(claim, std::min(stream_window_, room)));
  held_ += stream.frame.capacity() - before;
  return ok;
}

void QuicInbound::on_bytes(std::uint64_t number, std::span<const std::byte> bytes,
                           bool end) noexcept {
  received_ += bytes.size();
  try {
    if (one_stream_) return on_shared_bytes(number, bytes, end);
    if (number < first_) return;
    while (first_ + streams_.size() <= number) streams_.emplace_back();
  } catch (const std::bad_alloc&) {
    out_of_memory_ = true;
    return;
  }
  Stream& stream = streams_[number - first_];
  if (discarding_) {
    stream.frame.skip(bytes.size());
    give_back(bytes.size());
    if (end) ++credit_.streams;
    if (!end) {
      credit_.stream = number;
      credit_.stream_bytes = stream.frame.filled() - stream.credited;
    }
  } else if (!append(stream, bytes)) {
    out_of_memory_ =
        true;  // the connection's end: what is missing was not cut short, or closed, by the peer
    return;
  }
  stream.end = stream.end || end;
}

// One stream for all messages: they begin where the one before ends.
void QuicInbound::on_shared_bytes(std::uint64_t number, std::span<const std::byte> bytes,
                                  bool end) {
  const auto next = [this]() -> Stream& {
    if (streams_.empty() || streams_.back().end) streams_.emplace_back();
    return streams_.back();
  };
  if (number != 0) {  // the peer gives each message its own
    next().frame.spoil();
    return;
  }
  if (discarding_) {
    give_back(bytes.size());
    credit_.stream_bytes += bytes.size();
    bytes = {};
  }
  while (!bytes.empty()) {
    Stream& last = next();
    // What is no header leaves nothing to go on with: the reader finds it, and ends the connection.
    if (last.frame.bad()) return;
    const std::span<const std::byte> piece = bytes.first(last.frame.wants(bytes));
    if (!append(last, piece)) {
      out_of_memory_ = true;
      return;
    }
    bytes = bytes.subspan(piece.size());
    last.end = last.frame.whole();
  }
  if (end) next().end = true;  // without a byte: the good-bye
}

void QuicInbound::on_reset(std::uint64_t number) noexcept {
  if (one_stream_) {
    on_bytes(0, {}, true);
    if (!streams_.empty()) streams_.back().reset = true;
    return;
  }
  on_bytes(number, {}, false);
  if (number >= first_ && number - first_ < streams_.size()) streams_[number - first_].reset = true;
}

Result<bool> QuicInbound::take(Stream& stream, std::size_t max, Message& out) noexcept {
  if (stream.taken) return false;
  if (stream.reset) return Errc::broken;
  QuicAssembly& frame = stream.frame;
  if (frame.bad() || frame.size() > max) return Errc::invalid;
  if (PLANT(quic_yield_stream_without_fin) && frame.size() != 0 && !stream.end &&
      frame.pretend_whole(*pool_))
    stream.end = true;
  if (!stream.end) return false;
  if (frame.filled() == 0) return Errc::closed;
  if (!frame.whole()) return Errc::invalid;
  if (verify_seal_ && !seal_matches(frame.bytes())) return Errc::invalid;
  held_ -= std::min(held_, frame.capacity());
  give_back(frame.filled());
  if (one_stream_) credit_.stream_bytes += frame.filled() - stream.credited;
  out = frame.take();
  if (!one_stream_) ++credit_.streams;
  stream.taken = true;
  return true;
}

void QuicInbound::forget_front() noexcept {
  while (!streams_.empty() && streams_.front().taken) {
    streams_.pop_front();
    ++first_;
  }
}

Result<bool> QuicInbound::next(std::size_t max, Message& out) noexcept {
  known_max_ = max;
  const bool any = any_order_ || PLANT(quic_yield_out_of_order);
  for (std::size_t i = 0; i < (any ? streams_.size() : std::min<std::size_t>(streams_.size(), 1));
       ++i) {
    auto taken = take(streams_[i], max, out);
    // The good-bye counts when everything before it was yielded.
    if (!taken && taken.error() == Errc::closed && i != 0) continue;
    if (!taken || *taken) {
      forget_front();
      return taken;
    }
  }
  return false;
}

void QuicInbound::discard() noexcept {
  if (discarding_) return;
  discarding_ = true;
  for (Stream& stream : streams_) {
    stream.frame.release();
    if (stream.taken) continue;
    give_back(stream.frame.filled());
    if (one_stream_)
      credit_.stream_bytes += stream.frame.filled() - stream.credited;
    else if (stream.end)
      ++credit_.streams;
  }
  held_ = 0;
  if (one_stream_) {  // what is half here is of no interest; only the end is
    if (!streams_.empty() && !streams_.back().end) streams_.pop_back();
  } else if (!streams_.empty() && !streams_.front().end) {
    credit_.stream = first_;
    credit_.stream_bytes = streams_.front().frame.filled() - streams_.front().credited;
  }
}

bool QuicInbound::ended() const noexcept {
  if (streams_.empty()) return false;
  const Stream& last = streams_.back();
  return last.end && last.frame.filled() == 0 &&
         std::all_of(streams_.begin(), streams_.end(), [](const Stream& stream) {
           return (stream.end || stream.taken) && !stream.reset;
         });
}

// What nobody holds any more may be sent again; but what was lent is paid back first.
void QuicInbound::give_back(std::size_t bytes) noexcept {
  const std::size_t paid = std::min(lent_, bytes);
  lent_ -= paid;
  credit_.bytes += bytes - paid;
}

void QuicInbound::lend(std::size_t bytes) noexcept {
  const std::size_t bound = connection_window_ + known_max_;
  const std::size_t more = std::min(bytes, bound - std::min(bound, lent_));
  lent_ += more;
  credit_.bytes += more;
}

std::optional<QuicInbound::Credit> QuicInbound::take_credit(bool reading,
                                                            std::uint64_t untold) noexcept {
  if (PLANT(quic_credit_never_extended)) return std::nullopt;
  if (reading && !discarding_ && !streams_.empty() && !streams_.front().end) {
    Stream& head = streams_.front();
    const std::size_t fresh = head.frame.filled() - head.credited;
    if (fresh >= stream_window_ / 4) {
      credit_.stream = one_stream_ ? 0 : first_;
      credit_.stream_bytes += fresh;
      lend(fresh);
      head.credited = head.frame.filled();
    }
    // A peer that writes several messages in turns spends on the later ones what the first one needs. Before it has
    // spent all that it knows of, it is lent more, whoever gets that: enough for the library to tell it.
    const std::uint64_t worth_telling = connection_window_ / 2 + 1;
    if (given_ + credit_.bytes - received_ < untold + connection_window_ / 4 &&
        untold + credit_.bytes < worth_telling)
      lend(worth_telling - untold - credit_.bytes);
  } else if (discarding_ && credit_.stream_bytes != 0 && !one_stream_) {
    streams_[credit_.stream - first_].credited += credit_.stream_bytes;
  }
  Credit due{.bytes = std::exchange(credit_.bytes, 0)};
  given_ += due.bytes;
  if (credit_.streams > messages_window_ / 4) due.streams = std::exchange(credit_.streams, 0);
  if (!one_stream_ || credit_.stream_bytes >= stream_window_ / 4) {
    due.stream = std::exchange(credit_.stream, 0);
    due.stream_bytes = std::exchange(credit_.stream_bytes, 0);
  }
  if (due.bytes == 0 && due.streams == 0 && due.stream_bytes == 0) return std::nullopt;
  return due;
}

bool QuicInbound::stuck(std::uint64_t untold) const noexcept {
  return !discarding_ && !streams_.empty() && !streams_.front().end && given_ - received_ <= untold;
}

}  // namespace twinwire
