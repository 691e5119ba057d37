// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic_inbound.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

#include "transport/base/plant.h"
#include "transport/wire/seal.h"

namespace twinwire {
namespace {

void release(Block*& block) noexcept {
  if (block != nullptr) Slice(std::exchange(block, nullptr), nullptr, 0).release();
}

}  // namespace

QuicInbound::QuicInbound(BufferPool& pool, const QuicOptions& options) noexcept
    : pool_(&pool),
      stream_window_(options.stream_window),
      connection_window_(options.connection_window),
      messages_window_(options.messages_window),
      verify_seal_(options.verify_seal),
      any_order_(options.any_order),
      given_(options.connection_window) {}

void QuicInbound::release_all() noexcept {
  for (Stream& stream : streams_) release(stream.block);
  held_ = 0;
}

bool QuicInbound::reserve(Stream& stream, std::size_t bytes) noexcept {
  const std::size_t have = stream.block != nullptr ? stream.block->capacity : 0;
  if (bytes <= have) return true;
  // The whole frame at once where its size is known to be welcome, or is no more than what may arrive anyway; else as
  // much again as is here already: a header alone must not make us take memory.
  std::size_t wanted = std::max(bytes, std::min(2 * stream.filled, stream.size));
  if (stream.size != 0 &&
      (stream.size <= known_max_ ||
       (stream.size <= stream_window_ && held_ + stream.size <= connection_window_)))
    wanted = std::max(bytes, stream.size);
  Block* block = pool_->allocate(wanted);
  if (block == nullptr) return false;
  if (stream.filled != 0) std::memcpy(block->data, stream.block->data, stream.filled);
  held_ = held_ - have + block->capacity;
  release(stream.block);
  stream.block = block;
  return true;
}

bool QuicInbound::append(Stream& stream, std::span<const std::byte> bytes) noexcept {
  while (!bytes.empty() && !stream.bad) {
    std::size_t n = std::min(
        bytes.size(), stream.size != 0 ? stream.size - stream.filled : header_size - stream.filled);
    if (stream.filled == 0 && bytes.size() >= header_size) {  // the common case: one allocation
      const HeaderView header(bytes.data());
      stream.bad = header.size() < header_size ||
                   header.command_byte() > static_cast<std::uint8_t>(Command::start_view);
      if (stream.bad) break;
      stream.size = header.size();
      n = std::min(bytes.size(), stream.size);
    }
    if (n == 0) {  // bytes beyond the frame
      stream.bad = true;
      break;
    }
    if (!reserve(stream, stream.filled + n)) return false;
    std::memcpy(stream.block->data + stream.filled, bytes.data(), n);
    stream.filled += n;
    bytes = bytes.subspan(n);
    if (stream.size == 0 && stream.filled == header_size) {
      const HeaderView header(stream.block->data);
      stream.size = header.size();
      stream.bad = stream.size < header_size ||
                   header.command_byte() > static_cast<std::uint8_t>(Command::start_view);
    }
  }
  return true;
}

void QuicInbound::on_bytes(std::uint64_t number, std::span<const std::byte> bytes,
                           bool end) noexcept {
  received_ += bytes.size();
  if (number < first_) return;
  try {
    while (first_ + streams_.size() <= number) streams_.emplace_back();
  } catch (const std::bad_alloc&) {
    out_of_memory_ = true;
    return;
  }
  Stream& stream = streams_[number - first_];
  if (discarding_) {
    stream.filled += bytes.size();
    give_back(bytes.size());
    if (end) ++credit_.streams;
    if (!end) {
      credit_.stream = number;
      credit_.stream_bytes = stream.filled - stream.credited;
    }
  } else if (!append(stream, bytes)) {
    out_of_memory_ = true;
  }
  stream.end = stream.end || end;
}

void QuicInbound::on_reset(std::uint64_t number) noexcept {
  on_bytes(number, {}, false);
  if (number >= first_ && number - first_ < streams_.size()) streams_[number - first_].reset = true;
}

Result<bool> QuicInbound::take(Stream& stream, std::size_t max, Message& out) noexcept {
  if (stream.taken) return false;
  if (stream.reset) return Errc::broken;
  if (stream.bad || stream.size > max) return Errc::invalid;
  if (PLANT(quic_yield_stream_without_fin) && stream.size != 0 && !stream.end &&
      reserve(stream, stream.size)) {
    stream.filled = stream.size;
    stream.end = true;
  }
  if (!stream.end) return false;
  if (stream.filled == 0) return Errc::closed;
  if (stream.size == 0 || stream.filled != stream.size) return Errc::invalid;
  if (verify_seal_ && !seal_matches({stream.block->data, stream.size})) return Errc::invalid;
  held_ -= stream.block->capacity;
  const std::byte* data = stream.block->data;
  out = Message(Slice(std::exchange(stream.block, nullptr), data, stream.size));
  give_back(stream.filled);
  ++credit_.streams;
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
    release(stream.block);
    if (stream.taken) continue;
    give_back(stream.filled);
    if (stream.end) ++credit_.streams;
  }
  held_ = 0;
  if (!streams_.empty() && !streams_.front().end) {
    credit_.stream = first_;
    credit_.stream_bytes = streams_.front().filled - streams_.front().credited;
  }
}

bool QuicInbound::ended() const noexcept {
  if (streams_.empty()) return false;
  const Stream& last = streams_.back();
  return last.end && last.filled == 0 &&
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

// So that the peer hears of it now: the library keeps to itself what is not more than half a window.
std::size_t QuicInbound::worth_a_frame() const noexcept { return connection_window_ / 2 + 1; }

void QuicInbound::lend(std::size_t bytes) noexcept {
  const std::size_t bound = connection_window_ + known_max_;
  const std::size_t more = std::min(bytes, bound - std::min(bound, lent_));
  lent_ += more;
  credit_.bytes += more;
}

std::optional<QuicInbound::Credit> QuicInbound::take_credit(bool reading) noexcept {
  if (PLANT(quic_credit_never_extended)) return std::nullopt;
  if (reading && !discarding_ && !streams_.empty() && !streams_.front().end) {
    Stream& head = streams_.front();
    const std::size_t fresh = head.filled - head.credited;
    if (fresh >= stream_window_ / 4) {
      credit_.stream = first_;
      credit_.stream_bytes = fresh;
      lend(fresh);
      head.credited = head.filled;
    }
    // A peer that writes several messages in turns spends on the later ones what the first one needs. Before it has
    // spent all, it is lent more, whoever gets that.
    if (given_ - received_ < connection_window_ / 4 && credit_.bytes < worth_a_frame())
      lend(worth_a_frame() - credit_.bytes);
  } else if (discarding_ && credit_.stream_bytes != 0) {
    streams_[credit_.stream - first_].credited += credit_.stream_bytes;
  }
  const bool worth = credit_.bytes >= worth_a_frame();
  if (!worth && credit_.streams <= messages_window_ / 4 && credit_.stream_bytes == 0)
    return std::nullopt;
  const std::uint64_t kept = worth ? 0 : credit_.bytes;
  given_ += credit_.bytes - kept;
  Credit out = std::exchange(credit_, Credit{.bytes = kept});
  out.bytes -= kept;
  return out;
}

bool QuicInbound::stuck() const noexcept {
  return !discarding_ && !streams_.empty() && !streams_.front().end && given_ == received_;
}

}  // namespace twinwire
