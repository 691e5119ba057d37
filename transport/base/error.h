// SPDX-License-Identifier: Apache-2.0
// The closed set of errors, and Result<T>, which carries one beside the operating system's errno (for the log).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <type_traits>

namespace twinwire {

// Named for what the caller does next. The set is closed, so that a switch over it can be exhaustive.
enum class Errc : std::uint8_t {
  closed,  // The peer ended the connection between two messages: nothing is lost. Stop reading.
  broken,  // The connection failed: reset, cut inside a frame, or timed out in the network. Reconnect.
  invalid,  // The peer violated the protocol, and was dropped: do not trust it. Of a text: it is malformed.
  canceled,       // This fiber was told to stop. Unwind.
  timed_out,      // The deadline passed first.
  refused,        // The peer's host answered that nobody listens there. Try later or elsewhere.
  unreachable,    // No route to the peer, or the address is not usable from here.
  handshake,      // The transport's handshake failed. Check keys, versions and names.
  too_large,      // More than the limit that the call names. Send less at a time.
  backpressure,   // The queue is full; nothing was queued. Slow down.
  not_connected,  // No connection to that peer now.
  shutting_down,  // This side is being shut down and takes nothing new.
  no_resources,   // Memory, descriptors or slots ran out. Back off.
  unsupported,    // This build, kernel or transport cannot do it.
};

inline constexpr int errc_count = static_cast<int>(Errc::unsupported) + 1;

std::string_view name(Errc code) noexcept;         // "timed_out"
std::string_view description(Errc code) noexcept;  // one sentence for a person

struct Error {
  Errc code{};
  int os_errno = 0;  // 0 where the operating system had no part in it

  // Two errors are the same error if they ask for the same next move; errno is for the log.
  friend bool operator==(const Error& a, const Error& b) noexcept { return a.code == b.code; }
  friend bool operator==(const Error& a, Errc b) noexcept { return a.code == b; }
};

// "broken: the connection failed (ECONNRESET)"
std::string to_string(const Error& error);

// The only place where an errno becomes an Errc. `err` is positive, as in errno(3).
Error from_errno(int err) noexcept;

// A value or an Error. [[nodiscard]] stands on the type, since g++ 12 ignores it on virtual functions.
template <class T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Errc code) noexcept : std::expected<T, Error>(std::unexpect, Error{code, 0}) {}
  Result(Error error) noexcept : std::expected<T, Error>(std::unexpect, error) {}

  // Not trivial, so that a Result is returned in memory. In registers its parts, written byte by byte, would be read
  // back as whole words, which no processor forwards from its store buffer: a stall in every call.
  Result(Result&& other) noexcept(std::is_nothrow_move_constructible_v<std::expected<T, Error>>)
      : std::expected<T, Error>(static_cast<std::expected<T, Error>&&>(other)) {}
  Result(const Result&) = default;
  Result& operator=(Result&&) = default;
  Result& operator=(const Result&) = default;
  ~Result() = default;
};

}  // namespace twinwire
