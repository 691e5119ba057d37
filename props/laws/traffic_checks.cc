// SPDX-License-Identifier: Apache-2.0
#include "props/laws/traffic_side.h"

namespace twinwire::laws {

void SideChecks::in_time(std::string_view law, std::string_view what, TimePoint now,
                         TimePoint limit) {
  judge().check(now <= limit + slack(), law, [&] {
    return label_ + ": " + std::string(what) + " returned " +
           std::to_string((now - limit).count()) + " ns after its deadline";
  });
}

void SideChecks::batch_sent(const Batch& batch, const Message* allocation, std::size_t capacity) {
  judge().check(batch.empty(), "batch_reused", label_ + ": a batch that was sent is not empty");
  judge().check(batch.capacity() == capacity && batch.messages().data() == allocation,
                "batch_reused", label_ + ": a batch that was sent lost its allocation");
  // Where the transport adds bytes of its own (a handshake, records, headers) there are more; never fewer.
  const std::uint64_t accepted = record_->accepted - accepted_before_;
  judge().check(accepted >= sent_->accepted_bytes(), "accepted", [&] {
    return label_ + ": send_batch reported success when the network had taken " +
           std::to_string(accepted) + " of " + std::to_string(sent_->accepted_bytes()) + " bytes";
  });
}

void SideChecks::batch_failed(const Batch& batch, const Batch& before, Error error) {
  bool whole = batch.size() == before.size();
  for (std::size_t i = 0; whole && i < batch.size(); ++i)
    whole = batch[i].bytes().data() == before[i].bytes().data();
  judge().check(whole, "batch_kept", [&] {
    return label_ + ": a batch of " + std::to_string(before.size()) +
           " that failed came back with " + std::to_string(batch.size()) + " messages";
  });
  judge().check(error != Error{Errc::invalid} && error != Error{Errc::too_large}, "errors",
                [&] { return label_ + ": send_batch failed with " + to_string(error); });
  if (record_->datagrams) {
    record_->dropped = true;
    return;
  }
  judge().check(record_->aborted || record_->destroyed, "drop", [&] {
    return label_ + ": send_batch failed (" + to_string(error) +
           ") and the connection was not reset";
  });
  judge().check(!record_->shut_before_abort, "drop", label_ + ": the drop began with a good-bye");
}

void SideChecks::stays_failed(Error first, const Result<void>& again, std::uint64_t writes_before) {
  judge().check(!again && again.error() == first, "drop", [&] {
    return label_ + ": after " + to_string(first) + " the next send_batch returned " +
           (again ? "success" : to_string(again.error()));
  });
  judge().check(record_->writes == writes_before, "drop",
                label_ + ": a send_batch after the failure touched the network");
}

void SideChecks::reading_ended(Error error, bool own_close_started) {
  judge().check(error != Error{Errc::invalid}, "read_checks",
                label_ + ": an honest peer's message was called invalid");
  judge().check(error == Error{Errc::closed} || error == Error{Errc::broken}, "errors",
                [&] { return label_ + ": read_message ended with " + to_string(error); });
  if (own_close_started || record_->datagrams) return;
  if (!traits_.bare_frames) {
    judge().check(record_->received >= seen_->yielded_bytes(), "prefix", [&] {
      return label_ + ": " + std::to_string(seen_->yielded_bytes()) + " bytes were yielded, " +
             std::to_string(record_->received) + " received";
    });
    return;
  }
  const bool between = record_->received == seen_->yielded_bytes();
  if (error == Error{Errc::closed})
    judge().check(record_->end_seen && between, "read_end", [&] {
      return label_ + ": read_message said closed with " +
             std::to_string(record_->received - seen_->yielded_bytes()) +
             " bytes of a frame received";
    });
  else if (record_->end_seen && !record_->aborted)
    judge().check(!between, "read_end",
                  label_ + ": the peer ended between two frames, and it read as broken");
}

void SideChecks::reading_stays_ended(Error first, const Result<Message>& again) {
  judge().check(!again && again.error() == first, "errors", [&] {
    return label_ + ": after " + to_string(first) + " the next read_message returned " +
           (again ? "a message" : to_string(again.error()));
  });
}

void SideChecks::closed_gracefully() {
  if (record_->datagrams) return;
  judge().check(!record_->aborted, "close_delivers",
                label_ + ": close returned ok and the connection was reset");
  judge().check(record_->end_seen, "close_delivers",
                label_ + ": close returned ok before the peer's end came");
}

}  // namespace twinwire::laws
