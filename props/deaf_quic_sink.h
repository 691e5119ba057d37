// SPDX-License-Identifier: Apache-2.0
// DeafQuicSink: what a QUIC engine needs beneath a test that is interested in its handshake's packets alone.
#pragma once

#include "transport/quic/quic_engine.h"

namespace twinwire::props {

struct DeafQuicSink : QuicSink {
  virtual ~DeafQuicSink() = default;
  void on_handshake_done() override {}
  void on_bytes(QuicStream, std::span<const std::byte>, bool) override {}
  void on_reset(QuicStream) override {}
  void on_acked(QuicStream, std::uint64_t) override {}
  void on_closed(QuicStream, bool) override {}
  void on_request_credit() override {}
  void on_new_packet() override {}
  void on_blocked(const Piece&) override {}
  void on_refused(QuicStream) override {}
  void on_cid(const QuicCid&, bool) override {}
  std::optional<Piece> next_piece() override { return std::nullopt; }
  std::uint64_t streams_wanted() override { return 0; }
  void on_written(const Piece&, std::size_t) override {}
};

}  // namespace twinwire::props
