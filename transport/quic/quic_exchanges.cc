// SPDX-License-Identifier: Apache-2.0
#include "transport/quic/quic_exchanges.h"

#include <algorithm>
#include <new>
#include <utility>

#include "transport/base/plant.h"
#include "transport/wire/seal.h"

namespace twinwire {

QuicExchanges::QuicExchanges(Scheduler& scheduler, BufferPool& pool,
                             const QuicOptions& options) noexcept
    : scheduler_(&scheduler),
      pool_(&pool),
      stream_window_(options.stream_window),
      requests_window_(options.requests_window),
      verify_seal_(options.verify_seal) {}

QuicExchange* QuicExchanges::find(QuicStream stream) noexcept {
  const Table& known = table(stream);
  const auto found = known.find(stream.number);
  return found != known.end() ? found->second.get() : nullptr;
}

// --- From the halves -------------------------------------------------------------------------------------------------

QuicExchanges::Handle QuicExchanges::ask(std::uint64_t number, const Message& request,
                                         std::size_t max) {
  auto exchange = std::make_shared<QuicExchange>();
  exchange->stream = {QuicStream::Kind::our_request, number};
  exchange->out = request;
  exchange->size = request.size();
  exchange->max = max;
  sending_.push_back(exchange);
  try {
    ours_.emplace(number, exchange);
  } catch (const std::bad_alloc&) {
    sending_.pop_back();
    throw;
  }
  return exchange;
}

void QuicExchanges::answer(const Handle& exchange, const Message& reply) {
  sending_.push_back(exchange);
  exchange->out = reply;
  exchange->size = reply.size();
}

Result<bool> QuicExchanges::take(QuicExchange& exchange, std::size_t max, Message& out) noexcept {
  if (exchange.abandoned || exchange.yielded) return false;
  if (exchange.reset) return Errc::refused;
  QuicAssembly& frame = exchange.in;
  if (frame.bad() || frame.size() > max) return Errc::invalid;
  if (!exchange.end) return false;
  if (!frame.whole()) return Errc::invalid;
  if (verify_seal_ && !seal_matches(frame.bytes())) return Errc::invalid;
  out = frame.take();
  exchange.yielded = true;
  return true;
}

Result<bool> QuicExchanges::take_reply(QuicExchange& exchange, Message& out) noexcept {
  if (PLANT(quic_reply_to_another_request)) {
    for (const auto& [number, other] : ours_)
      if (other->end && !other->reset && !other->yielded && other->in.whole())
        return take(*other, other->max, out);
  }
  return take(exchange, exchange.max, out);
}

Result<QuicExchanges::Handle> QuicExchanges::take_request(std::size_t max, Message& out) noexcept {
  requests_max_ = max;
  for (auto& [number, exchange] : theirs_) {
    if (exchange->yielded || exchange->abandoned || exchange->reset) continue;
    const auto whole = take(*exchange, max, out);
    if (!whole) return whole.error();
    if (*whole) return exchange;
  }
  return Handle();
}

bool QuicExchanges::has_request() const noexcept {
  return std::ranges::any_of(theirs_, [](const auto& entry) {
    const QuicExchange& exchange = *entry.second;
    return exchange.end && !exchange.yielded && !exchange.abandoned && !exchange.reset;
  });
}

void QuicExchanges::abandon(QuicExchange& exchange) noexcept {
  if (exchange.abandoned) return;
  exchange.abandoned = untold_ = true;
  forget_sending(exchange);
  if (exchange.yielded) return;
  exchange.in.release();
}

void QuicExchanges::forget_sending(const QuicExchange& exchange) noexcept {
  std::erase_if(sending_, [&](const Handle& other) { return other.get() == &exchange; });
}

void QuicExchanges::close() noexcept {
  closing_ = true;
  for (auto& [number, exchange] : ours_) abandon(*exchange);
  for (auto& [number, exchange] : theirs_)
    if (exchange->size == 0) abandon(*exchange);
  wake_everybody();
}

bool QuicExchanges::replies_acked() const noexcept {
  return std::ranges::all_of(theirs_, [](const auto& entry) {
    const QuicExchange& exchange = *entry.second;
    return exchange.abandoned || exchange.unwanted || exchange.acked == exchange.size;
  });
}

void QuicExchanges::clear() noexcept {
  wake_everybody();
  for (const Table* table : {&ours_, &theirs_})
    for (const auto& [number, exchange] : *table) exchange->out = Message();
  ours_.clear();
  theirs_.clear();
  sending_.clear();
}

void QuicExchanges::wake_everybody() noexcept {
  for (const Table* table : {&ours_, &theirs_})
    for (const auto& [number, exchange] : *table) exchange->changed.wake_all(*scheduler_);
  request_arrived_.wake_all(*scheduler_);
}

// --- From the engine: what comes -------------------------------------------------------------------------------------

QuicExchange* QuicExchanges::find_or_begin(QuicStream stream) {
  if (QuicExchange* known = find(stream); known != nullptr) return known;
  if (stream.kind == QuicStream::Kind::our_request) return nullptr;
  auto exchange = std::make_shared<QuicExchange>();
  exchange->stream = stream;
  theirs_.emplace(stream.number, exchange);
  if (closing_) abandon(*exchange);
  return exchange.get();
}

void QuicExchanges::on_bytes(QuicStream stream, std::span<const std::byte> bytes,
                             bool end) noexcept {
  QuicExchange* exchange = nullptr;
  try {
    exchange = find_or_begin(stream);
  } catch (const std::bad_alloc&) {
    out_of_memory_ = true;
    return;
  }
  // Bounded by number and by each stream's window: what is held of them takes nothing of the messages' window, or
  // requests that nobody reads would bring messages to a halt.
  if (!PLANT(quic_request_credit_lost)) credit_.bytes += bytes.size();
  if (exchange == nullptr || exchange->abandoned) return;
  const bool ours = stream.kind == QuicStream::Kind::our_request;
  // A reply's maximum is its asker's; that of requests is one for all, and a peer could claim it for each of them.
  const std::size_t welcome = ours ? std::max(stream_window_, exchange->max) : stream_window_;
  if (!exchange->in.append(*pool_, bytes, welcome)) {
    out_of_memory_ = true;  // the connection's end, and not a message that its peer cut short
    return;
  }
  exchange->end = exchange->end || end;
  if (!exchange->end && exchange->in.filled() - exchange->credited >= stream_window_ / 4)
    growing_ = true;
  const bool too_large = exchange->in.size() > (ours ? exchange->max : requests_max_);
  if (!exchange->end && !exchange->in.bad() && !too_large) return;
  if (PLANT(quic_reply_to_another_request)) wake_everybody();
  if (ours)
    exchange->changed.wake_all(*scheduler_);
  else
    request_arrived_.wake_all(*scheduler_);
}

void QuicExchanges::on_reset(QuicStream stream) noexcept {
  on_bytes(stream, {}, false);
  QuicExchange* exchange = find(stream);
  if (exchange == nullptr) return;
  // A request that is reset once it is whole was given up; a reply that is reset is none.
  exchange->reset = true;
  exchange->unwanted = true;
  if (stream.kind == QuicStream::Kind::peer_request && exchange->size == 0) abandon(*exchange);
  exchange->changed.wake_all(*scheduler_);
}

void QuicExchanges::on_unwanted(QuicStream stream) noexcept {
  QuicExchange* exchange = find(stream);
  if (exchange == nullptr) return;
  exchange->unwanted = true;
  forget_sending(*exchange);
  exchange->changed.wake_all(*scheduler_);
}

// --- From the engine: what goes --------------------------------------------------------------------------------------

void QuicExchanges::on_acked(QuicStream stream, std::uint64_t bytes) noexcept {
  QuicExchange* exchange = find(stream);
  if (exchange == nullptr) return;
  exchange->acked += bytes;
  if (exchange->acked == exchange->size) exchange->out = Message();
}

void QuicExchanges::on_closed(QuicStream stream) noexcept {
  if (stream.kind == QuicStream::Kind::peer_request) ++credit_.streams;
  Table& known = table(stream);
  const auto found = known.find(stream.number);
  if (found == known.end()) return;
  const Handle exchange = found->second;
  known.erase(found);
  forget_sending(*exchange);
  exchange->out = Message();
  exchange->unwanted = true;
  exchange->reset = exchange->reset || !exchange->end;
  exchange->changed.wake_all(*scheduler_);
}

// Streams take turns, a packet each, so that a large one holds up no small one.
void QuicExchanges::on_new_packet() noexcept {
  ++packet_;
  if (sending_.size() > 1) std::rotate(sending_.begin(), sending_.begin() + 1, sending_.end());
}

std::optional<QuicSink::Piece> QuicExchanges::next_piece() const noexcept {
  for (const Handle& exchange : sending_)
    if (exchange->written != exchange->size && exchange->blocked != packet_)
      return QuicSink::Piece{exchange->stream, exchange->out.bytes().subspan(exchange->written),
                             true};
  return std::nullopt;
}

void QuicExchanges::on_written(QuicStream stream, std::size_t bytes) noexcept {
  if (QuicExchange* exchange = find(stream); exchange != nullptr) exchange->written += bytes;
}

void QuicExchanges::on_blocked(QuicStream stream) noexcept {
  if (QuicExchange* exchange = find(stream); exchange != nullptr) exchange->blocked = packet_;
}

// --- From the pump ---------------------------------------------------------------------------------------------------

void QuicExchanges::hand_over() noexcept {
  std::erase_if(sending_, [&](const Handle& exchange) {
    if (exchange->written != exchange->size) return false;
    exchange->handed = true;
    exchange->changed.wake_all(*scheduler_);
    return true;
  });
}

std::optional<QuicStream> QuicExchanges::next_abandoned() noexcept {
  if (!untold_) return std::nullopt;
  for (Table* table : {&ours_, &theirs_})
    for (auto& [number, exchange] : *table)
      if (exchange->abandoned && !std::exchange(exchange->told, exchange->abandoned))
        return exchange->stream;
  untold_ = false;
  return std::nullopt;
}

std::uint64_t QuicExchanges::grow(QuicExchange& exchange) noexcept {
  const std::size_t fresh = exchange.in.filled() - exchange.credited;
  if (exchange.end || exchange.abandoned || fresh < stream_window_ / 4) return 0;
  exchange.credited = exchange.in.filled();
  return fresh;
}

std::optional<QuicExchanges::Growth> QuicExchanges::next_growth(bool serving) noexcept {
  if (!growing_) return std::nullopt;
  for (auto& [number, exchange] : ours_)
    if (exchange->in.size() <= exchange->max)
      if (const std::uint64_t bytes = grow(*exchange); bytes != 0)
        return Growth{exchange->stream, bytes};
  if (!serving) return std::nullopt;  // a later call looks again
  for (auto& [number, exchange] : theirs_) {
    if (exchange->end || exchange->abandoned || exchange->in.size() > requests_max_) continue;
    if (const std::uint64_t bytes = grow(*exchange); bytes != 0)
      return Growth{exchange->stream, bytes};
    break;  // the oldest alone, so that what nobody waits for stays within the windows
  }
  growing_ = std::ranges::any_of(theirs_, [&](const auto& entry) {
    return !entry.second->end && !entry.second->abandoned && entry.second->in.filled() != 0;
  });
  return std::nullopt;
}

std::optional<QuicExchanges::Credit> QuicExchanges::take_credit() noexcept {
  // Streams are held back until they are worth a frame, but not where the peer has no other left: it may be that none
  // of those that are open is answered before one more has come.
  const bool enough =
      credit_.streams > requests_window_ / 4 ||
      (credit_.streams != 0 && theirs_.size() + credit_.streams >= requests_window_);
  if (credit_.bytes == 0 && !enough) return std::nullopt;
  Credit due{std::exchange(credit_.bytes, 0), 0};
  if (enough) due.streams = std::exchange(credit_.streams, 0);
  return due;
}

}  // namespace twinwire
