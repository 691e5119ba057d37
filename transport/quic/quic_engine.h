// SPDX-License-Identifier: Apache-2.0
// QuicEngine: one QUIC connection, sans-IO. Datagrams, time and randomness in; datagrams and events out. It never
// suspends and knows no socket, fiber or clock. Every name of ngtcp2 stays in quic_engine.cc.
//
// A message is a unidirectional stream of its own (or all are one: QuicOptions::one_stream), a request with its reply
// a bidirectional one.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "transport/net/datagram_socket.h"
#include "transport/net/random.h"
#include "transport/quic/quic_options.h"
#include "transport/quic/quic_stream.h"

namespace twinwire {

// A connection id: what an endpoint finds a connection by.
struct QuicCid {
  std::array<std::uint8_t, 20> bytes{};
  std::uint8_t size = 0;

  std::span<const std::uint8_t> span() const noexcept { return {bytes.data(), size}; }
  friend auto operator<=>(const QuicCid&, const QuicCid&) = default;
};

inline constexpr std::size_t quic_cid_size = 8;       // of those that we choose
inline constexpr std::size_t quic_packet_max = 1500;  // room that one written packet needs
using QuicSecret = std::array<std::byte, 32>;  // of an endpoint: makes reset and retry tokens

// Application error codes of CONNECTION_CLOSE.
enum class QuicCode : std::uint64_t {
  finished = 0,   // both sides have said and acknowledged everything
  dropped = 1,    // the connection was given up: a failed batch, a destroyed half
  violation = 2,  // the peer sent what is no frame
};

// What became of a connection in a call.
enum class QuicFate : std::uint8_t {
  alive,
  peer_finished,  // the peer closed with QuicCode::finished
  peer_dropped,   // the peer closed with an error, or reset statelessly
  idle,           // nothing came for the idle time-out
  failed,         // a violation of QUIC, or TLS refused: close() has a packet for the peer
  forget,         // silently: it was never a connection
};

// Where the engine leaves what happens. Called from inside the engine's calls: implementations note it down and call
// nothing of the engine.
class QuicSink {
 public:
  virtual void on_handshake_done() = 0;
  // The peer's next bytes on a stream, in order; `end`: its last.
  virtual void on_bytes(QuicStream stream, std::span<const std::byte> bytes, bool end) = 0;
  virtual void on_reset(QuicStream stream) = 0;
  // The peer has acknowledged so many more bytes of ours on a stream.
  virtual void on_acked(QuicStream stream, std::uint64_t bytes) = 0;
  // Both sides are through with a stream; `complete`: neither side broke it off.
  virtual void on_closed(QuicStream stream, bool complete) = 0;
  // The peer wants no more of what we send on a stream.
  virtual void on_refused(QuicStream stream) = 0;
  // The peer takes more requests than before.
  virtual void on_request_credit() = 0;
  virtual void on_cid(const QuicCid& cid, bool added) = 0;

  // A packet is begun: all streams may be offered again.
  virtual void on_new_packet() = 0;
  // The bytes to send next; they stay where they are until acknowledged.
  struct Piece {
    QuicStream stream;
    std::span<const std::byte> bytes;
    bool end = false;  // nothing follows on that stream
  };
  virtual std::optional<Piece> next_piece() = 0;
  virtual void on_written(const Piece& piece, std::size_t bytes) = 0;
  // The peer lets nothing of it in now: not to be offered again for this packet.
  virtual void on_blocked(const Piece& piece) = 0;
  // Large packets seem to get lost: from now on they are small.
  virtual void on_black_hole() {}
  // How many streams of messages are to be opened, those before included.
  virtual std::uint64_t streams_wanted() = 0;

 protected:
  ~QuicSink() = default;
};

struct QuicCredit {
  std::uint64_t bytes = 0;
  std::uint64_t messages = 0;  // streams of them
  std::uint64_t requests = 0;
};

struct QuicPath {
  Address local;
  Address remote;
  friend bool operator==(const QuicPath&, const QuicPath&) = default;
};

struct QuicPacket {
  std::size_t size = 0;  // 0: nothing to send now
  Address remote;
  Address local;
  Ecn ecn = Ecn::not_ect;
};

// A first packet of a client, as QuicDatagram describes it.
struct QuicInitial {
  QuicCid destination;  // what the client chose for us
  QuicCid source;
  std::uint32_t version = 0;
  std::span<const std::byte> token;
  // Set by verify_retry_token: what `destination` was before the Retry.
  std::optional<QuicCid> before_retry;
};

class QuicEngine {
 public:
  // Errors     no_resources
  static Result<std::unique_ptr<QuicEngine>> client(const QuicOptions& options, Random& random,
                                                    const QuicSecret& secret, const QuicPath& path,
                                                    TimePoint now, QuicSink& sink);
  static Result<std::unique_ptr<QuicEngine>> server(const QuicOptions& options, Random& random,
                                                    const QuicSecret& secret, const QuicPath& path,
                                                    const QuicInitial& initial, TimePoint now,
                                                    QuicSink& sink);
  QuicEngine(const QuicEngine&) = delete;
  QuicEngine& operator=(const QuicEngine&) = delete;
  virtual ~QuicEngine() = default;

  virtual QuicFate read(const QuicPath& path, Ecn ecn, std::span<const std::byte> datagram,
                        TimePoint now) = 0;
  // Writes one packet, with what next_piece() gives. `into` has quic_packet_max bytes at least. Call until it writes
  // nothing, then end_burst(). `fate` says whether the connection survived.
  virtual QuicPacket write(std::span<std::byte> into, TimePoint now, QuicFate& fate) = 0;
  virtual void end_burst(TimePoint now) = 0;
  // When expire() wants to be called; it changes with every read, write and expiry.
  virtual TimePoint expiry() const noexcept = 0;
  virtual QuicFate expire(TimePoint now) = 0;

  // Writes the packet that ends the connection: with `code`, or after QuicFate::failed with the reason of that. The
  // engine is then good for nothing but pto().
  virtual QuicPacket close(std::span<std::byte> into, QuicCode code, TimePoint now) = 0;

  // Lets the peer send more: bytes of one stream; bytes in all, messages, requests.
  virtual void credit_stream(QuicStream stream, std::uint64_t bytes) = 0;
  virtual void credit(const QuicCredit& credit) = 0;

  // The number of a new request; none: the peer takes no more for now, or none at all.
  virtual std::optional<std::uint64_t> open_request() = 0;
  virtual bool peer_takes_requests() const noexcept = 0;
  // Once the handshake is done: whether the peer wants all messages on one stream, too.
  virtual bool peer_agrees_on_streams() const noexcept = 0;
  // Breaks both directions of a request off.
  virtual void abandon(QuicStream stream) = 0;

  // A client's move to another path.
  // Errors     unsupported (not yet confirmed, or the peer forbids it) · no_resources (no connection id to spare)
  virtual Result<void> migrate(const QuicPath& path, TimePoint now) = 0;

  virtual Duration pto() const noexcept = 0;  // the probe time-out now
  virtual QuicPath path() const noexcept = 0;
  // After a call that ended the connection: why, in words for the log; empty where that says nothing. May throw
  // bad_alloc.
  virtual std::string cause() const = 0;

 protected:
  QuicEngine() = default;
};

// --- What needs no connection --------------------------------------------------------------------------------------

enum class QuicKind : std::uint8_t {
  garbage,
  initial,          // may begin a connection
  other,            // belongs to a connection, or to none that we know
  unknown_version,  // to be answered by write_version_negotiation
};

struct QuicDatagram {
  QuicKind kind = QuicKind::garbage;
  bool long_header = false;
  QuicInitial header;  // of `other` only the destination is set, of a short header
};

QuicDatagram describe_quic_datagram(std::span<const std::byte> datagram) noexcept;

// The answers below go into `into` (quic_packet_max bytes); they return the size, 0 where there is none.
std::size_t write_version_negotiation(std::span<std::byte> into, const QuicDatagram& to,
                                      Random& random);
std::size_t write_retry(std::span<std::byte> into, const QuicInitial& initial,
                        const Address& remote, const QuicSecret& secret, Random& random,
                        TimePoint now);
// Whether the token is of ours, fresh and this peer's; notes the connection id from before the Retry.
bool verify_retry_token(QuicInitial& initial, const Address& remote, const QuicSecret& secret,
                        TimePoint now);
bool is_retry_token(std::span<const std::byte> token) noexcept;
// For a packet of `received` bytes to an unknown connection: shorter than that, so that two endpoints do not reset each
// other for ever.
std::size_t write_stateless_reset(std::span<std::byte> into, const QuicCid& cid,
                                  std::size_t received, const QuicSecret& secret, Random& random);

}  // namespace twinwire
