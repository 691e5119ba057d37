// SPDX-License-Identifier: Apache-2.0
// The peer of quic: ngtcp2 and its GnuTLS helper, driven by a plain loop over a UDP socket: read what is here, write
// what may be sent, wait. One unidirectional stream a message; windows, congestion control and timers as ours.
#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "props/peers/tls_stream.h"
#include "props/peers/udp_socket.h"

namespace twinwire::peers {
namespace {

constexpr std::size_t packet_max = 1500;
constexpr std::size_t burst_max = 64'000;
constexpr std::size_t segments_max = 64;
constexpr std::uint64_t silence_max_ns = 10'000'000'000;

std::uint64_t now() { return clock_ns(CLOCK_MONOTONIC); }

void draw(void* into, std::size_t size) {
  require(::gnutls_rnd(GNUTLS_RND_RANDOM, into, size), "random");
}
ngtcp2_cid draw_cid(std::size_t size) {
  ngtcp2_cid cid;
  cid.datalen = size;
  draw(cid.data, size);
  return cid;
}

class QuicPeer {
 public:
  explicit QuicPeer(const Call& call)
      : server_(call.serves), credentials_(call.serves), socket_(0) {
    reference_.user_data = this;
    reference_.get_conn = [](ngtcp2_crypto_conn_ref* r) {
      return static_cast<QuicPeer*>(r->user_data)->conn_;
    };
    if (server_) {
      print_port(ntohs(socket_.local().sin_port));
      while (conn_ == nullptr) turn(silence_max_ns);
    } else {
      remote_ = socket_.local();
      remote_.sin_port = htons(call.port);
      start_client();
      write();
    }
    while (ngtcp2_conn_get_handshake_completed(conn_) == 0) turn(silence_max_ns);
  }
  QuicPeer(const QuicPeer&) = delete;
  QuicPeer& operator=(const QuicPeer&) = delete;
  ~QuicPeer() {
    ngtcp2_conn_del(conn_);
    if (session_ != nullptr) ::gnutls_deinit(session_);
  }

  // Until every byte is in a packet that the socket has taken. The bytes stay where they are for good.
  void send(std::span<const iovec> batch) {
    outbound_ = batch;
    written_ = 0;
    write();
    while (!outbound_.empty()) turn(silence_max_ns);
  }
  bool receive(Receiver& receiver) {
    receiver_ = &receiver;
    done_ = false;
    deliver();
    while (!done_ && !ended_) turn(silence_max_ns);
    receiver_ = nullptr;
    return done_;
  }
  void end() {
    if (server_) return;
    std::uint8_t packet[packet_max];
    ngtcp2_connection_close_error why;
    ngtcp2_connection_close_error_default(&why);
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_pkt_info info{};
    const auto n = ngtcp2_conn_write_connection_close(conn_, &path.path, &info, packet,
                                                      sizeof packet, &why, now());
    if (n > 0) socket_.send(remote_, {packet, static_cast<std::size_t>(n)}, packet_max);
  }

 private:
  struct Stream {
    std::vector<std::byte> bytes;
    bool end = false;
  };

  // --- The loop ----------------------------------------------------------------------------------------------------

  void turn(std::uint64_t patience) {
    std::uint64_t wait = patience;
    if (conn_ != nullptr) {
      const std::uint64_t expiry = ngtcp2_conn_get_expiry(conn_);
      const std::uint64_t at = now();
      wait = expiry <= at ? 0 : std::min(expiry - at, patience);
    }
    if (wait != 0) socket_.wait(wait);
    socket_.receive([&](const sockaddr_in& from, std::span<const std::uint8_t> packet) {
      if (conn_ == nullptr && !start_server(from, packet)) return;
      read(packet);
    });
    if (conn_ == nullptr || ended_) return;
    if (ngtcp2_conn_get_expiry(conn_) <= now())
      check(ngtcp2_conn_handle_expiry(conn_, now()), "expiry");
    write();
  }
  void read(std::span<const std::uint8_t> packet) {
    if (ended_) return;
    const Path path(*this);
    const ngtcp2_pkt_info info{};
    const int rc =
        ngtcp2_conn_read_pkt(conn_, &path.it, &info, packet.data(), packet.size(), now());
    if (rc == NGTCP2_ERR_DRAINING)
      ended_ = true;
    else
      check(rc, "read");
  }
  // Everything that may be sent now: packets of one size leave together.
  void write() {
    const std::uint64_t at = now();
    for (bool more = true; more;) {
      std::size_t used = 0;
      std::size_t segment = 0;
      for (std::size_t count = 0; count < segments_max && used + packet_max <= burst_max; ++count) {
        const std::size_t n = write_packet(burst_ + used, at);
        more = n != 0;
        if (!more) break;
        if (segment != 0 && n > segment) {  // a probe for a larger MTU stands alone
          socket_.send(remote_, {burst_, used}, segment);
          std::memmove(burst_, burst_ + used, n);
          socket_.send(remote_, {burst_, n}, n);
          used = segment = 0;
          continue;
        }
        if (segment == 0) segment = n;
        used += n;
        if (n < segment) break;
      }
      if (used != 0) socket_.send(remote_, {burst_, used}, segment);
    }
    if (ngtcp2_conn_get_handshake_completed(conn_) != 0) ngtcp2_conn_update_pkt_tx_time(conn_, at);
  }
  std::size_t write_packet(std::uint8_t* into, std::uint64_t at) {
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_pkt_info info{};
    bool blocked = ngtcp2_conn_get_handshake_completed(conn_) == 0;
    for (;;) {
      ngtcp2_vec data{};
      std::uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
      std::int64_t id = -1;
      if (!blocked && !outbound_.empty() &&
          (stream_ >= 0 || ngtcp2_conn_open_uni_stream(conn_, &stream_, nullptr) == 0)) {
        const iovec& message = outbound_.front();
        data = {static_cast<std::uint8_t*>(message.iov_base) + written_,
                message.iov_len - written_};
        flags = NGTCP2_WRITE_STREAM_FLAG_MORE | NGTCP2_WRITE_STREAM_FLAG_FIN;
        id = stream_;
      }
      ngtcp2_ssize taken = -1;
      const ngtcp2_ssize n =
          ngtcp2_conn_writev_stream(conn_, &path.path, &info, into, packet_max, &taken, flags, id,
                                    id >= 0 ? &data : nullptr, id >= 0 ? 1 : 0, at);
      if (id >= 0 && taken >= 0) {
        written_ += static_cast<std::size_t>(taken);
        if (written_ == outbound_.front().iov_len) {
          outbound_ = outbound_.subspan(1);
          written_ = 0;
          stream_ = -1;
        }
      }
      if (n == NGTCP2_ERR_WRITE_MORE) continue;
      if (n == NGTCP2_ERR_STREAM_DATA_BLOCKED || (n == 0 && id >= 0)) {
        blocked = true;
        continue;
      }
      check(static_cast<int>(std::min<ngtcp2_ssize>(n, 0)), "write");
      return static_cast<std::size_t>(n);
    }
  }
  static void check(int rc, const char* what) {
    if (rc != 0) fail(std::string(what) + ": " + ngtcp2_strerror(rc));
  }

  // --- Messages ----------------------------------------------------------------------------------------------------

  void on_bytes(std::int64_t id, std::span<const std::byte> bytes, bool end) {
    ngtcp2_conn_extend_max_offset(conn_, bytes.size());
    if (end) ngtcp2_conn_extend_max_streams_uni(conn_, 1);
    const auto number = static_cast<std::uint64_t>(id) >> 2;
    if (number == first_ && streams_.empty() && end && receiver_ != nullptr && !done_) {
      ++first_;  // whole, and next in order: looked at where it lies
      done_ = receiver_->take(bytes);
      return;
    }
    while (first_ + streams_.size() <= number) streams_.emplace_back();
    Stream& stream = streams_[number - first_];
    if (stream.bytes.empty() && bytes.size() >= header_size)
      stream.bytes.reserve(std::min<std::size_t>(HeaderView(bytes.data()).size(), 1 << 20));
    stream.bytes.insert(stream.bytes.end(), bytes.begin(), bytes.end());
    stream.end = end;
    deliver();
  }
  void deliver() {
    while (receiver_ != nullptr && !done_ && !streams_.empty() && streams_.front().end) {
      done_ = receiver_->take(streams_.front().bytes);
      streams_.pop_front();
      ++first_;
    }
  }

  // --- Beginning ---------------------------------------------------------------------------------------------------

  struct Path {
    explicit Path(QuicPeer& peer) noexcept : local(peer.socket_.local()) {
      it.local = {reinterpret_cast<sockaddr*>(&local), sizeof local};
      it.remote = {reinterpret_cast<sockaddr*>(&peer.remote_), sizeof peer.remote_};
    }
    sockaddr_in local;
    ngtcp2_path it{};
  };

  void start_client() {
    const ngtcp2_cid dcid = draw_cid(16);
    const ngtcp2_cid scid = draw_cid(8);
    const Path path(*this);
    const ngtcp2_settings settings = make_settings();
    const ngtcp2_transport_params params = make_params();
    const ngtcp2_callbacks callbacks = make_callbacks();
    check(ngtcp2_conn_client_new(&conn_, &dcid, &scid, &path.it, NGTCP2_PROTO_VER_V1, &callbacks,
                                 &settings, &params, nullptr, this),
          "client");
    start_tls();
  }
  bool start_server(const sockaddr_in& from, std::span<const std::uint8_t> packet) {
    ngtcp2_pkt_hd header;
    if (ngtcp2_accept(&header, packet.data(), packet.size()) != 0) return false;
    remote_ = from;
    const ngtcp2_cid scid = draw_cid(8);
    const Path path(*this);
    const ngtcp2_settings settings = make_settings();
    ngtcp2_transport_params params = make_params();
    params.original_dcid = header.dcid;
    const ngtcp2_callbacks callbacks = make_callbacks();
    check(ngtcp2_conn_server_new(&conn_, &header.scid, &scid, &path.it, header.version, &callbacks,
                                 &settings, &params, nullptr, this),
          "server");
    start_tls();
    return true;
  }
  void start_tls() {
    require(::gnutls_init(&session_, (server_ ? GNUTLS_SERVER : GNUTLS_CLIENT) |
                                         GNUTLS_ENABLE_EARLY_DATA | GNUTLS_NO_END_OF_EARLY_DATA |
                                         GNUTLS_NO_TICKETS),
            "session");
    require(::gnutls_priority_set_direct(session_, quic_priority, nullptr), "priorities");
    require(::gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, credentials_.get()),
            "credentials");
    std::string name = "twinwire";
    const gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(name.data()),
                                  static_cast<unsigned>(name.size())};
    require(::gnutls_alpn_set_protocols(session_, &protocol, 1, GNUTLS_ALPN_MANDATORY), "ALPN");
    ::gnutls_session_set_ptr(session_, &reference_);
    check(server_ ? ngtcp2_crypto_gnutls_configure_server_session(session_)
                  : ngtcp2_crypto_gnutls_configure_client_session(session_),
          "session");
    ngtcp2_conn_set_tls_native_handle(conn_, session_);
  }
  static ngtcp2_settings make_settings() {
    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings);
    settings.initial_ts = now();
    settings.cc_algo = NGTCP2_CC_ALGO_CUBIC;
    return settings;
  }
  static ngtcp2_transport_params make_params() {
    ngtcp2_transport_params params;
    ngtcp2_transport_params_default(&params);
    params.initial_max_stream_data_uni = 1 << 20;
    params.initial_max_data = 4 << 20;
    params.initial_max_streams_uni = 1024;
    params.max_idle_timeout = 30 * NGTCP2_SECONDS;
    return params;
  }
  static ngtcp2_callbacks make_callbacks() {
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
    callbacks.rand = [](std::uint8_t* into, std::size_t size, const ngtcp2_rand_ctx*) {
      draw(into, size);
    };
    callbacks.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid* cid, std::uint8_t* token,
                                         std::size_t size, void*) {
      *cid = draw_cid(size);
      draw(token, NGTCP2_STATELESS_RESET_TOKENLEN);
      return 0;
    };
    callbacks.recv_stream_data = [](ngtcp2_conn*, std::uint32_t flags, std::int64_t id,
                                    std::uint64_t, const std::uint8_t* data, std::size_t size,
                                    void* peer, void*) {
      static_cast<QuicPeer*>(peer)->on_bytes(id, std::as_bytes(std::span(data, size)),
                                             (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
      return 0;
    };
    return callbacks;
  }

  bool server_;
  Credentials credentials_;
  UdpSocket socket_;
  sockaddr_in remote_{};
  gnutls_session_t session_ = nullptr;
  ngtcp2_conn* conn_ = nullptr;
  ngtcp2_crypto_conn_ref reference_{};
  std::uint8_t burst_[burst_max]{};

  std::span<const iovec> outbound_;  // what is not in packets
  std::size_t written_ = 0;          // of the first of it
  std::int64_t stream_ = -1;         // its stream, once it is open

  Receiver* receiver_ = nullptr;
  bool done_ = false;
  bool ended_ = false;
  std::deque<Stream> streams_;
  std::uint64_t first_ = 0;  // number of streams_.front()
};

}  // namespace

void run_quic(const Call& call) {
  QuicPeer peer(call);
  run(peer, call);
}

}  // namespace twinwire::peers
