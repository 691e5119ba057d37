// SPDX-License-Identifier: Apache-2.0
// QuicConnection: one engine, its pump fiber, and what the two halves share. Private to transport/quic/.
//
// The pump alone hands datagrams to the socket and keeps the engine's timer; the endpoint's receive pump feeds the
// engine. Everybody else notes what is wanted and wakes the pump.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "transport/fiber/wait_queue.h"
#include "transport/quic/quic_engine.h"
#include "transport/quic/quic_exchanges.h"
#include "transport/quic/quic_inbound.h"
#include "transport/quic/quic_outbound.h"
#include "transport/quic/quic_request.h"
#include "transport/wire/batch.h"

namespace twinwire {

class QuicEndpoint;

class QuicConnection final : public QuicSink, public std::enable_shared_from_this<QuicConnection> {
 public:
  QuicConnection(std::shared_ptr<QuicEndpoint> endpoint, const QuicOptions& options,
                 const QuicPath& path, bool is_server, Deadline handshake);
  ~QuicConnection();

  // Makes the engine and starts the pump. `initial`: of a server's connection.
  // Errors     no_resources
  Result<void> start(const QuicInitial* initial);

  // --- From the endpoint -------------------------------------------------------------------------------------------

  void receive(const QuicPath& path, Ecn ecn, std::span<const std::byte> datagram);
  // The socket says that nobody listens there: during the handshake that ends the dial.
  void refused(Error why) noexcept;

  // --- From the halves ---------------------------------------------------------------------------------------------

  Result<Message> read(std::size_t max, Deadline deadline);
  Result<void> send(Batch& batch, Deadline deadline);
  Result<void> close(Duration grace);
  Result<Message> request(const Message& request, std::size_t max, Deadline deadline);
  Result<QuicRequest> next_request(std::size_t max, Deadline deadline);
  Result<void> reply(const QuicExchanges::Handle& exchange, const Message& reply,
                     Deadline deadline);
  // Breaks one request off, which both sides' application may have given up.
  void abandon(QuicExchange& exchange) noexcept;
  Result<void> migrate(Network& network, const Address& local);
  Result<void> wait_until_established(Deadline deadline);
  // Ends the connection at once, for `why`: the peer is told by a close packet with `code`. The first reason stays.
  void drop(Error why, QuicCode code) noexcept;
  // What a listener is told of a handshake that fails next; the first to speak knows best.
  void explain(std::string_view cause) noexcept;
  // A half is gone.
  void half_destroyed(bool reader) noexcept;

  bool established() const noexcept { return established_; }
  bool over() const noexcept { return engine_ == nullptr; }
  QuicPath path() const noexcept { return path_; }
  const std::vector<QuicCid>& cids() const noexcept { return cids_; }

 private:
  void on_handshake_done() override { handshake_done_ = true; }
  void on_bytes(QuicStream stream, std::span<const std::byte> bytes, bool end) override;
  void on_reset(QuicStream stream) override;
  void on_acked(QuicStream stream, std::uint64_t bytes) override;
  void on_closed(QuicStream stream, bool complete) override;
  void on_refused(QuicStream stream) override;
  void on_request_credit() override { more_requests_ = true; }
  void on_cid(const QuicCid& cid, bool added) override;
  void on_new_packet() override;
  std::optional<Piece> next_piece() override;
  void on_written(const Piece& piece, std::size_t bytes) override;
  void on_blocked(const Piece& piece) override;
  void on_black_hole() override;
  std::uint64_t streams_wanted() override { return established_ ? outbound_.streams_wanted() : 0; }

  void pump();
  bool flush();
  bool send_kept();
  void note_cause() noexcept;
  void settle(QuicFate fate);     // draws the conclusions of an engine's call
  void ended_by_peer(Error why);  // nothing more will come or go
  void end(QuicCode code) noexcept;
  void linger(bool finished) noexcept;  // before the engine goes
  void give_credit(bool reading);
  void give_bytes(std::uint64_t bytes) noexcept;
  void tell_engine_of_exchanges() noexcept;
  std::optional<Error> no_more_requests() const noexcept;
  void wake_pump() noexcept;
  void wake_everybody() noexcept;
  Result<Message> read_one(std::size_t max, Deadline deadline);
  Result<void> finish_both_sides(Deadline deadline);
  // The peer has everything of ours, and has said its good-bye.
  bool all_said() const noexcept {
    return outbound_.all_acked() && exchanges_.replies_acked() && inbound_.ended();
  }

  std::shared_ptr<QuicEndpoint> endpoint_;
  QuicOptions options_;
  QuicPath path_;
  bool is_server_;
  Deadline handshake_;
  QuicInbound inbound_;
  QuicOutbound outbound_;
  QuicExchanges exchanges_;
  std::unique_ptr<QuicEngine> engine_;  // gone once the connection is over
  std::vector<QuicCid> cids_;

  bool handshake_done_ = false;  // by the engine; established_ is what followed from it
  bool established_ = false;
  bool reported_ = false;  // a listener knows how the handshake ended
  bool refused_ = false;
  bool more_requests_ = false;
  bool requests_first_ = false;  // in the next packet
  bool dirty_ = false;
  std::uint64_t credit_untold_ = 0;  // bytes that the peer may send and does not know of
  std::uint64_t handed_ = 0;         // streams whose bytes the socket has taken

  std::vector<std::byte> kept_;  // the close packet
  QuicPacket kept_packet_;
  bool owes_kept_ = false;
  std::uint64_t answered_ = 0;
  TimePoint answered_at_;
  Duration answer_every_{};
  TimePoint linger_until_;

  std::optional<Error> write_error_;
  std::optional<Error> read_error_;
  std::optional<Error>
      peer_end_;                  // how the peer ended it: the reader meets it behind what is whole
  std::optional<Error> failure_;  // of the handshake
  std::string cause_;             // of it, in words for the log of a listener
  std::optional<Message> first_message_;
  std::optional<Result<void>> close_result_;
  bool closing_ = false;
  bool finished_ = false;  // both sides have said everything
  bool reading_ = false;
  bool writing_ = false;
  bool serving_ = false;
  bool served_to_end_ = false;  // next_request has yielded `closed`

  WaitQueue pump_wake_;
  WaitQueue arrived_;
  WaitQueue sent_;
  WaitQueue request_credit_;
  WaitQueue settled_;  // close() and dial()
};

}  // namespace twinwire
