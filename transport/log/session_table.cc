// SPDX-License-Identifier: Apache-2.0
#include "transport/log/session_table.h"

#include "transport/base/plant.h"

namespace twinwire::log {

SessionTable::Verdict SessionTable::look(Session session, std::uint64_t request) const noexcept {
  const auto at = sessions_.find(session);
  if (at == sessions_.end())
    return PLANT(log_sessions_forgotten) ? Verdict::next : Verdict::unknown;
  const std::uint64_t last = at->second.request;
  if (request == last + 1) return Verdict::next;
  if (request == last) return PLANT(log_retry_is_new) ? Verdict::next : Verdict::again;
  return request < last ? Verdict::old : Verdict::too_early;
}

Session SessionTable::session_of(U128 client) const noexcept {
  const auto at = by_client_.find(key(client));
  return at == by_client_.end() ? 0 : at->second;
}

SessionTable::State* SessionTable::find(Session session) noexcept {
  const auto at = sessions_.find(session);
  return at == sessions_.end() ? nullptr : &at->second;
}

void SessionTable::appended(const Fields& entry) {
  const Session session = entry.session_of_entry();
  State& state = sessions_[session];
  if (state.op != 0) by_age_.erase(state.op);
  if (entry.is_register()) {
    state.client = entry.client();
    by_client_[key(state.client)] = session;
  }
  state.request = entry.request();
  state.op = entry.op();
  state.applied = false;
  if (!PLANT(log_answer_of_before)) state.answer.clear();
  state.waiting.reset();
  by_age_[state.op] = session;
  if (sessions_.size() <= max_) return;
  const auto oldest = by_age_.begin();
  const auto evicted = sessions_.find(oldest->second);
  // A client whose first session was evicted may have been given a second one.
  if (session_of(evicted->second.client) == evicted->first)
    by_client_.erase(key(evicted->second.client));
  sessions_.erase(evicted);
  by_age_.erase(oldest);
  ++evicted_;
}

}  // namespace twinwire::log
