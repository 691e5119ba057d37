// SPDX-License-Identifier: Apache-2.0
// TlsSessionCache: what a dialer keeps of past sessions, so that the next one to the same server needs no full
// handshake.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace twinwire {

class TlsSessionCache {
 public:
  // Keeps at most `max` sessions; the oldest makes room.
  explicit TlsSessionCache(std::size_t max = 64) noexcept : max_(max) {}

  using Session = std::vector<std::byte>;

  // The newest session with that server, taken out: a ticket used twice would let an observer link the two connections.
  std::optional<Session> take(std::string_view server) noexcept {
    for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
      if (entry->first != server) continue;
      Session session = std::move(entry->second);
      entries_.erase(std::next(entry).base());
      return session;
    }
    return std::nullopt;
  }

  // Where memory is short the session is forgotten: it is only a shortcut.
  void put(std::string_view server, const std::byte* bytes, std::size_t size) noexcept {
    try {
      entries_.emplace_back(std::string(server), Session(bytes, bytes + size));
    } catch (const std::bad_alloc&) {
      return;
    }
    if (entries_.size() > max_) entries_.pop_front();
  }

  std::size_t size() const noexcept { return entries_.size(); }
  // Sessions that were resumed with what this cache held.
  std::uint64_t resumed() const noexcept { return resumed_; }
  void count_resumed() noexcept { ++resumed_; }

 private:
  std::size_t max_;
  std::deque<std::pair<std::string, Session>> entries_;  // oldest first
  std::uint64_t resumed_ = 0;
};

}  // namespace twinwire
