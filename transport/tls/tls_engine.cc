// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/tls_engine.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>

#include "transport/base/plant.h"
#include "transport/net/address.h"
#include "transport/tls/tls_cause.h"
#include "transport/tls/tls_session.h"

namespace twinwire {
namespace {

constexpr std::size_t record_max = 16 * 1024;  // plaintext bytes (RFC 8446, section 5.1)
// What a peer of TLS can begin with (RFC 8446, section 5.1): an alert, or a handshake message.
constexpr bool begins_record(std::byte first) noexcept {
  return first == std::byte{21} || first == std::byte{22};
}

}  // namespace

// The stream as GnuTLS sees it: memory.
struct TlsEngine::Calls {
  static ssize_t pull(gnutls_transport_ptr_t self, void* data, std::size_t size) noexcept {
    auto& engine = *static_cast<TlsEngine*>(self);
    if (engine.input_.empty()) {
      ::gnutls_transport_set_errno(engine.session_->handle(), EAGAIN);
      return -1;
    }
    const std::size_t n = std::min(size, engine.input_.size());
    std::memcpy(data, engine.input_.data(), n);
    engine.unopened_ += n;
    engine.input_.drop_front(n);
    if (engine.input_.empty()) engine.input_.release();
    return static_cast<ssize_t>(n);
  }
  static int pull_timeout(gnutls_transport_ptr_t self, unsigned) noexcept {
    return static_cast<TlsEngine*>(self)->input_.empty() ? 0 : 1;
  }
  static ssize_t push(gnutls_transport_ptr_t self, const giovec_t* pieces, int count) noexcept {
    auto& engine = *static_cast<TlsEngine*>(self);
    ssize_t total = 0;
    for (int i = 0; i < count; ++i) {
      const auto* bytes = static_cast<const std::byte*>(pieces[i].iov_base);
      if (!engine.output_.append({bytes, pieces[i].iov_len})) {
        engine.out_of_memory_ = true;
        ::gnutls_transport_set_errno(engine.session_->handle(), ENOMEM);
        return -1;
      }
      total += static_cast<ssize_t>(pieces[i].iov_len);
    }
    return total;
  }
  static int ticket(gnutls_session_t session, unsigned, unsigned, unsigned,
                    const gnutls_datum_t*) noexcept {
    static_cast<TlsEngine*>(::gnutls_session_get_ptr(session))->ticket_arrived_ = true;
    return 0;
  }
};

TlsEngine::TlsEngine(Role role, const TlsConfig& config, BufferPool& pool, Random& random)
    : role_(role),
      config_(config),
      pool_(&pool),
      random_(&random),
      session_(std::make_unique<TlsSession>()),
      output_(pool) {}

TlsEngine::~TlsEngine() {
  const EntropyScope entropy(*random_);
  session_.reset();
}

Result<std::unique_ptr<TlsEngine>> TlsEngine::create(Role role, const TlsConfig& config,
                                                     const Address& peer, BufferPool& pool,
                                                     Random& random) {
  if (config.credentials == nullptr) return Errc::handshake;
  try {
    std::unique_ptr<TlsEngine> engine(new TlsEngine(role, config, pool, random));
    const EntropyScope entropy(random);
    if (auto ready = engine->set_up(peer); !ready) return ready.error();
    return engine;
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

Result<void> TlsEngine::set_up(const Address& peer) {
  const bool tickets = role_ == Role::client ? config_.sessions != nullptr
                                             : config_.credentials->ticket_key() != nullptr;
  if (auto opened = session_->open(role_, config_, peer, false,
                                   GNUTLS_NONBLOCK | (tickets ? 0U : GNUTLS_NO_TICKETS));
      !opened)
    return opened;
  gnutls_session_t handle = session_->handle();
  ::gnutls_session_set_ptr(handle, this);
  ::gnutls_transport_set_ptr(handle, this);
  ::gnutls_transport_set_pull_function(handle, &Calls::pull);
  ::gnutls_transport_set_pull_timeout_function(handle, &Calls::pull_timeout);
  ::gnutls_transport_set_vec_push_function(handle, &Calls::push);
  ::gnutls_handshake_set_timeout(handle, 0);  // time-outs are the caller's deadlines
  if (tickets) set_up_resumption(peer);
  return {};
}

void TlsEngine::set_up_resumption(const Address& peer) {
  gnutls_session_t handle = session_->handle();
  if (role_ == Role::server) {
    auto key = *config_.credentials->ticket_key();
    const gnutls_datum_t ticket_key{reinterpret_cast<unsigned char*>(key.data()),
                                    static_cast<unsigned>(key.size())};
    (void)::gnutls_session_ticket_enable_server(handle, &ticket_key);
    return;
  }
  cache_key_ = config_.server_name + "|" + to_string(peer);
  ::gnutls_handshake_set_hook_function(handle, GNUTLS_HANDSHAKE_NEW_SESSION_TICKET,
                                       GNUTLS_HOOK_POST, &Calls::ticket);
  // What is too old, or of another version, only means a full handshake.
  if (const auto session = config_.sessions->take(cache_key_))
    (void)::gnutls_session_set_data(handle, session->data(), session->size());
}

void TlsEngine::feed(Slice bytes) noexcept {
  TWINWIRE_CHECK(input_.empty(), "the engine has not consumed what it was fed before");
  input_ = std::move(bytes);
  if (!std::exchange(was_fed_, true) && !input_.empty())
    speaks_tls_ = begins_record(*input_.data());
}

// A fatal error of GnuTLS: tells the peer, if it has not told us, and says what it is to our caller.
Errc TlsEngine::failed(int code) noexcept {
  failed_ = true;
  input_.release();
  try {
    description_ = speaks_tls_ ? tls_cause(session_->handle(), code) : "not a TLS record";
  } catch (const std::bad_alloc&) {
    description_.clear();
  }
  if (out_of_memory_ || code == GNUTLS_E_MEMORY_ERROR) return Errc::no_resources;
  tls_send_alert(session_->handle(), code);
  return Errc::broken;
}

Result<bool> TlsEngine::handshake() noexcept {
  const EntropyScope entropy(*random_);
  for (;;) {
    const int rc = ::gnutls_handshake(session_->handle());
    if (rc == GNUTLS_E_SUCCESS) {
      try {
        return handshake_done();
      } catch (const std::bad_alloc&) {
        return Errc::no_resources;
      }
    }
    if (::gnutls_error_is_fatal(rc) != 0) {
      const Errc error = failed(rc);
      return error == Errc::no_resources ? error : Errc::handshake;
    }
    // What is not fatal is a lack of input, or a warning.
    if (input_.empty()) return false;
  }
}

Result<bool> TlsEngine::handshake_done() {
  gnutls_session_t handle = session_->handle();
  gnutls_datum_t protocol{};
  if (::gnutls_alpn_get_selected_protocol(handle, &protocol) == 0) {
    alpn_.assign(reinterpret_cast<const char*>(protocol.data), protocol.size);
  } else if (!config_.alpn.empty()) {
    (void)failed(GNUTLS_E_NO_APPLICATION_PROTOCOL);
    return Errc::handshake;
  }
  resumed_ = ::gnutls_session_is_resumed(handle) != 0;
  const gnutls_protocol_t version = ::gnutls_protocol_get_version(handle);
  description_ = std::string(::gnutls_protocol_get_name(version)) + " " +
                 ::gnutls_cipher_get_name(::gnutls_cipher_get(handle));
  if (role_ == Role::client && config_.sessions != nullptr) {
    if (resumed_) config_.sessions->count_resumed();
    if (version != GNUTLS_TLS1_3) ticket_arrived_ = true;
    keep_session();
  }
  return true;
}

Result<ChannelBinding> TlsEngine::channel_binding() noexcept {
  const EntropyScope entropy(*random_);
  gnutls_datum_t found{};
  const int rc =
      ::gnutls_session_channel_binding(session_->handle(), GNUTLS_CB_TLS_EXPORTER, &found);
  if (rc < 0) return rc == GNUTLS_E_MEMORY_ERROR ? Errc::no_resources : Errc::unsupported;
  ChannelBinding binding{};
  const bool fits = found.size == binding.size();
  if (fits) std::memcpy(binding.data(), found.data, binding.size());
  ::gnutls_free(found.data);
  if (!fits) return Errc::unsupported;
  return binding;
}

void TlsEngine::keep_session() noexcept {
  if (!std::exchange(ticket_arrived_, false) || config_.sessions == nullptr) return;
  gnutls_datum_t data{};
  if (::gnutls_session_get_data2(session_->handle(), &data) < 0) return;
  config_.sessions->put(cache_key_, reinterpret_cast<const std::byte*>(data.data), data.size);
  ::gnutls_free(data.data);
}

Result<void> TlsEngine::send(const std::byte* bytes, std::size_t size) noexcept {
  while (size > 0) {
    const ssize_t n = ::gnutls_record_send(session_->handle(), bytes, size);
    if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) continue;
    if (n <= 0) return out_of_memory_ ? Errc::no_resources : Errc::broken;
    bytes += n;
    size -= static_cast<std::size_t>(n);
  }
  return {};
}

Result<std::size_t> TlsEngine::seal(std::span<const iovec> pieces, std::size_t max) noexcept {
  if (said_bye_) return Error{Errc::broken, EPIPE};
  if (failed_) return Errc::broken;
  const EntropyScope entropy(*random_);
  gnutls_session_t handle = session_->handle();
  auto sealed = Result<std::size_t>{0};
  if (sealer_.begin(handle)) {
    sealed = seal_in_place(pieces, max);
    sealer_.end(handle);
  } else {
    sealed = seal_by_library(pieces, max);
  }
  if (sealed) sealed_ += *sealed;
  return sealed;
}

// Each record where it will lie in the output: gathered there, and encrypted there.
Result<std::size_t> TlsEngine::seal_in_place(std::span<const iovec> pieces,
                                             std::size_t max) noexcept {
  std::size_t left = 0;
  for (const iovec& piece : pieces) left += piece.iov_len;
  left = std::min(left, max);
  const std::size_t total = left;
  const std::size_t limit = std::min(record_max, ::gnutls_record_get_max_size(session_->handle()));
  std::size_t at = 0;  // in the first piece
  while (left > 0) {
    const std::size_t size = std::min(left, limit);
    const std::size_t whole = RecordCipher::head + size + RecordCipher::tail;
    const auto space = output_.space(whole);
    if (space.size() < whole) return Errc::no_resources;
    for (std::size_t filled = 0; filled < size;) {
      const iovec& piece = pieces.front();
      const std::size_t n = std::min(size - filled, piece.iov_len - at);
      const auto* bytes = static_cast<const std::byte*>(piece.iov_base) + at;
      std::memcpy(space.data() + RecordCipher::head + filled, bytes, n);
      filled += n;
      at += n;
      if (at < piece.iov_len) continue;
      pieces = pieces.subspan(1);
      at = 0;
    }
    if (!sealer_.seal(space.data(), size)) return Errc::broken;
    output_.commit(whole);
    left -= size;
  }
  return total;
}

Result<std::size_t> TlsEngine::seal_by_library(std::span<const iovec> pieces,
                                               std::size_t max) noexcept {
  Block* record = nullptr;  // where small pieces are put together
  std::size_t filled = 0;
  std::size_t total = 0;
  Result<void> sent;
  for (std::size_t i = 0; i < pieces.size() && total < max && sent; ++i) {
    const auto* bytes = static_cast<const std::byte*>(pieces[i].iov_base);
    std::size_t left = std::min(pieces[i].iov_len, max - total);
    total += left;
    const bool last = i + 1 == pieces.size() || total == max;
    while (left > 0 && sent) {
      if (filled == 0 && (last || left >= record_max)) {
        // From where it lies: whole records, and at the end whatever there is.
        const std::size_t n = last ? left : left / record_max * record_max;
        sent = send(bytes, n);
        bytes += n;
        left -= n;
        continue;
      }
      if (record == nullptr && (record = pool_->allocate(record_max)) == nullptr) {
        sent = Errc::no_resources;
        break;
      }
      const std::size_t n = std::min(left, record_max - filled);
      std::memcpy(record->data + filled, bytes, n);
      filled += n;
      bytes += n;
      left -= n;
      if (filled == record_max) {
        sent = send(record->data, filled);
        filled = 0;
      }
    }
  }
  if (sent && filled != 0) sent = send(record->data, filled);
  if (record != nullptr) Slice(record, record->data, 0).release();
  if (!sent) return sent.error();
  return total;
}

Result<void> TlsEngine::update_keys() noexcept {
  sealed_ = 0;
  if (said_bye_ || ::gnutls_protocol_get_version(session_->handle()) != GNUTLS_TLS1_3) return {};
  const EntropyScope entropy(*random_);
  // Asking the peer for its own (GNUTLS_KU_PEER) is not safe: GnuTLS takes two such requests that cross for a
  // violation.
  const int rc = ::gnutls_session_key_update(session_->handle(), 0);
  if (rc < 0 && ::gnutls_error_is_fatal(rc) != 0)
    return out_of_memory_ ? Errc::no_resources : Errc::broken;
  return {};
}

// The whole records of data at the front of the input, as long as there are such. The rest is for GnuTLS. So is what
// lies in the middle of a record, whose beginning GnuTLS has: should it look like one, it does not decrypt as one.
Result<void> TlsEngine::open_in_place(BlockQueue& plaintext) noexcept {
  if (::gnutls_record_check_pending(session_->handle()) != 0) return {};
  auto whole = RecordCipher::record_at(input_.bytes());
  if (!whole || !opener_.begin(session_->handle())) return {};
  Result<void> opened;
  for (; whole; whole = RecordCipher::record_at(input_.bytes())) {
    const std::size_t room = *whole - RecordCipher::head - RecordCipher::tail + 1;
    const auto space = plaintext.space(room);
    if (space.size() < room) {
      opened = Errc::no_resources;
      break;
    }
    const auto size = opener_.open(input_.bytes().first(*whole), space.data());
    if (!size) break;
    plaintext.commit(*size);
    input_.drop_front(*whole);
  }
  opener_.end(session_->handle());
  if (input_.empty()) input_.release();
  return opened;
}

Result<void> TlsEngine::open(BlockQueue& plaintext) noexcept {
  const EntropyScope entropy(*random_);
  for (;;) {
    if (!peer_ended_ && !input_.empty()) {
      if (auto opened = open_in_place(plaintext); !opened) return opened;
      if (input_.empty() && !ticket_arrived_) return {};
    }
    if (peer_ended_) {  // what follows a good-bye means nothing (RFC 8446, section 6.1)
      input_.release();
      return {};
    }
    // What GnuTLS may have for us now: the rest of a record, or one whose beginning came before. It then lies in one
    // piece, and takes one call.
    const auto space = plaintext.space(std::min(unopened_ + input_.size(), record_max));
    if (space.empty()) return Errc::no_resources;
    const std::size_t input_before = input_.size();
    const ssize_t n = ::gnutls_record_recv(session_->handle(), space.data(), space.size());
    if (n > 0) {
      plaintext.commit(static_cast<std::size_t>(n));
      unopened_ = ::gnutls_record_check_pending(session_->handle());
      if (input_.empty() && unopened_ == 0 && !ticket_arrived_) return {};
      continue;
    }
    if (ticket_arrived_) keep_session();
    if (n == 0) {
      peer_ended_ = true;
      continue;
    }
    // A request to negotiate anew (TLS 1.2) is refused: nobody needs it, and it has been a hole before.
    if (n == GNUTLS_E_REHANDSHAKE || ::gnutls_error_is_fatal(static_cast<int>(n)) != 0)
      return failed(static_cast<int>(n));
    if (input_.empty()) return {};
    TWINWIRE_CHECK(input_.size() < input_before, "GnuTLS neither takes bytes nor fails");
  }
}

Result<void> TlsEngine::bye() noexcept {
  if (std::exchange(said_bye_, true) || PLANT(close_notify_not_sent)) return {};
  const EntropyScope entropy(*random_);
  if (::gnutls_bye(session_->handle(), GNUTLS_SHUT_WR) < 0)
    return out_of_memory_ ? Errc::no_resources : Errc::broken;
  return {};
}

}  // namespace twinwire
