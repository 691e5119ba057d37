// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/handshake/handshake_frame.h"

#include <algorithm>
#include <cstring>

#include "transport/base/check.h"
#include "transport/base/plant.h"
#include "transport/wire/seal.h"

namespace twinwire::bus {
namespace {

namespace at = handshake_offset;

Command command_of(HandshakeRole speaker) noexcept {
  return speaker == HandshakeRole::dialer ? Command::ping : Command::pong;
}

bool all_zero(std::span<const std::byte> bytes) noexcept {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

// Whether only a refusal has a reason, and one that may be told.
bool reason_fits(HandshakeKind kind, std::uint8_t reason) noexcept {
  if (kind != HandshakeKind::refusal) return reason == 0;
  return reason == static_cast<std::uint8_t>(Rejection::stale) ||
         reason == static_cast<std::uint8_t>(Rejection::not_admitted);
}

}  // namespace

HandshakeFrame encode(const HandshakeFields& fields) noexcept {
  HandshakeFrame frame{};
  std::byte* const to = frame.data();
  const HandshakeRole speaker = speaker_of(fields.kind);
  store(to + offset::cluster, fields.cluster);
  store(to + offset::size, static_cast<std::uint32_t>(header_size));
  store(to + offset::command, command_of(speaker));
  store(to + offset::replica, speaker == HandshakeRole::dialer ? fields.dialer : fields.acceptor);
  store(to + at::magic, handshake_magic);
  store(to + at::version, handshake_version);
  store(to + at::kind, fields.kind);
  store(to + at::dialer, fields.dialer);
  store(to + at::acceptor, fields.acceptor);
  store(to + at::plane, fields.plane);
  store(to + at::unix_ns, fields.unix_ns);
  store(to + at::dialer_nonce, fields.nonces.dialer);
  store(to + at::acceptor_nonce, fields.nonces.acceptor);
  store(to + at::channel, fields.channel);
  store(to + at::reason, fields.reason);
  store(to + at::tag, fields.tag);
  return frame;
}

Rejection decode(std::span<const std::byte> frame, bool sealed, HandshakeFields& fields) noexcept {
  if (frame.size() != header_size) return Rejection::bad_format;
  const std::byte* const from = frame.data();
  const HeaderView header(from);
  if (header.size() != header_size || load<std::uint32_t>(from + at::magic) != handshake_magic)
    return Rejection::bad_format;
  if (sealed ? !seal_matches(frame) : !all_zero(frame.first(offset::cluster)))
    return Rejection::bad_format;
  if (load<std::uint8_t>(from + at::version) != handshake_version &&
      !PLANT(handshake_version_unchecked))
    return Rejection::wrong_version;
  const auto kind = load<std::uint8_t>(from + at::kind);
  if (kind < static_cast<std::uint8_t>(HandshakeKind::hello) ||
      kind > static_cast<std::uint8_t>(HandshakeKind::refusal))
    return Rejection::unknown_kind;
  const bool reserved_is_zero =
      all_zero(frame.subspan(offset::reserved_frame,
                             offset::reserved_command - offset::reserved_frame)) &&
      all_zero(frame.subspan(at::reserved, at::tag - at::reserved));
  if (!reserved_is_zero && !PLANT(handshake_reserved_unchecked)) return Rejection::reserved_bytes;

  fields.kind = static_cast<HandshakeKind>(kind);
  fields.dialer = load<std::uint8_t>(from + at::dialer);
  fields.acceptor = load<std::uint8_t>(from + at::acceptor);
  fields.cluster = header.cluster();
  fields.plane = load<PlaneLabel>(from + at::plane);
  fields.unix_ns = load<std::int64_t>(from + at::unix_ns);
  fields.nonces.dialer = load<HandshakeNonce>(from + at::dialer_nonce);
  fields.nonces.acceptor = load<HandshakeNonce>(from + at::acceptor_nonce);
  fields.channel = load<ChannelMark>(from + at::channel);
  fields.tag = load<HandshakeTag>(from + at::tag);
  const auto reason = load<std::uint8_t>(from + at::reason);
  fields.reason = static_cast<Rejection>(reason);

  const HandshakeRole speaker = speaker_of(fields.kind);
  const bool has_form =
      header.command() == command_of(speaker) &&
      header.replica() == (speaker == HandshakeRole::dialer ? fields.dialer : fields.acceptor) &&
      header.view() == 0 && header.release() == 0 && reason_fits(fields.kind, reason) &&
      (fields.kind != HandshakeKind::hello || all_zero(fields.nonces.acceptor));
  return has_form ? Rejection::none : Rejection::bad_format;
}

PlaneLabel plane_label(std::string_view plane) noexcept {
  TWINWIRE_CHECK(!plane.empty() && plane.size() <= HandshakeOptions::plane_max,
                 "a plane's label has 1 to 8 bytes");
  PlaneLabel label{};
  std::memcpy(label.data(), plane.data(), plane.size());
  return label;
}

}  // namespace twinwire::bus
