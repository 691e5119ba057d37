// SPDX-License-Identifier: Apache-2.0
// SharedWriter: many fibers that send one message each over one connection, by a call of their own. What they send
// while a batch is under way becomes the next batch ("group commit"): each gets its own result, and the network a few
// large writes instead of many small ones. Over every transport.
//
//   auto [reader, writer] = split(std::move(conn));
//   SharedWriter<Tcp::Writer> shared(network.scheduler(), std::move(writer));
//   // in any number of fibers:
//   shared.send(message, deadline);
//
// Why it is made so, and what it brings: docs/coalescing.md. The queue itself: send_queue.h.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>

#include "transport/fiber/exclusive.h"
#include "transport/seam.h"
#include "transport/shared/send_queue.h"

namespace twinwire {

template <MessageWriter Writer>
class SharedWriter {
 public:
  // `scheduler`, borrowed, is that of the connection's network. Stays where it is: fibers wait in it.
  SharedWriter(Scheduler& scheduler, Writer writer, const SharedWriterOptions& options = {})
      : scheduler_(&scheduler),
        writer_(std::move(writer)),
        queue_(scheduler, options, &writer_, [](void* w, Batch& batch, Deadline deadline) {
          return static_cast<Writer*>(w)->send_batch(batch, deadline);
        }) {}
  SharedWriter(const SharedWriter&) = delete;
  SharedWriter& operator=(const SharedWriter&) = delete;
  // Drops the connection unless it came to its end, as destroying the writer does.
  // Requires   No fiber inside it. Checked; a violation aborts.
  ~SharedWriter() = default;

  // Sends one message, in a batch with those that other fibers send meanwhile.
  //
  // Promise    Success: the network took every byte of its batch; `message` is empty. Not: the peer has it.
  //            timed_out, canceled, no_resources: nothing of the message was sent, nor ever will be, and the connection
  //            is as it was.
  //            Any other failure: the batch failed and the connection is dropped. Everybody whose message was in it,
  //            who waited behind it, or who calls later gets the same error. The message counts as lost here.
  //            After every failure `message` is whole, and still the caller's.
  //            Messages leave in the order in which send() was called.
  // Requires   A message that is not empty. Any number of fibers, all of this scheduler's.
  // Memory     No allocation and no copy per message; the writer's own where it copies.
  // Suspends   Until its batch was handed over. `deadline` and a cancellation count until the message's batch is handed
  //            to the writer. From then on it is awaited: at most SharedWriterOptions::flight_limit.
  // Errors     timed_out · canceled · no_resources · closed (close() was called) · broken (also: the batch was not
  //            taken within flight_limit; close() ran out of time) · those of the writer's send_batch
  Result<void> send(Message& message, Deadline deadline) { return queue_.send(message, deadline); }
  Result<void> send(Message&& message, Deadline deadline) { return queue_.send(message, deadline); }

  // Sends what is queued, takes nothing new, and ends the connection gracefully.
  //
  // Promise    As Writer::close. Everybody inside send() has been told, before or with the end. It returns within
  //            `grace`; where that runs out, what is queued or under way fails with `broken`. (Fibers that send behind
  //            a CancelShield of their own are waited for.)
  // Requires   No other fiber inside close(). Checked; a violation aborts.
  // Errors     those of Writer::close · what a send() failed with, where that ended the connection
  // A second call returns what the first one did.
  Result<void> close(Duration grace) {
    const Exclusive mark(closing_, "two fibers inside one shared writer's close");
    if (close_result_) return *close_result_;
    const TimePoint end = scheduler_->now() + grace;
    const Result<void> finished = queue_.finish({end});
    const Result<void> closed = writer_.close(std::max(Duration::zero(), end - scheduler_->now()));
    close_result_ = !finished ? finished : queue_.failure() ? *queue_.failure() : closed;
    return *close_result_;
  }

 private:
  Scheduler* scheduler_;
  Writer writer_;
  SendQueue queue_;
  bool closing_ = false;
  std::optional<Result<void>> close_result_;
};

}  // namespace twinwire
