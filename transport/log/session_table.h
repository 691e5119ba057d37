// SPDX-License-Identifier: Apache-2.0
// SessionTable: what the primary knows of each client: the last request that stands in the log, and its answer. It is
// what makes a request that is sent again be applied once and answered again.
//
// A client has one request under way. The table follows from the log alone: who has the log makes the same table again,
// evictions included. An evicted session is never taken for a new one: sessions are named by the op that began them,
// and no op comes twice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "transport/bus/ids.h"
#include "transport/log/entry.h"

namespace twinwire::log {

class SessionTable {
 public:
  explicit SessionTable(std::size_t sessions_max) noexcept : max_(sessions_max) {}

  struct State {
    U128 client;
    std::uint64_t request = 0;  // the last that stands in the log; 0: the one that began it
    Op op = 0;                  // where
    bool applied = false;
    std::vector<std::byte> answer;         // of the application, where it was applied
    std::optional<bus::ClientId> waiting;  // over which connection it was asked for last
  };

  enum class Verdict : std::uint8_t {
    next,      // the next request of that session
    again,     // the last one, once more
    old,       // one before that: its client has had the answer
    unknown,   // no such session, or no more
    too_early  // a number was left out
  };
  Verdict look(Session session, std::uint64_t request) const noexcept;

  // The session that was given to that client, if it is there; 0: none.
  Session session_of(U128 client) const noexcept;
  // nullptr: there is none. Good until the next call of appended().
  State* find(Session session) noexcept;

  // An entry was put into the log. It may evict the session that has been silent for longest.
  void appended(const Fields& entry);

  std::size_t size() const noexcept { return sessions_.size(); }
  std::uint64_t evicted() const noexcept { return evicted_; }

 private:
  std::size_t max_;
  std::map<Session, State> sessions_;
  static std::pair<std::uint64_t, std::uint64_t> key(U128 client) noexcept {
    return {client.low, client.high};
  }

  std::map<std::pair<std::uint64_t, std::uint64_t>, Session> by_client_;
  std::map<Op, Session> by_age_;  // by the op of the last request
  std::uint64_t evicted_ = 0;
};

}  // namespace twinwire::log
