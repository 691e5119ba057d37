// SPDX-License-Identifier: Apache-2.0
#include "transport/ws/ws_handshake.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "transport/accept_stage.h"
#include "transport/base/plant.h"
#include "transport/net/write_all.h"
#include "transport/ws/ws_upgrade.h"

namespace twinwire::ws {
namespace {

// How long a refused peer may take to read why.
constexpr Duration refusal_limit = std::chrono::seconds(1);

// The head of a request or reply, and what came behind it.
struct HeadRead {
  std::array<char, upgrade_head_max> text;
  std::size_t size = 0;
  Slice rest;
  std::string_view view() const noexcept { return {text.data(), size}; }
};

// Reads up to and with the empty line.
// Errors     too_large · handshake (not HTTP) · closed (the stream ended) · those of ByteStream::read
Result<void> read_head(ByteStream& stream, HeadRead& head, Deadline deadline) {
  for (;;) {
    auto slice = stream.read(deadline);
    if (!slice) return slice.error();
    if (slice->empty()) return Errc::closed;
    const std::size_t before = head.size;
    const std::size_t n = std::min(slice->size(), head.text.size() - before);
    std::memcpy(head.text.data() + before, slice->data(), n);
    head.size += n;
    // Another protocol altogether (a TLS hello) is known by its first byte, without waiting for more.
    if (head.text[0] < 'A' || head.text[0] > 'Z') return Errc::handshake;
    const std::size_t from = before < 3 ? 0 : before - 3;
    const std::size_t end = head.view().find("\r\n\r\n", from);
    if (end != std::string_view::npos) {
      head.size = end + 4;
      if (PLANT(bytes_behind_upgrade_lost)) return {};
      slice->drop_front(head.size - before);
      if (!slice->empty()) head.rest = std::move(*slice);
      return {};
    }
    if (head.size == head.text.size()) return Errc::too_large;
  }
}

Result<void> write_text(ByteStream& stream, std::string_view text, Deadline deadline) {
  iovec piece{const_cast<char*>(text.data()), text.size()};
  return write_all(stream, {&piece, 1}, deadline);
}

// The reply, the end, and what the peer still sends: a reset would take the reply away from it.
void refuse(ByteStream& stream, const UpgradeAnswer& answer, Deadline deadline) {
  if (!write_text(stream, answer.text, deadline)) return;
  if (!stream.shutdown_write(deadline)) return;
  for (;;) {
    const auto bytes = stream.read(deadline);
    if (!bytes || bytes->empty()) return;
  }
}

Result<Slice> as_client(ByteStream& stream, const WsOptions& options, Random& random,
                        Deadline deadline) {
  std::array<std::byte, 16> nonce;
  random.fill(nonce);
  const std::string key = upgrade_key(nonce);
  const std::string host = options.host.empty() ? to_string(stream.peer()) : options.host;
  auto sent =
      write_text(stream, upgrade_request(options.path, host, options.origin, key), deadline);
  if (!sent) return sent.error();
  HeadRead head;
  if (auto read = read_head(stream, head, deadline); !read) {
    const bool not_ours = read.error() == Errc::too_large || read.error() == Errc::closed;
    return not_ours ? Error{Errc::handshake, 0} : read.error();
  }
  if (!upgrade_accepted(head.view(), key)) return Errc::handshake;
  return std::move(head.rest);
}

// What the listener's log says of a request that got this answer.
void explain(const HandshakeTerms& terms, const UpgradeAnswer& answer) {
  const std::string_view line = std::string_view(answer.text).substr(0, answer.text.find('\r'));
  const std::size_t behind_version = line.find(' ') + 1;
  terms.explain("its upgrade was answered " + std::string(line.substr(behind_version)));
}

Result<Slice> as_server(ByteStream& stream, const WsOptions& options, Clock& clock,
                        HandshakeTerms terms) {
  HeadRead head;
  UpgradeAnswer answer;
  const auto read = read_head(stream, head, terms.deadline);
  if (read)
    answer = answer_upgrade(head.view(), {options.path, options.hosts, options.origins});
  else if (read.error() == Errc::too_large)
    answer = refuse_upgrade(431);
  else if (read.error() == Errc::handshake || read.error() == Errc::closed)
    answer = refuse_upgrade(400);
  else
    return read.error();
  if (answer.status != 101) {
    if (read || read.error() != Errc::closed)
      explain(terms, answer);
    else
      terms.explain(refusal_words(Errc::closed));
    refuse(stream, answer, earlier(terms.deadline, clock.in(refusal_limit)));
    return Errc::handshake;
  }
  if (auto sent = write_text(stream, answer.text, terms.deadline); !sent) return sent.error();
  return std::move(head.rest);
}

}  // namespace

Result<Slice> upgrade_as_client(ByteStream& stream, const WsOptions& options, Random& random,
                                Deadline deadline) {
  try {
    return as_client(stream, options, random, deadline);
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

Result<Slice> upgrade_as_server(ByteStream& stream, const WsOptions& options, Clock& clock,
                                HandshakeTerms terms) {
  try {
    return as_server(stream, options, clock, terms);
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
}

}  // namespace twinwire::ws
