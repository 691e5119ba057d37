// SPDX-License-Identifier: Apache-2.0
// A hello that is good TLS and no QUIC: it lacks the transport parameters. quic-go sends such a one in draft versions,
// and anybody may; it must cost the sender's handshake, not the process (ngtcp2 0.12.1 would abort).
// ctest: no_tsan
#include <gnutls/gnutls.h>
#include <gtest/gtest.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "props/deaf_quic_sink.h"
#include "props/laws/test_credentials.h"
#include "sim/entropy.h"
#include "transport/quic/quic_engine.h"

namespace twinwire {
namespace {

const Address here = Address::v4(10, 0, 0, 1, 1000);
const Address there = Address::v4(10, 0, 0, 2, 2000);

struct Deaf final : props::DeafQuicSink {
  void on_handshake_done() override { ADD_FAILURE() << "no handshake can be done"; }
};

// The library's client with a TLS session of its own making, as far as its first flight.
class BareClient {
 public:
  BareClient() {
    gnutls_certificate_allocate_credentials(&credentials_);
    gnutls_init(&session_, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
    gnutls_priority_set_direct(session_, "NORMAL:-VERS-ALL:+VERS-TLS1.3:%DISABLE_TLS13_COMPAT_MODE",
                               nullptr);
    gnutls_credentials_set(session_, GNUTLS_CRD_CERTIFICATE, credentials_);
    unsigned char name[] = "twinwire";
    const gnutls_datum_t protocol{name, sizeof name - 1};
    gnutls_alpn_set_protocols(session_, &protocol, 1, 0);
    reference_.get_conn = [](ngtcp2_crypto_conn_ref* reference) {
      return static_cast<BareClient*>(reference->user_data)->conn_;
    };
    reference_.user_data = this;
    gnutls_session_set_ptr(session_, &reference_);
    gnutls_handshake_set_secret_function(
        session_, [](gnutls_session_t, gnutls_record_encryption_level_t, const void*, const void*,
                     std::size_t) { return 0; });
    gnutls_handshake_set_read_function(
        session_, [](gnutls_session_t session, gnutls_record_encryption_level_t,
                     gnutls_handshake_description_t, const void* bytes, std::size_t size) {
          auto* reference = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
          return ngtcp2_conn_submit_crypto_data(reference->get_conn(reference),
                                                NGTCP2_CRYPTO_LEVEL_INITIAL,
                                                static_cast<const std::uint8_t*>(bytes), size);
        });

    ngtcp2_callbacks callbacks{};
    callbacks.client_initial = ngtcp2_crypto_client_initial_cb;
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
      std::fill_n(into, size, std::uint8_t{7});
    };
    callbacks.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid*, std::uint8_t*, std::size_t,
                                         void*) -> int { return NGTCP2_ERR_CALLBACK_FAILURE; };
    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings);
    settings.initial_ts = 1;
    ngtcp2_transport_params params;
    ngtcp2_transport_params_default(&params);
    ngtcp2_cid destination;
    ngtcp2_cid source;
    const std::array<std::uint8_t, 16> id{1, 2, 3, 4, 5, 6, 7, 8, 9};
    ngtcp2_cid_init(&destination, id.data(), id.size());
    ngtcp2_cid_init(&source, id.data(), 8);
    EXPECT_EQ(ngtcp2_conn_client_new(&conn_, &destination, &source, &path_, NGTCP2_PROTO_VER_V1,
                                     &callbacks, &settings, &params, nullptr, this),
              0);
    ngtcp2_conn_set_tls_native_handle(conn_, session_);
  }
  BareClient(const BareClient&) = delete;
  BareClient& operator=(const BareClient&) = delete;
  ~BareClient() {
    ngtcp2_conn_del(conn_);
    gnutls_deinit(session_);
    gnutls_certificate_free_credentials(credentials_);
  }

  std::vector<std::byte> first_packet() {
    std::vector<std::byte> packet(quic_packet_max);
    ngtcp2_path_storage where;
    ngtcp2_path_storage_zero(&where);
    ngtcp2_pkt_info info{};
    const ngtcp2_ssize n =
        ngtcp2_conn_write_pkt(conn_, &where.path, &info,
                              reinterpret_cast<std::uint8_t*>(packet.data()), packet.size(), 1);
    packet.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return packet;
  }
  // What it is told by a packet that closes the connection.
  std::uint64_t closed_with(std::span<const std::byte> packet) {
    const ngtcp2_pkt_info info{};
    EXPECT_EQ(ngtcp2_conn_read_pkt(conn_, &path_, &info,
                                   reinterpret_cast<const std::uint8_t*>(packet.data()),
                                   packet.size(), 2),
              NGTCP2_ERR_DRAINING);
    ngtcp2_connection_close_error error;
    ngtcp2_conn_get_connection_close_error(conn_, &error);
    return error.error_code;
  }

 private:
  sockaddr_in6 address_{.sin6_family = AF_INET6};
  ngtcp2_path path_{.local = {reinterpret_cast<sockaddr*>(&address_), sizeof address_},
                    .remote = {reinterpret_cast<sockaddr*>(&address_), sizeof address_}};
  ngtcp2_crypto_conn_ref reference_{};
  gnutls_certificate_credentials_t credentials_ = nullptr;
  gnutls_session_t session_ = nullptr;
  ngtcp2_conn* conn_ = nullptr;
};

TEST(QuicHello, without_transport_parameters_it_fails_the_handshake_and_no_more) {
  BareClient client;
  const std::vector<std::byte> hello = client.first_packet();
  const QuicDatagram described = describe_quic_datagram(hello);
  ASSERT_EQ(described.kind, QuicKind::initial);

  sim::SeededRandom random(1);
  QuicOptions options;
  options.tls.credentials = laws::test_credentials().server->share();
  Deaf sink;
  const TimePoint now{0};
  auto server = QuicEngine::server(options, random, {}, {there, here}, described.header, now, sink);
  ASSERT_TRUE(server.has_value());
  ASSERT_EQ((*server)->read({there, here}, Ecn::not_ect, hello, now), QuicFate::failed);
  EXPECT_EQ((*server)->cause(), "a TLS extension that is required is missing");
  std::vector<std::byte> packet(quic_packet_max);
  packet.resize((*server)->close(packet, QuicCode::violation, now).size);
  EXPECT_EQ(client.closed_with(packet), 0x16dU) << "missing_extension (RFC 9001, section 8.2)";
}

}  // namespace
}  // namespace twinwire
