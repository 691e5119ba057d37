// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic_outbound.h"

#include <algorithm>

#include "transport/base/plant.h"

namespace twinwire {

void QuicOutbound::push(const Message& message) {
  Stream& stream = streams_.emplace_back();
  stream.message = message;
#ifdef TWINWIRE_PLANTS
  if (PLANT(quic_references_freed_before_ack))
    stream.copy.assign(message.bytes().begin(), message.bytes().end());
#endif
}

void QuicOutbound::push_end() { streams_.emplace_back(); }

std::optional<QuicSink::Piece> QuicOutbound::next_piece() const noexcept {
  if (blocked_ || writing_ == pushed()) return std::nullopt;
  const Stream& stream = streams_[writing_ - first_];
  std::span<const std::byte> bytes = stream.message.bytes();
#ifdef TWINWIRE_PLANTS
  if (PLANT(quic_references_freed_before_ack)) bytes = stream.copy;
#endif
  // On one stream for all only the good-bye, which has no bytes, is the end.
  return QuicSink::Piece{.stream = {QuicStream::Kind::messages, one_stream_ ? 0 : writing_},
                         .bytes = bytes.subspan(stream.written),
                         .end = !one_stream_ || bytes.empty()};
}

void QuicOutbound::on_written(const QuicSink::Piece& piece, std::size_t bytes) noexcept {
  Stream* stream = find(one_stream_ ? writing_ : piece.stream.number);
  if (stream == nullptr) return;
  stream->written += bytes;
  if (bytes < piece.bytes.size()) return;
  ++writing_;
#ifdef TWINWIRE_PLANTS
  if (PLANT(quic_references_freed_before_ack))
    std::fill(stream->copy.begin(), stream->copy.end(), std::byte{0xee});
#endif
}

void QuicOutbound::on_acked(std::uint64_t number, std::uint64_t bytes) noexcept {
  if (one_stream_) return on_shared_acked(bytes);
  Stream* stream = find(number);
  if (stream == nullptr) return;
  stream->acked += bytes;
  if (stream->acked == stream->message.size()) stream->message = Message();
}

// On one stream for all: of the oldest messages first.
void QuicOutbound::on_shared_acked(std::uint64_t bytes) noexcept {
  while (!streams_.empty() && !streams_.front().message.empty()) {
    Stream& front = streams_.front();
    const std::uint64_t n = std::min<std::uint64_t>(bytes, front.message.size() - front.acked);
    front.acked += n;
    bytes -= n;
    if (front.acked < front.message.size()) return;
    streams_.pop_front();
    ++first_;
  }
}

void QuicOutbound::on_all_acked(std::uint64_t number) noexcept {
  if (one_stream_) {  // the good-bye, too
    first_ = pushed();
    return streams_.clear();
  }
  Stream* stream = find(number);
  if (stream == nullptr) return;
  stream->done = true;
  while (!streams_.empty() && streams_.front().done) {
    streams_.pop_front();
    ++first_;
  }
}

}  // namespace twinwire
