// SPDX-License-Identifier: Apache-2.0
// What a backup does: takes the entries that come next, and says how far it has synced.
#include <algorithm>

#include "transport/base/plant.h"
#include "transport/log/replica.h"

namespace twinwire::log {

void Replica::heard_from_primary(const Message& message) {
  switch (message.header().command()) {
    case Command::prepare: return take_prepare(message);
    case Command::commit: return take_commit(Fields(message));
    default: ++counters_.bad; bus_->disconnect(primary_);
  }
}

void Replica::take_prepare(const Message& message) {
  const Fields entry(message);
  told_commit_ = std::max(told_commit_, entry.commit());
  const auto contradicts = [&] {
    fail([&] {
      return "the primary's entry " + std::to_string(entry.op()) +
             " does not fit this replica's log: one of the two files is of another log, or an old "
             "one";
    });
  };
  if (entry.op() <= taken_) {
    ++counters_.duplicates;
    if (entry.op() <= wal_.last() && wal_.checksum_of(entry.op()) != entry.checksum())
      return contradicts();
    tell_ = true;
    to_tell_.wake_all(*scheduler_);
    return;
  }
  if (entry.op() > taken_ + 1 && !PLANT(log_gap_is_taken)) {
    ++counters_.gaps;
    bus_->disconnect(primary_);  // over the next connection it goes on from what we have
    return;
  }
  if (entry.parent() != taken_checksum_ && !PLANT(log_gap_is_taken)) return contradicts();
  if (message.body().size() > options_.body_max)
    return fail([&] {
      return "the primary's entry " + std::to_string(entry.op()) +
             " is larger than this replica takes: give all replicas the same body_max";
    });
  taken_ = entry.op();
  taken_checksum_ = entry.checksum();
  incoming_.push_back(message);
  to_write_.wake_one(*scheduler_);
}

void Replica::take_commit(const Fields& commit) {
  const Op op = commit.op();
  if (op <= wal_.last() && commit.parent() != wal_.checksum_of(op))
    return fail([&] {
      return "the primary has another entry " + std::to_string(op) +
             " than this replica: one of the two files is of another log, or an old one";
    });
  told_commit_ = std::max(told_commit_, op);
  commit_up_to(told_commit_);
}

void Replica::commit_up_to(Op told) {
  commit_ = std::max(commit_, std::min(told, durable_));
  to_apply_.wake_all(*scheduler_);
}

// What is new, and, over each new connection, what is there.
void Replica::tell_primary() {
  while (!over()) {
    if (!connected_ || (!tell_ && told_ == durable_)) {
      (void)to_tell_.wait(*scheduler_, Deadline::never(), "something to tell the primary");
      continue;
    }
    const Op op = durable_;
    auto made = make_prepare_ok(network_->buffers(), options_.cluster, options_.replica, op,
                                wal_.checksum_of(op));
    if (made && bus_->send_to_replica(primary_, *made)) {
      told_ = op;
      tell_ = false;
      continue;
    }
    ++counters_.refused_sends;
    (void)to_tell_.wait(*scheduler_, {scheduler_->now() + options_.retry_every},
                        "room to tell the primary");
  }
}

}  // namespace twinwire::log
