// SPDX-License-Identifier: Apache-2.0
// SendQueue: the fibers that wait to send one message each, and how they become batches. What SharedWriter is made of,
// apart from the transport's types; what its calls promise stands in shared_writer.h.
//
// Whoever finds nobody at work leads: it takes what is queued, its own message first, hands that over as one batch and
// tells everybody in it how that went; then the next in the queue leads. So there is no fiber beside the senders', and
// what they wait in lies on their own stacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "transport/fiber/wait_queue.h"
#include "transport/wire/batch.h"

namespace twinwire {

struct SharedWriterOptions {
  // No batch has more messages than this, 1 to 512; and none of several messages has more bytes.
  std::size_t batch_max = batch_messages_max;
  std::size_t batch_bytes_max = std::size_t{256} << 10;
  // How long a batch may be under way: longer than the largest one takes over the slowest link that still counts as
  // alive. A connection that does not take a batch within this is dropped.
  Duration flight_limit = std::chrono::seconds(10);
};

class SendQueue {
 public:
  // Hands a batch to `writer`: its send_batch.
  using SendBatch = Result<void> (*)(void* writer, Batch& batch, Deadline deadline);

  // `scheduler` and `writer` are borrowed.
  SendQueue(Scheduler& scheduler, const SharedWriterOptions& options, void* writer,
            SendBatch send_batch);
  SendQueue(const SendQueue&) = delete;
  SendQueue& operator=(const SendQueue&) = delete;
  // Aborts if a fiber is inside send().
  ~SendQueue();

  // As SharedWriter::send.
  Result<void> send(Message& message, Deadline deadline);

  // Takes nothing new from now on, and waits until nobody is inside send() for a batch any more.
  //
  // Promise    Failure: whatever was queued or under way has failed with `broken`, and nothing is under way.
  // Errors     timed_out · canceled
  Result<void> finish(Deadline deadline);

  // What every later send() returns, once a batch has failed.
  const std::optional<Error>& failure() const noexcept { return failure_; }

 private:
  enum class State : std::uint8_t { queued, leads, in_flight, sent, failed };
  struct Sender {
    Message* message;
    Fiber* fiber;
    Sender* previous = nullptr;
    Sender* next = nullptr;
    State state = State::queued;
  };

  void append(Sender& sender) noexcept;
  void unlink(Sender& sender) noexcept;
  Result<void> withdraw(Sender& sender, Errc why) noexcept;
  void await_turn(Sender& sender, Deadline deadline, Wake& wake);
  Result<void> lead(Sender& leader, Deadline deadline, Wake wake);
  Sender* take() noexcept;
  Result<void> fly(Sender& leader);
  void land(Sender* flight, Sender& leader, const Result<void>& sent) noexcept;
  void pass_on() noexcept;
  void fail_queue() noexcept;
  void lose_queue() noexcept;
  void stop_flight() noexcept;

  Scheduler* scheduler_;
  SharedWriterOptions options_;
  void* writer_;
  SendBatch send_batch_;

  Sender* first_ = nullptr;  // the queue, in the order of the calls
  Sender* last_ = nullptr;
  bool led_ = false;         // a sender leads, or was told to; where nobody does the queue is empty
  Fiber* flying_ = nullptr;  // the leader, while a batch is under way
  bool may_be_stopped_ = false;  // its shield was lifted
  bool finishing_ = false;
  Batch batch_;  // keeps its allocation
  std::optional<Error> failure_;
  WaitQueue idle_;
};

}  // namespace twinwire
