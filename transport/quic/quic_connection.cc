// SPDX-License-Identifier: Apache-2.0
// A connection's pump, and how it comes to its end. The halves' calls: quic_halves.cc.
#include "transport/quic/quic_connection.h"

#include <algorithm>
#include <new>
#include <utility>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/quic/quic_endpoint.h"

namespace twinwire {
namespace {

constexpr std::size_t burst_bytes = 64 * 1024;
constexpr Duration finished_linger = std::chrono::seconds(1);

}  // namespace

QuicConnection::QuicConnection(std::shared_ptr<QuicEndpoint> endpoint, const QuicOptions& options,
                               const QuicPath& path, bool is_server, Deadline handshake)
    : endpoint_(std::move(endpoint)),
      options_(options),
      path_(path),
      is_server_(is_server),
      handshake_(handshake),
      inbound_(*endpoint_->services().buffers, options),
      outbound_(options.one_stream),
      exchanges_(*endpoint_->services().scheduler, *endpoint_->services().buffers, options),
      linger_until_(TimePoint::never()) {}

QuicConnection::~QuicConnection() = default;

Result<void> QuicConnection::start(const QuicInitial* initial) {
  const QuicServices& services = endpoint_->services();
  const TimePoint now = services.clock->now();
  auto engine =
      initial != nullptr
          ? QuicEngine::server(options_, *services.random, endpoint_->secret(), path_, *initial,
                               now, *this)
          : QuicEngine::client(options_, *services.random, endpoint_->secret(), path_, now, *this);
  if (!engine) {
    endpoint_->forget(*this);
    return engine.error();
  }
  engine_ = std::move(*engine);
  auto fiber = services.background->try_spawn("quic.pump", [self = shared_from_this()] {
    self->pump();
    self->endpoint_->left(*self);
  });
  if (!fiber) {
    engine_.reset();
    endpoint_->forget(*this);
    return fiber.error();
  }
  endpoint_->joined();
  return {};
}

// --- The engine's notes ----------------------------------------------------------------------------------------------

void QuicConnection::on_bytes(QuicStream stream, std::span<const std::byte> bytes, bool end) {
  if (!stream.carries_messages()) return exchanges_.on_bytes(stream, bytes, end);
  inbound_.on_bytes(stream.number, bytes, end);
  if (end && inbound_.waits_for_older(stream.number))
    endpoint_->services().scheduler->reached(Sometimes::quic_message_overtaken);
}
void QuicConnection::on_reset(QuicStream stream) {
  if (stream.carries_messages())
    inbound_.on_reset(stream.number);
  else
    exchanges_.on_reset(stream);
}
void QuicConnection::on_acked(QuicStream stream, std::uint64_t bytes) {
  if (stream.carries_messages())
    outbound_.on_acked(stream.number, bytes);
  else
    exchanges_.on_acked(stream, bytes);
}
void QuicConnection::on_closed(QuicStream stream, bool complete) {
  if (!stream.carries_messages())
    exchanges_.on_closed(stream);
  else if (complete)
    outbound_.on_all_acked(stream.number);
}
void QuicConnection::on_refused(QuicStream stream) {
  if (stream.carries_messages())
    refused_ = true;
  else
    exchanges_.on_unwanted(stream);
}
void QuicConnection::on_cid(const QuicCid& cid, bool added) {
  if (added) {
    cids_.push_back(cid);
    endpoint_->route(cid, *this);
  } else {
    std::erase(cids_, cid);
    endpoint_->unroute(cid);
  }
}
void QuicConnection::on_new_packet() {
  outbound_.on_new_packet();
  exchanges_.on_new_packet();
  requests_first_ = !requests_first_;
}
std::optional<QuicSink::Piece> QuicConnection::next_piece() {
  if (!established_) return std::nullopt;
  auto piece = requests_first_ ? exchanges_.next_piece() : outbound_.next_piece();
  if (!piece) piece = requests_first_ ? outbound_.next_piece() : exchanges_.next_piece();
  return piece;
}
void QuicConnection::on_written(const Piece& piece, std::size_t bytes) {
  if (piece.stream.carries_messages())
    outbound_.on_written(piece, bytes);
  else
    exchanges_.on_written(piece.stream, bytes);
}
void QuicConnection::on_blocked(const Piece& piece) {
  endpoint_->services().scheduler->reached(Sometimes::quic_credit_exhausted);
  if (piece.stream.carries_messages())
    outbound_.on_blocked();
  else
    exchanges_.on_blocked(piece.stream);
}
void QuicConnection::on_black_hole() {
  endpoint_->services().scheduler->reached(Sometimes::quic_small_packets);
}

// --- The pump --------------------------------------------------------------------------------------------------------

void QuicConnection::wake_pump() noexcept {
  dirty_ = true;
  pump_wake_.wake_one(*endpoint_->services().scheduler);
}

void QuicConnection::wake_everybody() noexcept {
  Scheduler& scheduler = *endpoint_->services().scheduler;
  arrived_.wake_all(scheduler);
  sent_.wake_all(scheduler);
  settled_.wake_all(scheduler);
  request_credit_.wake_all(scheduler);
  exchanges_.wake_everybody();
}

void QuicConnection::pump() {
  Scheduler& scheduler = *endpoint_->services().scheduler;
  for (;;) {
    dirty_ = false;
    TimePoint now = endpoint_->services().clock->now();
    if (engine_ != nullptr && !reported_ && now >= handshake_.at) {
      if (is_server_) scheduler.reached(Sometimes::handshake_timed_out);
      failure_ = Error{Errc::timed_out, 0};
      drop({Errc::timed_out, 0}, QuicCode::dropped);
    }
    if (engine_ != nullptr && engine_->expiry() <= now) {
      settle(engine_->expire(now));
      dirty_ =
          false;  // what it wants is done below; some of its timers go on only after their time
    }
    if (engine_ != nullptr && !flush()) break;
    if (owes_kept_ && !send_kept()) break;
    now = endpoint_->services().clock->now();
    Deadline next{linger_until_};
    if (engine_ != nullptr) {
      next = {std::max(engine_->expiry(), now + std::chrono::microseconds(1))};
      if (!reported_) next = earlier(next, handshake_);
    } else if (now >= linger_until_) {
      break;
    }
    if (dirty_) continue;
    if (pump_wake_.wait(scheduler, next, "QUIC packets to send") == Wake::canceled) break;
  }
  if (engine_ != nullptr) {  // told to stop: no packet can leave any more
    engine_.reset();
    ended_by_peer({Errc::broken, 0});
  }
  kept_.clear();
}

// Everything that may be sent now, in bursts. False: this fiber was told to stop.
bool QuicConnection::flush() {
  const QuicServices& services = endpoint_->services();
  for (bool more = true; more && engine_ != nullptr;) {
    Block* block = services.buffers->allocate(burst_bytes);
    if (block == nullptr) return true;  // the timers bring us back
    const Slice room(block, block->data, block->capacity);
    std::vector<Datagram> datagrams;
    std::size_t used = 0;
    QuicFate fate = QuicFate::alive;
    const TimePoint now = services.clock->now();
    while (used + quic_packet_max <= burst_bytes) {
      const QuicPacket packet = engine_->write({block->data + used, quic_packet_max}, now, fate);
      more = packet.size != 0;
      if (!more) break;
      const std::span<const std::byte> bytes(block->data + used, packet.size);
      used += packet.size;
      // Packets of one size to one place go as one datagram, to be cut by the network.
      if (!datagrams.empty()) {
        Datagram& last = datagrams.back();
        const std::size_t step = last.segment_size != 0 ? last.segment_size : last.bytes.size();
        if (last.remote == packet.remote && last.ecn == packet.ecn && packet.size <= step &&
            last.bytes.size() % step == 0) {
          last.segment_size = static_cast<std::uint16_t>(step);
          last.bytes = {last.bytes.data(), last.bytes.size() + packet.size};
          continue;
        }
      }
      datagrams.push_back({.remote = packet.remote,
                           .local = endpoint_->source(packet.local),
                           .ecn = packet.ecn,
                           .bytes = bytes});
    }
    engine_->end_burst(now);
    const std::uint64_t packetised = outbound_.packetised();
    if (fate != QuicFate::alive) settle(fate);
    if (!datagrams.empty() && !endpoint_->send(datagrams, *this)) return false;
    if (packetised > handed_ || PLANT(quic_success_on_partial_write)) {
      handed_ = PLANT(quic_success_on_partial_write) ? outbound_.pushed() : packetised;
      sent_.wake_one(*services.scheduler);
    }
    if (engine_ != nullptr) exchanges_.hand_over();
  }
  return true;
}

bool QuicConnection::send_kept() {
  owes_kept_ = false;
  if (kept_.empty() || PLANT(quic_drop_without_close_packet)) return true;
  const Datagram datagram{.remote = kept_packet_.remote,
                          .local = endpoint_->source(kept_packet_.local),
                          .bytes = kept_};
  return endpoint_->send({&datagram, 1}, *this);
}

void QuicConnection::receive(const QuicPath& path, Ecn ecn, std::span<const std::byte> datagram) {
  if (engine_ == nullptr) {
    // Closing: the kept packet answers the 1st, 2nd, 4th, 8th ... datagram, and what comes after a pause: a peer whose
    // probes have become rare is not to wait for the next power of two.
    const TimePoint now = endpoint_->services().clock->now();
    if (!kept_.empty() &&
        ((answered_ & (answered_ + 1)) == 0 || now >= answered_at_ + answer_every_)) {
      answered_at_ = now;
      owes_kept_ = true;
      endpoint_->services().scheduler->reached(Sometimes::quic_close_packet_repeated);
      wake_pump();
    }
    ++answered_;
    return;
  }
  settle(engine_->read(path, ecn, datagram, endpoint_->services().clock->now()));
}

void QuicConnection::refused(Error why) noexcept {
  if (established_ || engine_ == nullptr) return;
  failure_ = why;
  drop(why, QuicCode::dropped);
}

void QuicConnection::explain(std::string_view cause) noexcept {
  if (!cause_.empty()) return;
  try {
    cause_ = cause;
  } catch (const std::bad_alloc&) {  // then without words
  }
}

void QuicConnection::note_cause() noexcept {
  if (!is_server_ || reported_) return;
  try {
    explain(engine_->cause());
  } catch (const std::bad_alloc&) {  // then without words
  }
  if (established_) explain("it ended the connection before its first message was whole");
}

// --- Conclusions -----------------------------------------------------------------------------------------------------

void QuicConnection::settle(QuicFate fate) {
  Scheduler& scheduler = *endpoint_->services().scheduler;
  if (engine_ != nullptr && fate == QuicFate::alive) {
    const QuicPath path = engine_->path();
    if (path != path_) scheduler.reached(Sometimes::quic_path_changed);
    path_ = path;
  }
  if (handshake_done_ && !established_ && engine_ != nullptr &&
      !engine_->peer_agrees_on_streams()) {
    explain(options_.one_stream
                ? "it gives each message a stream of its own, and one_stream is set here"
                : "it wants all messages on one stream, and one_stream is not set here");
    failure_ = Error{Errc::handshake, 0};
    drop(*failure_, QuicCode::violation);
    return;
  }
  if (handshake_done_ && !established_) {
    established_ = true;
    settled_.wake_all(scheduler);
    if (!is_server_) reported_ = true;
  }
  if (is_server_ && established_ && !reported_ && engine_ != nullptr) {
    bool ready = !options_.accept_after_first_message || exchanges_.has_request();
    if (!ready) {
      Message first;
      const auto got = inbound_.next(options_.first_message_max, first);
      if (!got) {
        explain("it sent what is no message, or one that is too large to begin with");
        return drop(got.error(), QuicCode::violation);
      }
      if (*got) {
        first_message_ = std::move(first);
        ready = true;
      }
    }
    if (ready) {
      reported_ = true;
      endpoint_->ready(shared_from_this());
    }
  }
  switch (fate) {
    case QuicFate::alive: break;
    case QuicFate::peer_finished:
      // The peer has everything of ours and its good-bye is behind all of its messages; anything else is no finish.
      if (closing_ && outbound_.packetised() == outbound_.pushed() && inbound_.ended()) {
        finished_ = true;
        linger(false);
        engine_.reset();
        wake_everybody();
        break;
      }
      [[fallthrough]];
    case QuicFate::peer_dropped:
      note_cause();
      linger(false);
      engine_.reset();
      ended_by_peer({PLANT(quic_reset_reads_as_closed) ? Errc::closed : Errc::broken, 0});
      break;
    case QuicFate::idle:
    case QuicFate::forget:
      if (fate == QuicFate::forget) explain("its first packet cannot be decrypted");
      linger_until_ = endpoint_->services().clock->now();
      engine_.reset();
      ended_by_peer({Errc::broken, 0});
      break;
    case QuicFate::failed:
      if (!failure_) failure_ = Error{Errc::handshake, 0};
      note_cause();
      end(QuicCode::violation);
      ended_by_peer({Errc::broken, 0});
      break;
  }
  if (engine_ != nullptr && (inbound_.out_of_memory() || exchanges_.out_of_memory()))
    drop({Errc::no_resources, 0}, QuicCode::dropped);
  if (engine_ != nullptr && refused_) drop({Errc::broken, 0}, QuicCode::dropped);
  if (closing_) give_credit(true);
  tell_engine_of_exchanges();
  if (std::exchange(more_requests_, false)) request_credit_.wake_all(scheduler);
  if (inbound_.ended()) exchanges_.request_arrived().wake_all(scheduler);
  arrived_.wake_one(scheduler);
  if (closing_) settled_.wake_all(scheduler);
  wake_pump();
}

// The engine writes its last packet, which the pump sends now and again as the answer to what still comes.
void QuicConnection::end(QuicCode code) noexcept {
  if (engine_ == nullptr) return;
  const TimePoint now = endpoint_->services().clock->now();
  try {
    kept_.resize(quic_packet_max);
    kept_packet_ = engine_->close(kept_, code, now);
    kept_.resize(kept_packet_.size);
  } catch (const std::bad_alloc&) {
    kept_.clear();
  }
  linger(code == QuicCode::finished);
  engine_.reset();
  owes_kept_ = true;
  wake_pump();
}

// RFC 9000, section 10.2: three probe time-outs at least. After a graceful end longer: a peer that has missed the close
// packet asks again, each time after twice the pause, and cannot know otherwise that everything has arrived.
void QuicConnection::linger(bool finished) noexcept {
  const TimePoint now = endpoint_->services().clock->now();
  answer_every_ = engine_->pto();
  linger_until_ = now + std::max(3 * answer_every_, finished ? finished_linger : Duration(0));
}

void QuicConnection::ended_by_peer(Error why) {
  if (!failure_) failure_ = Error{Errc::handshake, 0};
  outbound_.clear();
  exchanges_.clear();
  if (!write_error_) write_error_ = Error{Errc::broken, why.os_errno};
  if (!peer_end_) peer_end_ = why;
  if (!reported_ && is_server_) {
    reported_ = true;
    endpoint_->handshake_failed(*this, why, cause_);
  }
  wake_everybody();
  wake_pump();
}

void QuicConnection::drop(Error why, QuicCode code) noexcept {
  if (finished_) return;
  if (!write_error_) write_error_ = why;
  // Once close() has begun a reader is told `closed`, and that stays, however close() ends.
  if (!read_error_)
    read_error_ = closing_ ? Error{Errc::closed, 0} : Error{Errc::broken, why.os_errno};
  end(code);
  outbound_.clear();
  exchanges_.clear();
  first_message_.reset();
  if (!reported_ && is_server_) {
    reported_ = true;
    endpoint_->handshake_failed(*this, why, cause_);
  }
  wake_everybody();
}

void QuicConnection::half_destroyed(bool reader) noexcept {
  const bool read_to_end = reader && (served_to_end_ || read_error_ == Error{Errc::closed, 0});
  if (!closing_ && !read_to_end) drop({Errc::broken, 0}, QuicCode::dropped);
}

void QuicConnection::give_credit(bool reading) {
  if (engine_ == nullptr) return;
  const auto credit = inbound_.take_credit(reading, credit_untold_);
  if (!credit) return;
  if (credit->stream_bytes != 0)
    engine_->credit_stream({QuicStream::Kind::messages, credit->stream}, credit->stream_bytes);
  if (credit->streams != 0) engine_->credit({.messages = credit->streams});
  if (credit->streams != 0 || credit->stream_bytes != 0) wake_pump();
  give_bytes(credit->bytes);
}

// The library tells the peer of bytes once they are more than half of the window. It gets them just then, in one: what
// it held back and what were held back here besides could be the whole window, and nobody would ever move.
void QuicConnection::give_bytes(std::uint64_t bytes) noexcept {
  credit_untold_ += bytes;
  if (credit_untold_ <= options_.connection_window / 2) return;
  engine_->credit({.bytes = std::exchange(credit_untold_, 0)});
  wake_pump();
}

}  // namespace twinwire
