// SPDX-License-Identifier: Apache-2.0
#include "transport/base/error.h"

#include <cerrno>
#include <cstring>

namespace twinwire {

std::string_view name(Errc code) noexcept {
  switch (code) {
    case Errc::closed: return "closed";
    case Errc::broken: return "broken";
    case Errc::invalid: return "invalid";
    case Errc::canceled: return "canceled";
    case Errc::timed_out: return "timed_out";
    case Errc::refused: return "refused";
    case Errc::unreachable: return "unreachable";
    case Errc::handshake: return "handshake";
    case Errc::too_large: return "too_large";
    case Errc::backpressure: return "backpressure";
    case Errc::not_connected: return "not_connected";
    case Errc::shutting_down: return "shutting_down";
    case Errc::no_resources: return "no_resources";
    case Errc::unsupported: return "unsupported";
  }
  return "unknown";
}

std::string_view description(Errc code) noexcept {
  switch (code) {
    case Errc::closed: return "the peer closed the connection";
    case Errc::broken: return "the connection failed";
    case Errc::invalid: return "the peer violated the protocol";
    case Errc::canceled: return "the operation was told to stop";
    case Errc::timed_out: return "the deadline passed";
    case Errc::refused: return "the connection was refused";
    case Errc::unreachable: return "the peer's address cannot be reached";
    case Errc::handshake: return "the handshake failed";
    case Errc::too_large: return "a limit was exceeded";
    case Errc::backpressure: return "the queue is full";
    case Errc::not_connected: return "there is no connection to that peer";
    case Errc::shutting_down: return "this side is shutting down";
    case Errc::no_resources: return "memory, descriptors or slots ran out";
    case Errc::unsupported: return "not supported here";
  }
  return "unknown error";
}

std::string to_string(const Error& error) {
  std::string text(name(error.code));
  text += ": ";
  text += description(error.code);
  if (error.os_errno != 0) {
    const char* os = ::strerrorname_np(error.os_errno);
    text += " (";
    text += os != nullptr ? os : std::to_string(error.os_errno);
    text += ")";
  }
  return text;
}

Error from_errno(int err) noexcept {
  switch (err) {
    case ECONNREFUSED: return {Errc::refused, err};
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EADDRINUSE:
    case EACCES:
    case EPERM: return {Errc::unreachable, err};
    case ECANCELED: return {Errc::canceled, err};
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return {Errc::no_resources, err};
    case EMSGSIZE: return {Errc::too_large, err};
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ENOSYS:
    case EINVAL: return {Errc::unsupported, err};
    case ENOTCONN: return {Errc::not_connected, err};
    // ECONNRESET, EPIPE, ECONNABORTED, ETIMEDOUT (the network's, not our deadline) and whatever else a socket says.
    default: return {Errc::broken, err};
  }
}

}  // namespace twinwire
