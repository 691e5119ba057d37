// SPDX-License-Identifier: Apache-2.0
#include "props/laws/shared_side.h"

namespace twinwire::laws {

void SharedChecks::told(std::size_t number, const Result<void>& result, const Message& message,
                        const std::byte* bytes, TimePoint begun, Deadline deadline,
                        std::optional<TimePoint> stopped_at) {
  const std::string who = label_ + ": call " + std::to_string(number + 1);
  const TimePoint now = network_->clock().now();
  const std::uint64_t code = result ? 0 : 1 + static_cast<std::uint64_t>(result.error().code);
  env_->saw(key_, number, code);
  env_->tell(label_, [&] {
    return "call " + std::to_string(number + 1) + " " +
           (result ? std::string("succeeded") : "failed: " + to_string(result.error()));
  });

  const bool withdrawn =
      !result && (result.error() == Errc::timed_out || result.error() == Errc::canceled ||
                  result.error() == Errc::no_resources);
  out_->told(number, result      ? Ledger::Told::sent
                     : withdrawn ? Ledger::Told::withdrawn
                                 : Ledger::Told::failed);

  // An end that was asked for: at once where nothing was under way, else when the flight is over.
  TimePoint asked = deadline.at;
  if (stopped_at && *stopped_at < asked) asked = std::max(*stopped_at, begun);
  judge().check(
      now <= asked + (withdrawn ? Duration(0) : options_.flight_limit) + slack(), "deadline", [&] {
        return who +
               " returned after its deadline: " + (result ? "ok" : to_string(result.error())) +
               " at " + std::to_string(now.ns) + " begun " + std::to_string(begun.ns) +
               " deadline " + std::to_string(deadline.at.ns) + " stopped " +
               std::to_string(stopped_at ? stopped_at->ns : -1);
      });

  if (result) {
    judge().check(message.empty(), "batch_reused",
                  who + ": a message that was sent is still there");
    const std::uint64_t accepted = record_->accepted - accepted_before_;
    judge().check(accepted >= out_->sent_bytes(), "accepted", [&] {
      return who + " was told success when the network had taken " + std::to_string(accepted) +
             " of " + std::to_string(out_->sent_bytes()) + " bytes";
    });
    judge().check(!first_failure_ || now <= failed_at_ + slack(), "shared_alike",
                  who + " succeeded after another had failed");
    return;
  }
  judge().check(!message.empty() && message.bytes().data() == bytes, "batch_kept",
                who + ": a message that was not sent did not come back");
  if (withdrawn) {
    judge().check(result.error() != Errc::canceled || stopped_at, "shared_alone",
                  who + " was told to stop, and nobody had told it");
    return;
  }
  const Error error = result.error();
  judge().check(calls_before_close_ || !record_->write_failed || record_->datagrams ||
                    record_->write_error != Errc::canceled,
                "shared_alone", who + ": a sender that was told to stop ended the connection");
  if (!first_failure_ && !calls_before_close_) {
    first_failure_ = error;
    failed_at_ = now;
  }
  judge().check(calls_before_close_ || *first_failure_ == error, "shared_alike", [&] {
    return who + " failed with " + to_string(error) + ", and another with " +
           to_string(*first_failure_);
  });
}

void SharedChecks::closed(const Result<void>& result, Deadline deadline) {
  env_->saw(key_, SIZE_MAX, result ? 0 : 1 + static_cast<std::uint64_t>(result.error().code));
  env_->tell(label_, [&] {
    return "close " + (result ? std::string("succeeded") : "failed: " + to_string(result.error()));
  });
  const TimePoint now = network_->clock().now();
  judge().check(now <= deadline.at + slack(), "close_returns", [&] {
    return label_ + ": close returned " + std::to_string((now - deadline.at).count()) +
           " ns after its grace" + (result ? "" : " with " + to_string(result.error()));
  });
  if (!result) return;
  judge().check(out_->failed_among(*calls_before_close_) == 0, "close_delivers",
                label_ + ": close returned ok, and somebody who had called before it was not sent");
}

}  // namespace twinwire::laws
