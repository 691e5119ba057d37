// SPDX-License-Identifier: Apache-2.0
// The only file that knows ngtcp2 (0.12.1) and its GnuTLS helper.
//
// Rules that it keeps (docs/quic.md has the reasons): a callback notes down and calls nothing of the library; stream
// bytes stay where they are until acknowledged; no STREAM frame is empty unless it ends the stream; after "write more"
// the packet is finished before anything else is called.
#include "transport/quic/quic_engine.h"

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "transport/quic/quic_memory.h"
#include "transport/tls/tls_cause.h"
#include "transport/tls/tls_session.h"

namespace twinwire {
namespace {

// ngtcp2's clock must not begin at 0, where its own arithmetic would look before the beginning.
constexpr std::int64_t time_origin = 1'000'000'000;
ngtcp2_tstamp stamp(TimePoint at) noexcept {
  return static_cast<ngtcp2_tstamp>(at.ns + time_origin);
}

const std::uint8_t* octets(std::span<const std::byte> bytes) noexcept {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}
std::uint8_t* octets(std::span<std::byte> bytes) noexcept {
  return reinterpret_cast<std::uint8_t*>(bytes.data());
}

constexpr std::size_t packet_least = 1200;  // that every path carries (RFC 9000, section 14)

// Every address as IPv6, IPv4 mapped: what ngtcp2 compares and retry tokens are bound to.
sockaddr_in6 to_socket(const Address& address) noexcept {
  sockaddr_in6 socket{};
  socket.sin6_family = AF_INET6;
  const std::uint8_t port[2] = {static_cast<std::uint8_t>(address.port >> 8),
                                static_cast<std::uint8_t>(address.port)};
  std::memcpy(&socket.sin6_port, port, sizeof port);
  std::memcpy(&socket.sin6_addr, address.ip.data(), address.ip.size());
  return socket;
}
Address from_socket(const ngtcp2_addr& from) noexcept {
  sockaddr_in6 socket{};
  std::memcpy(&socket, from.addr, std::min<std::size_t>(sizeof socket, from.addrlen));
  Address address;
  std::uint8_t port[2];
  std::memcpy(port, &socket.sin6_port, sizeof port);
  address.port = static_cast<std::uint16_t>(port[0] << 8 | port[1]);
  std::memcpy(address.ip.data(), &socket.sin6_addr, address.ip.size());
  return address;
}

// A path and the memory that it points to.
struct Path {
  explicit Path(const QuicPath& path) noexcept
      : local(to_socket(path.local)), remote(to_socket(path.remote)) {
    it.local = {reinterpret_cast<sockaddr*>(&local), sizeof local};
    it.remote = {reinterpret_cast<sockaddr*>(&remote), sizeof remote};
  }
  Path(const Path&) = delete;
  Path& operator=(const Path&) = delete;
  sockaddr_in6 local;
  sockaddr_in6 remote;
  ngtcp2_path it{};
};

// A path as both sides of this file write it: the same for nearly every packet, so translated only when it changes.
class KnownPath {
 public:
  const ngtcp2_path& of(const QuicPath& path) noexcept {
    if (path != ours_) known_.emplace(ours_ = path);
    return known_->it;
  }
  const QuicPath& of(const ngtcp2_path& path) noexcept {
    if (!is(path.local, known_->local) || !is(path.remote, known_->remote))
      known_.emplace(ours_ = {from_socket(path.local), from_socket(path.remote)});
    return ours_;
  }

 private:
  static bool is(const ngtcp2_addr& address, const sockaddr_in6& known) noexcept {
    return address.addrlen == sizeof known && std::memcmp(address.addr, &known, sizeof known) == 0;
  }
  QuicPath ours_;
  std::optional<Path> known_{std::in_place, ours_};
};

ngtcp2_cid to_cid(const QuicCid& cid) noexcept {
  ngtcp2_cid out;
  ngtcp2_cid_init(&out, cid.bytes.data(), cid.size);
  return out;
}
QuicCid from_cid(const std::uint8_t* bytes, std::size_t size) noexcept {
  QuicCid cid;
  cid.size = static_cast<std::uint8_t>(std::min<std::size_t>(size, cid.bytes.size()));
  if (cid.size != 0) std::memcpy(cid.bytes.data(), bytes, cid.size);
  return cid;
}
QuicCid draw_cid(Random& random, std::size_t size) noexcept {
  QuicCid cid;
  cid.size = static_cast<std::uint8_t>(size);
  random.fill(std::as_writable_bytes(std::span(cid.bytes)).first(size));
  return cid;
}

// RFC 9000, section 2.1: the low bits of a stream's id say who opened it, and whether it has one direction.
constexpr std::int64_t opened_by_server = 1;
constexpr std::int64_t unidirectional = 2;

class Engine final : public QuicEngine {
 public:
  Engine(const QuicOptions& options, Random& random, const QuicSecret& secret, bool is_server,
         QuicSink& sink)
      : options_(options), random_(random), secret_(secret), is_server_(is_server), sink_(sink) {
    reference_.user_data = this;
    reference_.get_conn = [](ngtcp2_crypto_conn_ref* reference) {
      return static_cast<Engine*>(reference->user_data)->conn_;
    };
  }
  ~Engine() override {
    const EntropyScope entropy(random_);
    if (conn_ != nullptr) ngtcp2_conn_del(conn_);
    session_.reset();
  }

  bool start(const QuicPath& path, const QuicInitial* initial, TimePoint now) {
    const EntropyScope entropy(random_);
    const QuicCid own = draw_cid(random_, quic_cid_size);
    const ngtcp2_cid scid = to_cid(own);
    const Path where(path);
    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings);
    heard_at_ = now;
    settings.initial_ts = stamp(now);
    settings.initial_rtt = static_cast<ngtcp2_duration>(options_.initial_rtt.count());
    settings.cc_algo = NGTCP2_CC_ALGO_CUBIC;
    settings.handshake_timeout = UINT64_MAX;  // the connection's owner has a deadline of its own
    settings.rand_ctx.native_handle = &random_;
    ngtcp2_transport_params params;
    fill_params(params);
    const ngtcp2_callbacks callbacks = make_callbacks();
    if (!is_server_) {
      const ngtcp2_cid dcid = to_cid(draw_cid(random_, 16));
      if (ngtcp2_conn_client_new(&conn_, &dcid, &scid, &where.it, NGTCP2_PROTO_VER_V1, &callbacks,
                                 &settings, &params, &heap_, this) != 0)
        return false;
    } else {
      const ngtcp2_cid dcid = to_cid(initial->source);
      params.original_dcid = to_cid(initial->before_retry.value_or(initial->destination));
      if (initial->before_retry) {
        params.retry_scid = to_cid(initial->destination);
        params.retry_scid_present = 1;
        settings.token = {const_cast<std::uint8_t*>(octets(initial->token)), initial->token.size()};
      }
      params.stateless_reset_token_present = 1;
      if (!reset_token(params.stateless_reset_token, scid)) return false;
      if (ngtcp2_conn_server_new(&conn_, &dcid, &scid, &where.it, initial->version, &callbacks,
                                 &settings, &params, &heap_, this) != 0)
        return false;
    }
    if (!start_tls(path.remote)) return false;
    ngtcp2_conn_set_tls_native_handle(conn_, session_.handle());
    ping_after(options_.keep_alive);
    sink_.on_cid(own, true);
    if (is_server_) sink_.on_cid(initial->destination, true);
    return true;
  }

  QuicFate read(const QuicPath& path, Ecn ecn, std::span<const std::byte> datagram,
                TimePoint now) override {
    const EntropyScope entropy(random_);
    const ngtcp2_pkt_info info{static_cast<std::uint32_t>(ecn)};
    heard_at_ = now;
    if (std::exchange(pings_again_, false)) ping_after(options_.keep_alive);
    return fate_of(ngtcp2_conn_read_pkt(conn_, &known_path_.of(path), &info, octets(datagram),
                                        datagram.size(), stamp(now)));
  }

  QuicPacket write(std::span<std::byte> into, TimePoint now, QuicFate& fate) override {
    const EntropyScope entropy(random_);
    fate = QuicFate::alive;
    ngtcp2_path_storage where;
    ngtcp2_path_storage_zero(&where);
    ngtcp2_pkt_info info{};
    if (now < small_until_) into = into.first(std::min(into.size(), packet_least));
    open_streams();
    sink_.on_new_packet();
    bool pieces = true;
    for (;;) {
      std::optional<QuicSink::Piece> piece;
      if (pieces) piece = sink_.next_piece();
      if (piece && piece->stream.carries_messages() && piece->stream.number >= streams_opened_) {
        sink_.on_blocked(*piece);
        continue;
      }
      ngtcp2_vec data{};
      std::uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
      std::int64_t id = -1;
      if (piece) {
        data = {const_cast<std::uint8_t*>(octets(piece->bytes)), piece->bytes.size()};
        flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
        if (piece->end) flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
        id = id_of(piece->stream, true);
      }
      ngtcp2_ssize taken = -1;
      const ngtcp2_ssize n =
          ngtcp2_conn_writev_stream(conn_, &where.path, &info, octets(into), into.size(), &taken,
                                    flags, id, piece ? &data : nullptr, piece ? 1 : 0, stamp(now));
      if (piece && taken >= 0) sink_.on_written(*piece, static_cast<std::size_t>(taken));
      if (n == NGTCP2_ERR_WRITE_MORE) continue;
      if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || n == NGTCP2_ERR_STREAM_SHUT_WR ||
          n == NGTCP2_ERR_STREAM_NOT_FOUND) {
        // Refused streams were told to the sink.
        sink_.on_blocked(*piece);
        continue;
      }
      if (n < 0) {
        fate = fate_of(static_cast<int>(n));
        return {};
      }
      if (n == 0 && piece) {  // no window for stream bytes; acknowledgements may still leave
        pieces = false;
        continue;
      }
      QuicPacket packet;
      packet.size = static_cast<std::size_t>(n);
      if (n != 0) {
        const QuicPath& path = known_path_.of(where.path);
        packet.remote = path.remote;
        packet.local = path.local;
        packet.ecn = static_cast<Ecn>(info.ecn & NGTCP2_ECN_MASK);
      }
      return packet;
    }
  }

  void end_burst(TimePoint now) override {
    // Paces what follows. During the handshake the pace would be that of initial_rtt: the client's second flight would
    // wait a tenth of it.
    if (ngtcp2_conn_get_handshake_completed(conn_) != 0)
      ngtcp2_conn_update_pkt_tx_time(conn_, stamp(now));
  }

  TimePoint expiry() const noexcept override {
    const ngtcp2_tstamp at = ngtcp2_conn_get_expiry(conn_);
    if (at > static_cast<ngtcp2_tstamp>(INT64_MAX)) return TimePoint::never();
    return {static_cast<std::int64_t>(at) - time_origin};
  }

  QuicFate expire(TimePoint now) override {
    const EntropyScope entropy(random_);
    // The library sends no second ping for one that was lost. A peer that has not answered is asked again, more often,
    // or three lost packets in a row would end a connection that has nothing to say.
    if (!pings_again_ && heard_at_ + options_.keep_alive <= now) {
      pings_again_ = true;
      ping_after(options_.keep_alive / 8);
    }
    const QuicFate fate = fate_of(ngtcp2_conn_handle_expiry(conn_, stamp(now)));
    mind_black_hole(now);
    return fate;
  }

  QuicPacket close(std::span<std::byte> into, QuicCode code, TimePoint now) override {
    const EntropyScope entropy(random_);
    ngtcp2_connection_close_error error;
    ngtcp2_connection_close_error_default(&error);
    if (failure_ == 0)
      ngtcp2_connection_close_error_set_application_error(&error, static_cast<std::uint64_t>(code),
                                                          nullptr, 0);
    else if (failure_ == NGTCP2_ERR_CRYPTO && ngtcp2_conn_get_tls_alert(conn_) != 0)
      ngtcp2_connection_close_error_set_transport_error_tls_alert(
          &error,
          static_cast<std::uint8_t>(certificate_alert(session_.handle())
                                        .value_or(static_cast<gnutls_alert_description_t>(
                                            ngtcp2_conn_get_tls_alert(conn_)))),
          nullptr, 0);
    else
      ngtcp2_connection_close_error_set_transport_error_liberr(&error, failure_, nullptr, 0);
    ngtcp2_path_storage where;
    ngtcp2_path_storage_zero(&where);
    ngtcp2_pkt_info info{};
    const ngtcp2_ssize n = ngtcp2_conn_write_connection_close(
        conn_, &where.path, &info, octets(into), into.size(), &error, stamp(now));
    QuicPacket packet;
    if (n <= 0) return packet;
    packet.size = static_cast<std::size_t>(n);
    packet.remote = from_socket(where.path.remote);
    packet.local = from_socket(where.path.local);
    return packet;
  }

  void credit_stream(QuicStream stream, std::uint64_t bytes) override {
    (void)ngtcp2_conn_extend_max_stream_offset(conn_, id_of(stream, false), bytes);
  }
  void credit(const QuicCredit& credit) override {
    if (credit.bytes != 0) ngtcp2_conn_extend_max_offset(conn_, credit.bytes);
    if (credit.messages != 0) ngtcp2_conn_extend_max_streams_uni(conn_, credit.messages);
    if (credit.requests != 0) ngtcp2_conn_extend_max_streams_bidi(conn_, credit.requests);
  }

  std::optional<std::uint64_t> open_request() override {
    std::int64_t id = 0;
    if (ngtcp2_conn_open_bidi_stream(conn_, &id, nullptr) != 0) return std::nullopt;
    return number_of(id);
  }
  bool peer_takes_requests() const noexcept override {
    const ngtcp2_transport_params* peer = ngtcp2_conn_get_remote_transport_params(conn_);
    return peer != nullptr && peer->initial_max_streams_bidi != 0;
  }
  bool peer_agrees_on_streams() const noexcept override {
    const ngtcp2_transport_params* peer = ngtcp2_conn_get_remote_transport_params(conn_);
    return peer != nullptr && (peer->initial_max_streams_uni == 1) == options_.one_stream;
  }
  void abandon(QuicStream stream) override {
    const EntropyScope entropy(random_);
    (void)ngtcp2_conn_shutdown_stream(conn_, id_of(stream, false),
                                      static_cast<std::uint64_t>(QuicCode::dropped));
  }

  Result<void> migrate(const QuicPath& path, TimePoint now) override {
    const EntropyScope entropy(random_);
    const Path where(path);
    switch (ngtcp2_conn_initiate_immediate_migration(conn_, &where.it, stamp(now))) {
      case 0: return {};
      case NGTCP2_ERR_CONN_ID_BLOCKED:
      case NGTCP2_ERR_NOMEM: return Errc::no_resources;
      default: return Errc::unsupported;
    }
  }

  Duration pto() const noexcept override {
    return Duration(static_cast<std::int64_t>(ngtcp2_conn_get_pto(conn_)));
  }
  QuicPath path() const noexcept override {
    const ngtcp2_path* path = ngtcp2_conn_get_path(conn_);
    return {from_socket(path->local), from_socket(path->remote)};
  }
  std::string cause() const override {
    if (failure_ == NGTCP2_ERR_CRYPTO) return tls_cause(session_.handle(), tls_error());
    if (failure_ != 0) return ngtcp2_strerror(failure_);
    ngtcp2_connection_close_error error;
    ngtcp2_conn_get_connection_close_error(conn_, &error);
    const std::uint64_t alert = error.error_code - NGTCP2_CRYPTO_ERROR;
    if (error.type != NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_TRANSPORT || alert > 0xff) return {};
    return peer_refused(static_cast<unsigned>(alert));
  }

 private:
  // What GnuTLS said of the handshake: ngtcp2 keeps the alert that it made of it alone.
  int tls_error() const noexcept {
    if (certificate_alert(session_.handle())) return GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
    switch (ngtcp2_conn_get_tls_alert(conn_)) {
      case GNUTLS_A_NO_APPLICATION_PROTOCOL: return GNUTLS_E_NO_APPLICATION_PROTOCOL;
      case GNUTLS_A_CERTIFICATE_REQUIRED: return GNUTLS_E_CERTIFICATE_REQUIRED;
      case GNUTLS_A_MISSING_EXTENSION: return GNUTLS_E_MISSING_EXTENSION;
      case GNUTLS_A_PROTOCOL_VERSION:
      case GNUTLS_A_HANDSHAKE_FAILURE: return GNUTLS_E_NO_CIPHER_SUITES;
      default: return GNUTLS_E_UNEXPECTED_PACKET;  // "An unexpected TLS packet was received."
    }
  }

  void ping_after(Duration silence) noexcept {
    if (silence.count() != 0)
      ngtcp2_conn_set_keep_alive_timeout(conn_, static_cast<ngtcp2_duration>(silence.count()));
  }

  static Engine& of(void* user_data) noexcept { return *static_cast<Engine*>(user_data); }

  // One stream and no more: that is how a side with one_stream is known.
  std::uint64_t streams_allowed() const noexcept {
    return options_.one_stream ? 1 : std::max<std::uint64_t>(2, options_.messages_window);
  }
  static std::uint64_t number_of(std::int64_t id) noexcept {
    return static_cast<std::uint64_t>(id) >> 2;
  }
  std::int64_t id_of(QuicStream stream, bool sending) const noexcept {
    const bool ours =
        stream.carries_messages() ? sending : stream.kind == QuicStream::Kind::our_request;
    return static_cast<std::int64_t>(stream.number << 2) |
           (stream.carries_messages() ? unidirectional : 0) |
           (ours == is_server_ ? opened_by_server : 0);
  }
  QuicStream stream_of(std::int64_t id) const noexcept {
    using Kind = QuicStream::Kind;
    const bool ours = ((id & opened_by_server) != 0) == is_server_;
    return {(id & unidirectional) != 0 ? Kind::messages
            : ours                     ? Kind::our_request
                                       : Kind::peer_request,
            number_of(id)};
  }

  void fill_params(ngtcp2_transport_params& params) const noexcept {
    ngtcp2_transport_params_default(&params);
    params.initial_max_stream_data_uni = options_.stream_window;
    params.initial_max_data = options_.connection_window;
    params.initial_max_streams_uni = streams_allowed();
    params.initial_max_stream_data_bidi_local = options_.stream_window;
    params.initial_max_stream_data_bidi_remote =
        options_.requests_window != 0 ? options_.stream_window : 0;
    params.initial_max_streams_bidi = options_.requests_window;
    params.max_idle_timeout = static_cast<ngtcp2_duration>(options_.idle_timeout.count());
    params.active_connection_id_limit = 4;
  }

  bool reset_token(std::uint8_t* token, const ngtcp2_cid& cid) const noexcept {
    return ngtcp2_crypto_generate_stateless_reset_token(token, octets(std::span(secret_)),
                                                        secret_.size(), &cid) == 0;
  }

  // As many as are wanted and the peer allows.
  void open_streams() {
    const std::uint64_t wanted = sink_.streams_wanted();
    std::int64_t id = 0;
    while (streams_opened_ < wanted && ngtcp2_conn_open_uni_stream(conn_, &id, nullptr) == 0)
      ++streams_opened_;
  }

  QuicFate fate_of(int result) noexcept {
    switch (result) {
      case 0: return QuicFate::alive;
      case NGTCP2_ERR_DRAINING: {
        ngtcp2_connection_close_error error;
        ngtcp2_conn_get_connection_close_error(conn_, &error);
        const bool finished = !reset_seen_ &&
                              error.type == NGTCP2_CONNECTION_CLOSE_ERROR_CODE_TYPE_APPLICATION &&
                              error.error_code == static_cast<std::uint64_t>(QuicCode::finished);
        return finished ? QuicFate::peer_finished : QuicFate::peer_dropped;
      }
      case NGTCP2_ERR_IDLE_CLOSE: return QuicFate::idle;
      case NGTCP2_ERR_DROP_CONN:
      case NGTCP2_ERR_RETRY:
      case NGTCP2_ERR_CLOSING: return QuicFate::forget;
      default: failure_ = result; return QuicFate::failed;
    }
  }

  bool start_tls(const Address& peer) {
    if (options_.tls.alpn.empty()) options_.tls.alpn.emplace_back("twinwire");
    const TlsRole role = is_server_ ? TlsRole::server : TlsRole::client;
    if (!session_.open(role, options_.tls, peer, true,
                       GNUTLS_ENABLE_EARLY_DATA | GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NO_TICKETS))
      return false;
    gnutls_session_set_ptr(session_.handle(), &reference_);
    if (is_server_)
      gnutls_handshake_set_hook_function(session_.handle(), GNUTLS_HANDSHAKE_SERVER_HELLO,
                                         GNUTLS_HOOK_PRE, &require_transport_params);
    return (is_server_ ? ngtcp2_crypto_gnutls_configure_server_session(session_.handle())
                       : ngtcp2_crypto_gnutls_configure_client_session(session_.handle())) == 0;
  }

  // A hello without QUIC's transport parameters is no hello (RFC 9001, section 8.2). The library looks for them only
  // when the handshake ends, and aborts the process where a server has something to send before.
  static int require_transport_params(gnutls_session_t session, unsigned, unsigned, unsigned,
                                      const gnutls_datum_t*) noexcept {
    auto* reference = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
    return ngtcp2_conn_get_negotiated_version(reference->get_conn(reference)) != 0
               ? 0
               : GNUTLS_E_MISSING_EXTENSION;
  }

  static ngtcp2_callbacks make_callbacks() noexcept {
    ngtcp2_callbacks callbacks{};
    callbacks.client_initial = ngtcp2_crypto_client_initial_cb;
    callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    callbacks.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    callbacks.encrypt = ngtcp2_crypto_encrypt_cb;
    callbacks.decrypt = ngtcp2_crypto_decrypt_cb;
    callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb;
    callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb;
    callbacks.update_key = ngtcp2_crypto_update_key_cb;
    callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    callbacks.rand = [](std::uint8_t* into, std::size_t size, const ngtcp2_rand_ctx* context) {
      static_cast<Random*>(context->native_handle)
          ->fill({reinterpret_cast<std::byte*>(into), size});
    };
    callbacks.handshake_completed = [](ngtcp2_conn*, void* engine) {
      of(engine).sink_.on_handshake_done();
      return 0;
    };
    callbacks.recv_stream_data = [](ngtcp2_conn*, std::uint32_t flags, std::int64_t id,
                                    std::uint64_t, const std::uint8_t* data, std::size_t size,
                                    void* engine, void*) {
      of(engine).sink_.on_bytes(of(engine).stream_of(id),
                                {reinterpret_cast<const std::byte*>(data), size},
                                (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
      return 0;
    };
    callbacks.acked_stream_data_offset = [](ngtcp2_conn*, std::int64_t id, std::uint64_t,
                                            std::uint64_t size, void* engine, void*) {
      of(engine).sink_.on_acked(of(engine).stream_of(id), size);
      return 0;
    };
    callbacks.stream_close = [](ngtcp2_conn* conn, std::uint32_t flags, std::int64_t id,
                                std::uint64_t, void* engine, void*) {
      const QuicStream stream = of(engine).stream_of(id);
      if (!stream.carries_messages() || ngtcp2_conn_is_local_stream(conn, id) != 0)
        of(engine).sink_.on_closed(stream,
                                   (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) == 0);
      return 0;
    };
    callbacks.extend_max_local_streams_bidi = [](ngtcp2_conn*, std::uint64_t, void* engine) {
      of(engine).sink_.on_request_credit();
      return 0;
    };
    callbacks.stream_reset = [](ngtcp2_conn*, std::int64_t id, std::uint64_t, std::uint64_t,
                                void* engine, void*) {
      of(engine).sink_.on_reset(of(engine).stream_of(id));
      return 0;
    };
    callbacks.stream_stop_sending = [](ngtcp2_conn*, std::int64_t id, std::uint64_t, void* engine,
                                       void*) {
      of(engine).sink_.on_refused(of(engine).stream_of(id));
      return 0;
    };
    callbacks.recv_stateless_reset = [](ngtcp2_conn*, const ngtcp2_pkt_stateless_reset*,
                                        void* engine) {
      of(engine).reset_seen_ = true;
      return 0;
    };
    callbacks.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid* cid, std::uint8_t* token,
                                         std::size_t size, void* raw) -> int {
      Engine& engine = of(raw);
      const QuicCid drawn = draw_cid(engine.random_, size);
      *cid = to_cid(drawn);
      if (!engine.reset_token(token, *cid)) return NGTCP2_ERR_CALLBACK_FAILURE;
      engine.sink_.on_cid(drawn, true);
      return 0;
    };
    callbacks.remove_connection_id = [](ngtcp2_conn*, const ngtcp2_cid* cid, void* engine) {
      of(engine).sink_.on_cid(from_cid(cid->data, cid->datalen), false);
      return 0;
    };
    return callbacks;
  }

  QuicMemory memory_;
  ngtcp2_mem heap_{
      .user_data = &memory_,
      .malloc = [](std::size_t size,
                   void* memory) { return static_cast<QuicMemory*>(memory)->allocate(size); },
      .free = [](void* bytes, void* memory) { static_cast<QuicMemory*>(memory)->release(bytes); },
      .calloc =
          [](std::size_t count, std::size_t size, void* memory) {
            return static_cast<QuicMemory*>(memory)->allocate_zeroed(count, size);
          },
      .realloc =
          [](void* bytes, std::size_t size, void* memory) {
            return static_cast<QuicMemory*>(memory)->reallocate(bytes, size);
          }};

  // The library finds out what large packets a path carries, and not when it stops to carry them. After two time-outs
  // in a row packets are as small as every path must carry, for as long as RFC 8899 waits before it tries more
  // (PMTU_RAISE_TIMER). A handshake's are small anyway: what it loses tells nothing.
  void mind_black_hole(TimePoint now) noexcept {
    if (ngtcp2_conn_get_handshake_completed(conn_) == 0) return;
    ngtcp2_conn_stat stat;
    ngtcp2_conn_get_conn_stat(conn_, &stat);
    if (stat.pto_count < 2) return;
    small_until_ = now + std::chrono::seconds(600);
    sink_.on_black_hole();
  }

  QuicOptions options_;
  Random& random_;
  QuicSecret secret_;
  bool is_server_;
  QuicSink& sink_;
  ngtcp2_conn* conn_ = nullptr;
  TlsSession session_;
  ngtcp2_crypto_conn_ref reference_{};
  KnownPath known_path_;
  std::uint64_t streams_opened_ = 0;  // of ours
  TimePoint heard_at_;
  TimePoint small_until_{INT64_MIN};
  bool pings_again_ = false;
  int failure_ = 0;
  bool reset_seen_ = false;
};

Result<std::unique_ptr<QuicEngine>> start(const QuicOptions& options, Random& random,
                                          const QuicSecret& secret, const QuicPath& path,
                                          const QuicInitial* initial, TimePoint now,
                                          QuicSink& sink) {
  try {
    auto engine = std::make_unique<Engine>(options, random, secret, initial != nullptr, sink);
    if (!engine->start(path, initial, now)) return Errc::no_resources;
    return engine;
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

}  // namespace

Result<std::unique_ptr<QuicEngine>> QuicEngine::client(const QuicOptions& options, Random& random,
                                                       const QuicSecret& secret,
                                                       const QuicPath& path, TimePoint now,
                                                       QuicSink& sink) {
  return start(options, random, secret, path, nullptr, now, sink);
}

Result<std::unique_ptr<QuicEngine>> QuicEngine::server(const QuicOptions& options, Random& random,
                                                       const QuicSecret& secret,
                                                       const QuicPath& path,
                                                       const QuicInitial& initial, TimePoint now,
                                                       QuicSink& sink) {
  return start(options, random, secret, path, &initial, now, sink);
}

QuicDatagram describe_quic_datagram(std::span<const std::byte> datagram) noexcept {
  QuicDatagram description;
  if (datagram.empty()) return description;  // the library insists on one byte
  ngtcp2_version_cid header;
  const int result =
      ngtcp2_pkt_decode_version_cid(&header, octets(datagram), datagram.size(), quic_cid_size);
  if (result != 0 && result != NGTCP2_ERR_VERSION_NEGOTIATION) return description;
  if (header.dcidlen > 20 || header.scidlen > 20) return description;
  description.header.destination = from_cid(header.dcid, header.dcidlen);
  description.header.source = from_cid(header.scid, header.scidlen);
  description.header.version = header.version;
  description.long_header = (datagram[0] & std::byte{0x80}) != std::byte{0};
  // The library would take drafts and version 2 as well; we speak version 1 and say so.
  if (result == NGTCP2_ERR_VERSION_NEGOTIATION ||
      (description.long_header && header.version != 0 && header.version != NGTCP2_PROTO_VER_V1)) {
    // A small one is not answered: the answer would be larger than what asked for it.
    description.kind = datagram.size() >= 1200 ? QuicKind::unknown_version : QuicKind::garbage;
    return description;
  }
  description.kind = QuicKind::other;
  ngtcp2_pkt_hd initial;
  if (description.long_header && ngtcp2_accept(&initial, octets(datagram), datagram.size()) == 0) {
    description.kind = QuicKind::initial;
    description.header.token = {reinterpret_cast<const std::byte*>(initial.token.base),
                                initial.token.len};
  }
  return description;
}

std::size_t write_version_negotiation(std::span<std::byte> into, const QuicDatagram& to,
                                      Random& random) {
  const std::uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
  const QuicInitial& header = to.header;
  const ngtcp2_ssize n = ngtcp2_pkt_write_version_negotiation(
      octets(into), into.size(), static_cast<std::uint8_t>(random.next()),
      header.source.bytes.data(), header.source.size, header.destination.bytes.data(),
      header.destination.size, versions, 1);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

std::size_t write_retry(std::span<std::byte> into, const QuicInitial& initial,
                        const Address& remote, const QuicSecret& secret, Random& random,
                        TimePoint now) {
  const EntropyScope entropy(random);
  const ngtcp2_cid scid = to_cid(draw_cid(random, quic_cid_size));
  const ngtcp2_cid dcid = to_cid(initial.source);
  const ngtcp2_cid original = to_cid(initial.destination);
  const sockaddr_in6 peer = to_socket(remote);
  std::array<std::uint8_t, NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN> token;
  const ngtcp2_ssize size = ngtcp2_crypto_generate_retry_token(
      token.data(), octets(std::span(secret)), secret.size(), initial.version,
      reinterpret_cast<const sockaddr*>(&peer), sizeof peer, &scid, &original, stamp(now));
  if (size < 0) return 0;
  const ngtcp2_ssize n =
      ngtcp2_crypto_write_retry(octets(into), into.size(), initial.version, &dcid, &scid, &original,
                                token.data(), static_cast<std::size_t>(size));
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

bool is_retry_token(std::span<const std::byte> token) noexcept {
  return !token.empty() && token[0] == std::byte{NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY};
}

bool verify_retry_token(QuicInitial& initial, const Address& remote, const QuicSecret& secret,
                        TimePoint now) {
  const sockaddr_in6 peer = to_socket(remote);
  const ngtcp2_cid dcid = to_cid(initial.destination);
  ngtcp2_cid original;
  if (ngtcp2_crypto_verify_retry_token(&original, octets(initial.token), initial.token.size(),
                                       octets(std::span(secret)), secret.size(), initial.version,
                                       reinterpret_cast<const sockaddr*>(&peer), sizeof peer, &dcid,
                                       10 * NGTCP2_SECONDS, stamp(now)) != 0)
    return false;
  initial.before_retry = from_cid(original.data, original.datalen);
  return true;
}

std::size_t write_stateless_reset(std::span<std::byte> into, const QuicCid& cid,
                                  std::size_t received, const QuicSecret& secret, Random& random) {
  const EntropyScope entropy(random);
  constexpr std::size_t random_min = NGTCP2_MIN_STATELESS_RESET_RANDLEN;
  constexpr std::size_t size_min = random_min + NGTCP2_STATELESS_RESET_TOKENLEN;
  if (received <= size_min) return 0;
  std::array<std::byte, random_min + 20> noise;
  const std::size_t noise_size =
      std::min(noise.size(), received - 1 - NGTCP2_STATELESS_RESET_TOKENLEN);
  random.fill(std::span(noise).first(noise_size));
  const ngtcp2_cid id = to_cid(cid);
  std::array<std::uint8_t, NGTCP2_STATELESS_RESET_TOKENLEN> token;
  if (ngtcp2_crypto_generate_stateless_reset_token(token.data(), octets(std::span(secret)),
                                                   secret.size(), &id) != 0)
    return 0;
  const ngtcp2_ssize n =
      ngtcp2_pkt_write_stateless_reset(octets(into), into.size(), token.data(),
                                       octets(std::span<const std::byte>(noise)), noise_size);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

}  // namespace twinwire
