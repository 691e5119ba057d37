// SPDX-License-Identifier: Apache-2.0
// RecordCipher against GnuTLS itself: what one seals the other opens, through key changes of either side. Two ends of
// ours would agree also where both are wrong.
// ctest: no_tsan
#include "transport/tls/record_cipher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace twinwire {
namespace {

// One end of a session in memory, keyed by a secret that both know.
struct End {
  explicit End(unsigned flags) {
    EXPECT_EQ(::gnutls_init(&session, flags | GNUTLS_NONBLOCK), 0);
    EXPECT_EQ(::gnutls_priority_set_direct(
                  session,
                  "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+ECDHE-PSK:+DHE-PSK:+PSK",
                  nullptr),
              0);
    ::gnutls_transport_set_ptr(session, this);
    ::gnutls_transport_set_push_function(
        session, [](gnutls_transport_ptr_t self, const void* data, std::size_t size) -> ssize_t {
          static_cast<End*>(self)->out.append(static_cast<const char*>(data), size);
          return static_cast<ssize_t>(size);
        });
    ::gnutls_transport_set_pull_function(
        session, [](gnutls_transport_ptr_t self, void* data, std::size_t size) -> ssize_t {
          auto& waiting = static_cast<End*>(self)->in;
          if (waiting.empty()) {
            ::gnutls_transport_set_errno(static_cast<End*>(self)->session, EAGAIN);
            return -1;
          }
          const std::size_t n = std::min(size, waiting.size());
          std::memcpy(data, waiting.data(), n);
          waiting.erase(0, n);
          return static_cast<ssize_t>(n);
        });
  }
  End(const End&) = delete;
  End& operator=(const End&) = delete;
  ~End() { ::gnutls_deinit(session); }

  std::string iv_of_reading() const {
    gnutls_datum_t iv{};
    EXPECT_EQ(::gnutls_record_get_state(session, 1, nullptr, &iv, nullptr, nullptr), 0);
    return {reinterpret_cast<const char*>(iv.data), iv.size};
  }

  gnutls_session_t session = nullptr;
  std::string in;
  std::string out;
};

class TlsRecordCipher : public ::testing::Test {
 protected:
  TlsRecordCipher() {
    const gnutls_datum_t key{reinterpret_cast<unsigned char*>(secret_), sizeof secret_ - 1};
    ::gnutls_psk_allocate_client_credentials(&client_);
    ::gnutls_psk_set_client_credentials(client_, "us", &key, GNUTLS_PSK_KEY_RAW);
    ::gnutls_psk_allocate_server_credentials(&server_);
    ::gnutls_psk_set_server_credentials_function(
        server_, [](gnutls_session_t, const char*, gnutls_datum_t* out) -> int {
          out->size = sizeof secret_ - 1;
          out->data = static_cast<unsigned char*>(::gnutls_malloc(out->size));
          std::memcpy(out->data, secret_, out->size);
          return 0;
        });
    ::gnutls_credentials_set(ours.session, GNUTLS_CRD_PSK, client_);
    ::gnutls_credentials_set(theirs.session, GNUTLS_CRD_PSK, server_);
    int a = -1;
    int b = -1;
    for (int i = 0; i < 20 && (a != 0 || b != 0); ++i) {
      if (a != 0) a = ::gnutls_handshake(ours.session);
      carry();
      if (b != 0) b = ::gnutls_handshake(theirs.session);
      carry();
    }
    EXPECT_EQ(a, 0) << ::gnutls_strerror(a);
    EXPECT_EQ(b, 0) << ::gnutls_strerror(b);
  }
  ~TlsRecordCipher() override {
    ::gnutls_psk_free_client_credentials(client_);
    ::gnutls_psk_free_server_credentials(server_);
  }
  void carry() {
    theirs.in += std::exchange(ours.out, {});
    ours.in += std::exchange(theirs.out, {});
  }
  // Sends it: in place where that may be, else by GnuTLS. True: in place.
  bool send(const std::string& text) {
    if (!sealer.begin(ours.session)) {
      EXPECT_EQ(::gnutls_record_send(ours.session, text.data(), text.size()),
                static_cast<ssize_t>(text.size()));
      return false;
    }
    std::vector<std::byte> record(RecordCipher::head + text.size() + RecordCipher::tail);
    std::memcpy(record.data() + RecordCipher::head, text.data(), text.size());
    EXPECT_TRUE(sealer.seal(record.data(), text.size()));
    sealer.end(ours.session);
    ours.out.append(reinterpret_cast<const char*>(record.data()), record.size());
    return true;
  }
  static std::string receive(End& end) {
    char text[2000];
    ssize_t n = ::gnutls_record_recv(end.session, text, sizeof text);
    while (n == GNUTLS_E_AGAIN && !end.in.empty())  // that was no data
      n = ::gnutls_record_recv(end.session, text, sizeof text);
    return n >= 0 ? std::string(text, static_cast<std::size_t>(n))
                  : ::gnutls_strerror(static_cast<int>(n));
  }
  void expect_heard(const std::string& text, bool in_place) {
    EXPECT_EQ(send(text), in_place) << text;
    carry();
    EXPECT_EQ(receive(theirs), text);
  }
  // What they send by GnuTLS, opened in place.
  void expect_opened(const std::string& text) {
    ASSERT_EQ(::gnutls_record_send(theirs.session, text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
    carry();
    const auto bytes = std::as_bytes(std::span(ours.in));
    const auto whole = RecordCipher::record_at(bytes);
    ASSERT_EQ(whole, bytes.size());
    ASSERT_TRUE(opener.begin(ours.session));
    std::vector<std::byte> plaintext(*whole);
    // One flipped bit: it is not seen, and what comes after is as if it had not been.
    std::string damaged = ours.in;
    damaged[10] = static_cast<char>(damaged[10] ^ 1);
    EXPECT_FALSE(opener.open(std::as_bytes(std::span(damaged)), plaintext.data()).has_value());
    const auto size = opener.open(bytes, plaintext.data());
    opener.end(ours.session);
    ASSERT_EQ(size, text.size());
    EXPECT_EQ(std::memcmp(plaintext.data(), text.data(), text.size()), 0);
    ours.in.clear();
  }

  static inline char secret_[] = "thirty-two bytes of a shared key";
  gnutls_psk_client_credentials_t client_ = nullptr;
  gnutls_psk_server_credentials_t server_ = nullptr;
  End ours{GNUTLS_CLIENT};
  End theirs{GNUTLS_SERVER};
  RecordCipher sealer{RecordCipher::Direction::write};
  RecordCipher opener{RecordCipher::Direction::read};
};

TEST_F(TlsRecordCipher, takes_turns_with_gnutls_in_both_directions) {
  expect_heard("first", false);  // GnuTLS has to have sent once
  for (int i = 0; i < 5; ++i) expect_heard("in place " + std::to_string(i), true);
  const std::string text = "by the library";
  EXPECT_EQ(::gnutls_record_send(ours.session, text.data(), text.size()), 14);
  carry();
  EXPECT_EQ(receive(theirs), text);
  expect_heard("and again in place", true);
  for (int i = 0; i < 3; ++i) expect_opened("opened " + std::to_string(i));
  EXPECT_EQ(::gnutls_record_send(theirs.session, text.data(), text.size()), 14);
  carry();
  EXPECT_EQ(receive(ours), text);
  expect_opened("and again");
}

TEST_F(TlsRecordCipher, our_new_keys_are_used_at_once) {
  expect_heard("first", false);
  expect_heard("old key", true);
  const std::string before = theirs.iv_of_reading();
  ASSERT_EQ(::gnutls_session_key_update(ours.session, 0), 0);
  for (int i = 0; i < 3; ++i) expect_heard("new key " + std::to_string(i), true);
  EXPECT_NE(theirs.iv_of_reading(), before);
}

TEST_F(TlsRecordCipher, their_new_keys_are_used_and_answered_with_ours) {
  expect_heard("first", false);
  expect_heard("old key", true);
  expect_opened("old key");
  const std::string before = theirs.iv_of_reading();
  ASSERT_EQ(::gnutls_session_key_update(theirs.session, GNUTLS_KU_PEER), 0);
  carry();
  // What is no data is GnuTLS's.
  const auto whole = RecordCipher::record_at(std::as_bytes(std::span(ours.in)));
  ASSERT_TRUE(whole && opener.begin(ours.session));
  std::vector<std::byte> plaintext(*whole);
  EXPECT_FALSE(opener.open(std::as_bytes(std::span(ours.in)).first(*whole), plaintext.data()));
  opener.end(ours.session);
  (void)receive(ours);
  expect_opened("new key");
  expect_heard("GnuTLS answers with this", false);
  EXPECT_NE(theirs.iv_of_reading(), before) << "our keys are as old as ever";
  expect_heard("new key", true);
}

}  // namespace
}  // namespace twinwire
