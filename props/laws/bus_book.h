// SPDX-License-Identifier: Apache-2.0
// BusBook: what was queued for each connection of a bus, and what its peer's handler was given: a prefix of it, in
// order, whole, once, and nothing of whom nobody should hear.
//
// Who sends over a connection begins a session: a number that its messages carry, with their own number in it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "props/laws/judge.h"
#include "transport/wire/message.h"

namespace twinwire::laws {

// What a message asks of the handler that gets it; its header's `view`.
enum class BusAsk : std::uint32_t { nothing, echo, fail, doze, stall };

class BusBook {
 public:
  using Session = std::uint64_t;
  // The receiving end of one connection. Who sends over it is one, or of a node of several shards each of these.
  struct Hearing {
    std::size_t sessions_max = 1;
    std::vector<Session> sessions;

    bool is_of(Session session) const {
      return std::ranges::find(sessions, session) != sessions.end();
    }
  };

  BusBook(Judge& judge, std::uint64_t seed) : judge_(&judge), seed_(seed) {}

  // `law_if_heard`: not empty where no handler may ever get anything of it.
  Session begin(std::string label, std::string_view law_if_heard = {});
  // The next message of a session. It counts once queued() or, where it never will be, not at all.
  // Errors     no_resources
  Result<Message> make(BufferPool& pool, Command command, Session session, std::size_t body_max,
                       BusAsk ask);
  void queued(Session session) { ++sessions_[session].queued; }
  void heard(Hearing& hearing, const Message& message);

  // What another shard could not queue came back to whoever sent it. Law: bus_forward.
  void came_back(const Message& message);
  // Its sender has been told of all that came back.
  void told_all(Session session) { sessions_[session].told_all = true; }
  // Of what was not heard between two that were, its sender was told. Law: bus_forward.
  void judge_gaps();

  std::uint64_t queued_of(Session session) const { return sessions_[session].queued; }
  std::uint64_t heard_of(Session session) const { return sessions_[session].heard; }
  std::uint64_t back_of(Session session) const { return sessions_[session].back.size(); }
  // What was queued and not heard, and did not come back.
  std::uint64_t owed(Session session) const {
    return queued_of(session) - heard_of(session) - back_of(session);
  }
  const std::string& label_of(Session session) const { return sessions_[session].label; }
  Judge& judge() noexcept { return *judge_; }

 private:
  struct Entry {
    std::string label;
    std::string law_if_heard;
    std::uint64_t queued = 0;
    std::uint64_t heard = 0;
    bool has_hearer = false;
    std::uint64_t next = 0;              // to be heard
    std::vector<std::uint64_t> missing;  // that later ones have overtaken
    std::vector<std::uint64_t> back;
    bool told_all = false;
  };
  std::byte filling(Session session, std::uint64_t number) const noexcept;

  Judge* judge_;
  std::uint64_t seed_;
  std::vector<Entry> sessions_;
};

}  // namespace twinwire::laws
