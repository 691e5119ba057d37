// SPDX-License-Identifier: Apache-2.0
#include "props/laws/harm.h"

#include <algorithm>

namespace twinwire::laws {

Attempt& Harm::begin(std::string name, bool any_order) {
  const std::size_t index = attempts_.size();
  name += " (connection " + std::to_string(index + 1) + ")";
  attempts_.push_back(std::make_unique<Attempt>(*judge_, index, std::move(name), any_order));
  return *attempts_.back();
}

Attempt* Harm::of(const Message& message) noexcept {
  const std::uint64_t id = message.header().cluster().low;
  return id % 2 == 0 && id / 2 < attempts_.size() ? attempts_[id / 2].get() : nullptr;
}

bool Harm::any_harm() const noexcept {
  return server_gone_ || std::any_of(attempts_.begin(), attempts_.end(), [](const auto& attempt) {
           return attempt->harmed || attempt->unexplained;
         });
}

void Harm::failed(Attempt* connection, std::string_view call, Error error, bool told) {
  note(error);
  const std::string where = connection != nullptr ? connection->label : "a connection";
  const auto sentence = [&] {
    return where + ": " + std::string(call) + " ended with " + to_string(error);
  };
  if (error == Errc::canceled) {
    judge_->check(told, "errors", [&] { return sentence() + ", and nobody had canceled it"; });
    return;
  }
  if (error == Errc::no_resources)
    judge_->check(expects_shortage(), "errors", [&] { return sentence() + "; nothing was short"; });
  if (connection == nullptr) {
    judge_->check(error != Errc::timed_out || any_harm() || expects_shortage(), "unharmed",
                  [&] { return sentence() + ", though nothing stood in its way"; });
    return;
  }
  if (connection->harmed || connection->unexplained || server_gone_) return;
  connection->unexplained = true;
  ++unexplained_;
  judge_->check(unexplained_ <= allowance_ + strangers_, "unharmed", [&] {
    return sentence() + ", and nobody in it was told to stop" +
           (allowance_ == 0 ? "" : "; " + std::to_string(allowance_) + " others may fail so");
  });
}

void Harm::accept_failed(Error error, bool told) {
  note(error);
  const bool allowed = error == Errc::canceled ? told
                       : error == Errc::shutting_down || error == Errc::no_resources
                           ? expects_shortage()
                           : false;
  judge_->check(allowed, "accept", [&] {
    return "accept ended with " + to_string(error) + ", and nothing that was done explains it";
  });
  if (error == Errc::shutting_down) server_gone_ = true;
}

void Harm::note(Error error) noexcept {
  canceled_ = canceled_ || error == Errc::canceled;
  short_ = short_ || error == Errc::no_resources;
}

std::string_view Harm::outcome() const noexcept {
  return any_harm() ? "dropped" : canceled_ ? "canceled" : short_ ? "short" : "went on";
}

void Harm::judge_all(bool over_datagrams) {
  for (const auto& attempt : attempts_) {
    judge_one(*attempt);
    const bool told_all = attempt->up.yielded_count() >= attempt->up.accepted_count();
    // Clause 5: close() saw the peer's good-bye, and the peer read to the end before it said so.
    if (attempt->closed[0] && attempt->closed[1] && !over_datagrams)
      judge_->check(told_all, "close_delivers",
                    attempt->label + ": both sides closed in order, and messages are missing");
  }
}

void Harm::judge_one(const Attempt& attempt) {
  if (attempt.harmed || attempt.unexplained || server_gone_ || !attempt.dialed) return;
  judge_->check(attempt.closed[0] && attempt.closed[1], "unharmed", [&] {
    return attempt.label + ": nothing was done to it, and " +
           (attempt.closed[0] ? "the server" : "the client") + " did not close it in order";
  });
  for (const Witness* direction : {&attempt.up, &attempt.down})
    judge_->check(direction->yielded_count() == direction->offered_count(), "unharmed", [&] {
      return direction->label() + ": nothing was done to it, and " +
             std::to_string(direction->yielded_count()) + " of " +
             std::to_string(direction->offered_count()) + " messages arrived";
    });
}

}  // namespace twinwire::laws
