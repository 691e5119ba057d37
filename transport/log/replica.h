// SPDX-License-Identifier: Apache-2.0
// Replica: one node of a replicated log above a bus. Start here.
//
//   log::Replica replica(network, storage, application, options);
//   std::string why;
//   if (!replica.recover(why)) return fail(why);                     // reads what the storage has
//   auto bus = bus::Bus::create(network, bus_options, replica);      // it is the bus's handler
//   replica.start(**bus);
//   bus::open_client_plane<Wss>(...); bus::open_replica_plane<Tls>(...); bus::join_mesh<Tls>(...);
//   replica.failed().wait(deadline);                                 // then replica.problem() says why
//   (*bus)->shut_down();                                             // before the replica is destroyed
//
// The primary is the replica with the lowest id, for good: there is no view change. It writes what clients ask for into
// its log, syncs it, sends it to the backups, and commits what a majority has synced, itself included; then it applies
// and answers. So the primary's log is the longest, every backup's is a prefix of it, and nothing that was answered is
// lost with any one disk of three.
//
// Where to read on: primary.cc, backup.cc, wal.h (the file), session_table.h (requests that are sent again), client.h
// (the other side). The contract, and the protocol on a page: docs/log.md.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "transport/bus/bus.h"
#include "transport/log/application.h"
#include "transport/log/log_counters.h"
#include "transport/log/log_options.h"
#include "transport/log/session_table.h"
#include "transport/log/wal.h"

namespace twinwire::log {

class Replica final : public bus::BusHandler {
 public:
  // All are borrowed and outlive it.
  // Requires   options in which nothing is wrong (problem_with); checked
  Replica(Network& network, Storage& storage, Application& application, const LogOptions& options);
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  // Finds what the storage has. Once, before all else.
  // Suspends   While it reads all of it.
  // Errors     as Wal::recover; `why` is a sentence for a person
  Result<Recovered> recover(std::string& why);

  // Works from now on, in fibers of the bus, until that shuts down. `bus` has this for its handler.
  // Errors     no_resources · shutting_down
  Result<void> start(bus::Bus& bus);

  // Set once it cannot go on: its storage failed, or its log and another replica's contradict each other. It answers
  // nobody any more; whoever runs it shuts the bus down, and tells an operator problem(). Set as well where the
  // application throws, or memory is out.
  Event& failed() noexcept { return failed_; }
  // It is that, and nothing that contradicts the log.
  bool out_of_memory() const noexcept {
    return failed_.is_set() && (problem_.empty() || problem_ == no_memory_);
  }
  // Empty as long as failed() is not set.
  const std::string& problem() const noexcept {
    return failed_.is_set() && problem_.empty() ? no_memory_ : problem_;
  }

  bool is_primary() const noexcept { return options_.replica == primary_; }
  Op last() const noexcept { return wal_.last(); }
  Op synced() const noexcept { return durable_; }
  Op committed() const noexcept { return commit_; }
  Op applied() const noexcept { return applied_; }
  // The primary's: of each backup, called with its id, whether it is connected, and the last entry that it has said to
  // have on its disk.
  template <class F>
  void for_each_backup(F&& told) const {
    for (const auto& backup : backups_) told(backup->id, backup->connected, backup->had);
  }
  std::size_t sessions() const noexcept { return sessions_.size(); }
  std::uint64_t sessions_evicted() const noexcept { return sessions_.evicted(); }
  const LogCounters& counters() const noexcept { return counters_; }

  // --- BusHandler ----------------------------------------------------------------------------------------------------
  void on_client_messages(bus::ClientId from, std::span<const Message> messages) override;
  void on_replica_messages(bus::ReplicaId from, std::span<const Message> messages) override;
  void on_replica_connected(bus::ReplicaId id) noexcept override;
  void on_replica_lost(bus::ReplicaId id, Error why) noexcept override;
  void on_peer_refused(bus::Plane plane, const Address& peer, std::string_view what,
                       Error why) noexcept override {
    application_->on_refused(plane, peer, what, why);
  }

 private:
  // What the primary knows of a backup. What it has synced outlives a connection; the rest does not.
  struct Backup {
    bus::ReplicaId id = 0;
    bool connected = false;
    bool known = false;       // it has said over this connection what it has
    std::uint64_t epoch = 0;  // which connection
    Op next = 0;              // to send
    // What it has said over this connection to be on its disk. Over another one it may come back with another disk, so
    // until it speaks it counts as having nothing.
    Op synced = 0;
    Op had = 0;  // the last that it ever said
    Op told_commit = 0;
    Op sent_max = 0;
    WaitQueue news;
  };
  enum class Sent : std::uint8_t { nothing, something, refused };

  // --- replica.cc ----------------------------------------------------------------------------------------------------
  bool over() noexcept;
  void stop_with_bus();
  void write_all();
  void apply_all();
  void apply(Op op, const Message& entry);
  Result<Message> entry(Op op);
  static std::string no_entry(Op op, Error why);
  void keep(std::span<const Message> entries);
  // `sentence` makes it, and may throw: then there is no memory for it.
  template <class Sentence>
  void fail(Sentence&& sentence) noexcept;
  void wake_all() noexcept;
  bool is_sound(bus::ReplicaId from, const Message& message);
  template <class F>
  Result<void> spawn(std::string_view name, F&& work);

  // --- primary.cc ----------------------------------------------------------------------------------------------------
  void take_request(bus::ClientId from, const Message& message);
  void take_entry(bus::ClientId from, const Message& request);
  void answer_again(bus::ClientId to, Session session, SessionTable::State& state);
  void refuse(bus::ClientId to, const Fields& request, Status why);
  void answer(Session session, SessionTable::State& state);
  void heard_from(Backup& backup, const Fields& prepare_ok);
  void advance_commit();
  void send_all(Backup& backup);
  Sent send_next(Backup& backup);
  Sent send_entry(Backup& backup);
  Sent send_commit(Backup& backup, Op op);
  Backup* backup_of(bus::ReplicaId id) noexcept;
  Op sendable() const noexcept;

  // --- backup.cc -----------------------------------------------------------------------------------------------------
  void heard_from_primary(const Message& message);
  void take_prepare(const Message& message);
  void take_commit(const Fields& commit);
  void commit_up_to(Op told);
  void tell_primary();

  Network* network_;
  Scheduler* scheduler_;
  Application* application_;
  LogOptions options_;
  bus::ReplicaId primary_;
  bus::Bus* bus_ = nullptr;
  Wal wal_;
  SessionTable sessions_;

  // The last entry that was taken into the log, written or not yet.
  Op taken_ = 0;
  std::uint64_t taken_checksum_ = 0;
  std::deque<Message> incoming_;  // taken, and not yet written
  Op durable_ = 0;                // this replica's log is synced up to here
  Op commit_ = 0;
  Op applied_ = 0;

  std::deque<Message> cache_;  // the last entries that were written
  Op cache_first_ = 1;
  std::size_t cached_bytes_ = 0;
  std::vector<std::byte> answer_;

  std::vector<std::unique_ptr<Backup>> backups_;  // of the primary
  bool connected_ = false;                        // of a backup: to the primary
  bool tell_ = false;                             // what it has, although that is not new
  Op told_ = 0;
  Op told_commit_ = 0;

  WaitQueue to_write_;
  WaitQueue to_apply_;
  WaitQueue to_tell_;
  bool stopping_ = false;
  Event failed_;
  std::string problem_;
  const std::string no_memory_{"there is no memory for the log's work"};
  LogCounters counters_;
};

template <class Sentence>
void Replica::fail(Sentence&& sentence) noexcept {
  if (failed_.is_set()) return;
  failed_.set();
  try {
    problem_ = std::forward<Sentence>(sentence)();
  } catch (...) {  // problem() has one in store
  }
  wake_all();
}

}  // namespace twinwire::log
