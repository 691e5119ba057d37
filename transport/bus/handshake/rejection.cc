// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/handshake/rejection.h"

namespace twinwire::bus {
namespace {

struct RejectionWords {
  std::string_view name;
  std::string_view description;
};
constexpr std::array<RejectionWords, rejection_count> rejection_words = {{
    {"none", "nothing was wrong"},
    {"bad_format", "what came is no message of a handshake"},
    {"wrong_version", "the peer speaks another version of the handshake"},
    {"unknown_kind", "a kind of message that is not known came"},
    {"reserved_bytes", "bytes that must be zero were not"},
    {"reflection", "what this replica says itself came back"},
    {"unexpected", "a message came that was not next"},
    {"wrong_cluster", "the peer is of another cluster"},
    {"wrong_plane", "the peer means another plane"},
    {"wrong_id", "the peer is, or means, another replica"},
    {"wrong_channel", "the peer is not the other end of this channel"},
    {"bad_tag", "the peer has no key of this cluster, or the message was changed"},
    {"expired_key", "the peer uses a key whose time is over"},
    {"stale", "the message is too old, or the clocks are too far apart"},
    {"replay", "the message is of another handshake"},
    {"not_admitted", "that replica may not dial this one"},
    {"refused_by_peer", "the peer knows this replica, and refuses it"},
    {"no_key", "this replica has no key whose time is not over"},
}};

}  // namespace

std::string_view name(Rejection reason) noexcept {
  return rejection_words[static_cast<std::size_t>(reason)].name;
}
std::string_view description(Rejection reason) noexcept {
  return rejection_words[static_cast<std::size_t>(reason)].description;
}

}  // namespace twinwire::bus
