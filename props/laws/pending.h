// SPDX-License-Identifier: Apache-2.0
// Pending: the operations that have begun and not ended, for the law of progress: once nothing goes wrong any more,
// each of them ends within a bound.
#pragma once

#include <list>
#include <string>
#include <string_view>

#include "props/laws/judge.h"
#include "transport/base/time.h"
#include "transport/net/clock.h"

namespace twinwire::laws {

class Pending {
  struct Operation {
    std::string_view who;
    std::string_view what;
    TimePoint since;
  };

 public:
  // `calm`: when the last fault is over. `bound`: how long an operation may take from then on, or from its own
  // beginning where that is later.
  Pending(Judge& judge, Clock& clock, TimePoint calm, Duration bound) noexcept
      : judge_(&judge), clock_(&clock), calm_(calm), bound_(bound) {}

  // Runs it, and looks how long it took. `who` and `what` must outlive the call.
  template <class F>
  auto run(std::string_view who, std::string_view what, F&& operation) {
    const Entry entry(*this, who, what);
    return operation();
  }

  // What is late although it has not ended.
  void judge_late() const {
    for (const Operation& operation : operations_) judge_end(operation);
  }

 private:
  class Entry {
   public:
    Entry(Pending& pending, std::string_view who, std::string_view what)
        : pending_(&pending),
          at_(pending.operations_.insert(pending.operations_.end(),
                                         {who, what, pending.clock_->now()})) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() {
      pending_->judge_end(*at_);
      pending_->operations_.erase(at_);
    }

   private:
    Pending* pending_;
    std::list<Operation>::iterator at_;
  };

  void judge_end(const Operation& operation) const {
    const TimePoint from = operation.since < calm_ ? calm_ : operation.since;
    const TimePoint now = clock_->now();
    judge_->check(now <= from + bound_, "progress", [&] {
      return std::string(operation.who) + ": " + std::string(operation.what) + ", begun at " +
             std::to_string(operation.since.ns) + " ns, had not ended " +
             std::to_string((now - from).count()) +
             " ns after it began and the last fault was over";
    });
  }

  Judge* judge_;
  Clock* clock_;
  TimePoint calm_;
  Duration bound_;
  std::list<Operation> operations_;
};

}  // namespace twinwire::laws
