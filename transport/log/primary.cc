// SPDX-License-Identifier: Apache-2.0
// What the primary does: takes requests, sends entries to the backups, commits, answers.
#include <algorithm>
#include <functional>
#include <new>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/log/replica.h"
#include "transport/wire/seal.h"

namespace twinwire::log {

Replica::Backup* Replica::backup_of(bus::ReplicaId id) noexcept {
  for (auto& backup : backups_)
    if (backup->id == id) return backup.get();
  return nullptr;
}

// --- Clients -------------------------------------------------------------------------------------------------------

void Replica::on_client_messages(bus::ClientId from, std::span<const Message> messages) {
  for (const Message& message : messages) {
    if (over()) return;
    // A request that was changed on its way must not become an entry: nobody could tell later.
    if (message.header().command() != Command::request || !seal_matches(message.bytes())) {
      ++counters_.bad;
      bus_->disconnect(from);
      return;
    }
    try {
      take_request(from, message);
    } catch (const std::bad_alloc&) {
      fail([this] { return no_memory_; });
    }
  }
}

void Replica::take_request(bus::ClientId from, const Message& message) {
  const Fields request(message);
  ++counters_.requests;
  if (!is_primary()) return refuse(from, request, Status::not_primary);
  if (request.session() == 0) {
    if (request.request() != 0 || request.client() == U128{} || !message.body().empty())
      return refuse(from, request, Status::invalid);
    const Session begun = sessions_.session_of(request.client());
    if (begun == 0) return take_entry(from, message);
    SessionTable::State& state = *sessions_.find(begun);
    if (state.request == 0) answer_again(from, begun, state);
    return;
  }
  SessionTable::State* const state = sessions_.find(request.session());
  switch (sessions_.look(request.session(), request.request())) {
    case SessionTable::Verdict::unknown:
      ++counters_.unknown;
      return refuse(from, request, Status::unknown);
    case SessionTable::Verdict::too_early: return refuse(from, request, Status::invalid);
    case SessionTable::Verdict::old: return;  // and whoever asked waits for a later one
    case SessionTable::Verdict::again: return answer_again(from, request.session(), *state);
    case SessionTable::Verdict::next:
      if (message.body().size() > options_.body_max)
        return refuse(from, request, Status::too_large);
      // One request at a time: the answer to the one before would be lost.
      if (state != nullptr && !state->applied && !PLANT(log_retry_is_new))
        return refuse(from, request, Status::busy);
      return take_entry(from, message);
  }
}

void Replica::take_entry(bus::ClientId from, const Message& message) {
  const Fields request(message);
  if (taken_ - commit_ >= options_.uncommitted_max) return refuse(from, request, Status::busy);
  const EntryHead head{.cluster = options_.cluster,
                       .replica = options_.replica,
                       .op = taken_ + 1,
                       .commit = commit_,
                       .parent = taken_checksum_,
                       .session = request.session(),
                       .request = request.request(),
                       .client = request.client()};
  auto made = make_prepare(network_->buffers(), head, message.body());
  if (!made) return refuse(from, request, Status::busy);
  const Fields entry(*made);
  sessions_.appended(entry);
  if (SessionTable::State* const state = sessions_.find(entry.session_of_entry()))
    state->waiting = from;
  taken_ = entry.op();
  taken_checksum_ = entry.checksum();
  incoming_.push_back(std::move(*made));
  to_write_.wake_one(*scheduler_);
}

// Now, or as soon as it was applied.
void Replica::answer_again(bus::ClientId to, Session session, SessionTable::State& state) {
  state.waiting = to;
  if (!state.applied && !PLANT(log_answers_too_early)) return;
  ++counters_.answered_again;
  scheduler_->reached(Sometimes::log_answered_again);
  answer(session, state);
}

void Replica::refuse(bus::ClientId to, const Fields& request, Status why) {
  if (why == Status::busy) ++counters_.busy;
  const bus::ReplicaId whom = why == Status::not_primary ? primary_ : options_.replica;
  auto reply = make_reply(network_->buffers(),
                          {.cluster = options_.cluster,
                           .replica = whom,
                           .session = request.session(),
                           .request = request.request(),
                           .status = why},
                          {});
  // Without memory, or with a full queue, it hears nothing, and asks again.
  if (reply) (void)bus_->send_to_client(to, *reply);
}

void Replica::answer(Session session, SessionTable::State& state) {
  if (!state.waiting) return;
  auto reply = make_reply(network_->buffers(),
                          {.cluster = options_.cluster,
                           .replica = options_.replica,
                           .session = session,
                           .request = state.request,
                           .op = state.op},
                          state.answer);
  if (reply && bus_->send_to_client(*state.waiting, *reply)) ++counters_.answered;
  state.waiting.reset();
}

// --- Backups -------------------------------------------------------------------------------------------------------

// The first over a connection says what it has: from there on it is sent what comes next, whatever it was sent before.
void Replica::heard_from(Backup& backup, const Fields& prepare_ok) {
  const Op op = prepare_ok.op();
  if (op > durable_)
    return fail([&] {
      return "replica " + std::to_string(backup.id) + " has entry " + std::to_string(op) +
             " of the log, and the primary's own ends with entry " + std::to_string(durable_) +
             ": the primary's file was cut, or is an old one; give it a copy of the longest log";
    });
  if (prepare_ok.parent() != wal_.checksum_of(op)) {
    application_->on_note("replica " + std::to_string(backup.id) + " has another entry " +
                          std::to_string(op) + " than the primary, and is sent nothing");
    backup.known = false;
    (void)send_commit(backup, op);  // by which it sees the same
    return;
  }
  if (!backup.known) {
    if (op < backup.had)
      application_->on_note("replica " + std::to_string(backup.id) + " had entry " +
                            std::to_string(backup.had) + " and now has " + std::to_string(op) +
                            ": its log was cut or replaced");
    if (durable_ - op > options_.window) scheduler_->reached(Sometimes::log_caught_up_from_far);
    backup.known = true;
    if (PLANT(log_resends_nothing))
      backup.next = taken_ + 1;
    else if (!PLANT(log_resends_from_sent) && !PLANT(log_gap_is_taken))
      backup.next = op + 1;
    else
      backup.next = std::max(op, backup.sent_max) + 1;
    backup.synced = op;
    backup.told_commit = 0;
  } else {
    backup.synced = std::max(backup.synced, op);
  }
  backup.had = backup.synced;
  advance_commit();
}

void Replica::advance_commit() {
  std::vector<Op> synced{durable_};
  for (const auto& backup : backups_) {
    synced.push_back(backup->synced);
    if (PLANT(log_ack_counts_twice)) synced.push_back(backup->synced);
  }
  std::ranges::sort(synced, std::greater<>());
  const std::size_t copies = PLANT(log_one_copy_is_enough) ? 1 : options_.quorum();
  commit_ = std::max(commit_, synced[copies - 1]);
  to_apply_.wake_all(*scheduler_);
  for (auto& backup : backups_) backup->news.wake_all(*scheduler_);
}

Op Replica::sendable() const noexcept { return PLANT(log_sends_unsynced) ? wal_.last() : durable_; }

void Replica::send_all(Backup& backup) {
  while (!over()) {
    const Sent sent = send_next(backup);
    if (sent == Sent::something) continue;
    const bool refused = sent == Sent::refused;
    if (refused) ++counters_.refused_sends;
    const Deadline again{refused ? scheduler_->now() + options_.retry_every : TimePoint::never()};
    (void)backup.news.wait(*scheduler_, again, "something to send to a backup");
  }
}

Replica::Sent Replica::send_next(Backup& backup) {
  if (!backup.connected || !backup.known) return Sent::nothing;
  if (backup.next <= sendable() && backup.next <= backup.synced + options_.window)
    return send_entry(backup);
  if (backup.told_commit < commit_) return send_commit(backup, commit_);
  return Sent::nothing;
}

Replica::Sent Replica::send_entry(Backup& backup) {
  const std::uint64_t epoch = backup.epoch;
  const Op op = backup.next;
  auto next = entry(op);
  if (!next) {
    if (next.error() == Errc::no_resources) return Sent::refused;
    if (next.error() != Errc::canceled) fail([&] { return no_entry(op, next.error()); });
    return Sent::nothing;
  }
  // While it was read the connection may have ended, or a newer one have said where to go on.
  if (!PLANT(log_stale_read_is_sent) &&
      (epoch != backup.epoch || op != backup.next || !backup.known))
    return Sent::something;
  if (!bus_->send_to_replica(backup.id, *next)) return Sent::refused;
  backup.next = op + 1;
  ++counters_.sent;
  if (op < cache_first_) ++counters_.read_back;
  if (op <= backup.sent_max) {
    ++counters_.sent_again;
    scheduler_->reached(Sometimes::log_sent_again);
  }
  backup.sent_max = std::max(backup.sent_max, op);
  return Sent::something;
}

Replica::Sent Replica::send_commit(Backup& backup, Op op) {
  auto made = make_commit(network_->buffers(), options_.cluster, options_.replica, op,
                          wal_.checksum_of(op));
  if (!made || !bus_->send_to_replica(backup.id, *made)) return Sent::refused;
  backup.told_commit = std::max(backup.told_commit, op);
  return Sent::something;
}

}  // namespace twinwire::log
