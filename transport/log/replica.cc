// SPDX-License-Identifier: Apache-2.0
#include "transport/log/replica.h"

#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "transport/base/check.h"
#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/wire/seal.h"

namespace twinwire::log {

Replica::Replica(Network& network, Storage& storage, Application& application,
                 const LogOptions& options)
    : network_(&network),
      scheduler_(&network.scheduler()),
      application_(&application),
      options_(options),
      primary_(options.members.empty() ? options.replica : options.primary()),
      wal_(storage, network.buffers(), *scheduler_, {options.cluster, options.body_max}),
      sessions_(options.sessions_max),
      failed_(*scheduler_) {
  TWINWIRE_CHECK(problem_with(options).empty(), "something is wrong with the options of a log");
  if (!is_primary()) return;
  for (const bus::ReplicaId id : options.members) {
    if (id == options.replica) continue;
    backups_.push_back(std::make_unique<Backup>());
    backups_.back()->id = id;
  }
}

Result<Recovered> Replica::recover(std::string& why) {
  const auto found = [this](const std::byte* frame) {
    if (is_primary() && !PLANT(log_sessions_forgotten)) sessions_.appended(Fields(frame));
  };
  auto recovered = wal_.recover(network_->random(), found, why);
  if (!recovered) return recovered;
  durable_ = taken_ = wal_.last();
  taken_checksum_ = wal_.checksum_of(taken_);
  cache_first_ = taken_ + 1;
  // What some entry says to be committed is; of those behind it the others have to say what they have.
  commit_ = PLANT(log_commit_is_assumed) ? recovered->last : recovered->commit;
  return recovered;
}

template <class F>
Result<void> Replica::spawn(std::string_view name, F&& work) {
  return bus_->spawn_background(name, [this, work = std::forward<F>(work)] {
    try {
      work();
    } catch (const std::bad_alloc&) {
      fail([this] { return no_memory_; });
    } catch (const std::exception& thrown) {  // by nothing here but the application
      fail([&] {
        return "the application threw at entry " + std::to_string(applied_ + 1) +
               " of the log: " + thrown.what();
      });
    } catch (...) {
      fail([this] {
        return "the application threw at entry " + std::to_string(applied_ + 1) + " of the log";
      });
    }
  });
}

Result<void> Replica::start(bus::Bus& bus) {
  bus_ = &bus;
  if (auto spawned = spawn("log.stop", [this] { stop_with_bus(); }); !spawned) return spawned;
  if (auto spawned = spawn("log.write", [this] { write_all(); }); !spawned) return spawned;
  if (auto spawned = spawn("log.apply", [this] { apply_all(); }); !spawned) return spawned;
  for (auto& backup : backups_)
    if (auto spawned = spawn("log.send", [this, &backup = *backup] { send_all(backup); }); !spawned)
      return spawned;
  if (is_primary())
    advance_commit();
  else if (auto spawned = spawn("log.tell", [this] { tell_primary(); }); !spawned)
    return spawned;
  return {};
}

// --- The end -------------------------------------------------------------------------------------------------------

bool Replica::over() noexcept {
  return stopping_ || failed_.is_set() || scheduler_->cancel_pending();
}

void Replica::stop_with_bus() {
  (void)bus_->shutdown_token().wait(Deadline::never(), "the end of the bus");
  if (PLANT(log_deaf_to_shutdown) && !scheduler_->cancel_pending()) return;
  stopping_ = true;
  wake_all();
}

void Replica::wake_all() noexcept {
  to_write_.wake_all(*scheduler_);
  to_apply_.wake_all(*scheduler_);
  to_tell_.wake_all(*scheduler_);
  for (auto& backup : backups_) backup->news.wake_all(*scheduler_);
}

// --- Writing -------------------------------------------------------------------------------------------------------

// What is taken while a batch is being synced becomes the next batch.
void Replica::write_all() {
  std::vector<Message> batch;
  batch.reserve(options_.batch_max);
  while (!over()) {
    if (incoming_.empty()) {
      (void)to_write_.wait(*scheduler_, Deadline::never(), "an entry to write");
      continue;
    }
    while (!incoming_.empty() && batch.size() < options_.batch_max) {
      batch.push_back(std::move(incoming_.front()));
      incoming_.pop_front();
    }
    const auto announce = [this] {
      durable_ = wal_.last();
      if (is_primary())
        advance_commit();
      else
        commit_up_to(told_commit_);
      to_tell_.wake_all(*scheduler_);
    };
    auto written = wal_.append(batch);
    if (written) keep(batch);
    if (written && PLANT(log_told_before_sync)) announce();
    if (written && PLANT(log_sends_unsynced))
      for (auto& backup : backups_) backup->news.wake_all(*scheduler_);
    if (written) written = wal_.sync();
    if (!written) {
      if (written.error() != Errc::canceled) fail([this] { return wal_.problem(); });
      return;
    }
    counters_.appended += batch.size();
    ++counters_.syncs;
    batch.clear();
    announce();
  }
}

void Replica::keep(std::span<const Message> entries) {
  for (const Message& message : entries) {
    cache_.push_back(message);
    cached_bytes_ += message.size();
  }
  while (cached_bytes_ > options_.cache_bytes && !cache_.empty()) {
    cached_bytes_ -= cache_.front().size();
    cache_.pop_front();
    ++cache_first_;
  }
}

Result<Message> Replica::entry(Op op) {
  if (op >= cache_first_ && op < cache_first_ + cache_.size()) return cache_[op - cache_first_];
  return wal_.read(op);
}

std::string Replica::no_entry(Op op, Error why) {
  return "entry " + std::to_string(op) + " of the log cannot be read back: " + to_string(why);
}

// --- Applying ------------------------------------------------------------------------------------------------------

void Replica::apply_all() {
  while (!over()) {
    const Op limit = PLANT(log_applies_uncommitted) ? durable_ : commit_;
    if (applied_ >= limit) {
      (void)to_apply_.wait(*scheduler_, Deadline::never(), "an entry to apply");
      continue;
    }
    Op op = applied_ + 1;
    if (PLANT(log_applies_in_pairs_reversed) && limit % 2 == 0 && op < limit)
      op = op % 2 == 1 ? op + 1 : op - 1;
    const auto next = entry(op);
    if (next) {
      apply(op, *next);
      if (scheduler_->others_ready()) scheduler_->yield();
      continue;
    }
    if (next.error() == Errc::no_resources) {
      (void)scheduler_->sleep_for(options_.retry_every);
      continue;
    }
    if (next.error() != Errc::canceled) fail([&] { return no_entry(op, next.error()); });
    return;
  }
}

void Replica::apply(Op op, const Message& entry) {
  const Fields fields(entry);
  answer_.clear();
  if (!fields.is_register()) {
    application_->apply(op, entry.body(), answer_);
    ++counters_.applied;
  }
  ++applied_;
  if (!is_primary()) return;
  const Session session = fields.session_of_entry();
  SessionTable::State* const state = sessions_.find(session);
  if (state == nullptr || state->op != op) return;
  state->applied = true;
  if (!PLANT(log_answer_of_before) || state->answer.empty()) state->answer = answer_;
  answer(session, *state);
}

// --- What replicas say ---------------------------------------------------------------------------------------------

bool Replica::is_sound(bus::ReplicaId from, const Message& message) {
  if (message.header().cluster() == options_.cluster && seal_matches(message.bytes())) return true;
  ++counters_.bad;
  bus_->disconnect(from);
  return false;
}

void Replica::on_replica_messages(bus::ReplicaId from, std::span<const Message> messages) {
  for (const Message& message : messages) {
    if (over() || !is_sound(from, message)) return;
    Backup* const backup = backup_of(from);
    if (backup != nullptr && message.header().command() == Command::prepare_ok) {
      heard_from(*backup, Fields(message));
    } else if (!is_primary() && from == primary_) {
      heard_from_primary(message);
    } else {
      ++counters_.bad;
      bus_->disconnect(from);
      return;
    }
  }
}

void Replica::on_replica_connected(bus::ReplicaId id) noexcept {
  if (Backup* const backup = backup_of(id)) {
    backup->connected = true;
    backup->known = false;
    ++backup->epoch;
  }
  if (is_primary() || id != primary_) return;
  connected_ = true;
  tell_ = true;
  to_tell_.wake_all(*scheduler_);
}

void Replica::on_replica_lost(bus::ReplicaId id, Error /*why*/) noexcept {
  if (Backup* const backup = backup_of(id)) {
    backup->connected = false;
    backup->known = false;
    backup->synced = PLANT(log_sent_is_synced) ? backup->sent_max : 0;
  }
  if (!is_primary() && id == primary_) connected_ = false;
}

}  // namespace twinwire::log
