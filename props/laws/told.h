// SPDX-License-Identifier: Apache-2.0
// Told: one side of a connection, telling the trace what it asks of the transport and what comes of it. A story is made
// of these lines (cli/storyteller.h reads them), so their form is fixed here. Where nobody listens they cost a branch.
// What comes of it is also folded into the run's outcome (Env::saw).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "props/laws/env.h"
#include "transport/seam.h"

namespace twinwire::laws {

class Told {
 public:
  // `who`: the side, as the story names it.
  Told(Env& env, std::string who) : env_(&env), who_(std::move(who)), key_(Env::key_of(who_)) {}

  template <class Writer>
  Result<void> send(Writer& writer, Batch& batch, Deadline deadline) {
    begins(batch);
    auto sent = writer.send_batch(batch, deadline);
    ended(sent);
    return sent;
  }
  template <class Reader>
  Result<Message> read(Reader& reader, std::size_t max, Deadline deadline) {
    auto message = reader.read_message(max, deadline);
    if (message)
      got(*message);
    else
      reading_ended(message.error());
    return message;
  }
  template <class Writer>
  Result<void> close(Writer& writer, Duration grace) {
    env_->tell(who_,
               [&] { return "begins to close, within " + std::to_string(grace.count()) + " ns"; });
    auto closed = writer.close(grace);
    saw(What::closed, 0, closed ? 0 : code(closed.error()));
    if (!closed && closed.error() == Errc::timed_out)
      env_->reached(Sometimes::close_ran_out_of_time);
    env_->tell(who_, [&] { return "close " + outcome(closed); });
    return closed;
  }

  void begins(const Batch& batch) {
    ++batches_;
    batch_size_ = batch.size();
    env_->tell(who_, [&] { return "begins batch " + number(batches_) + ": " + described(batch); });
  }
  void ended(const Result<void>& sent) {
    saw(What::sent, batches_, sent ? 0 : code(sent.error()));
    if (!sent || batch_size_ == batch_messages_max) [[unlikely]]
      note_batch(sent);
    env_->tell(who_, [&] { return "batch " + number(batches_) + " " + outcome(sent); });
  }
  void got(const Message& message) {
    ++messages_;
    saw(What::read, messages_, message.size());
    note_message(message);
    env_->tell(who_, [&] {
      return "reads message " + number(messages_) + ": " + number(message.size()) + " bytes";
    });
  }
  void reading_ended(Error error) {
    saw(What::read, messages_ + 1, code(error));
    env_->tell(who_, [&] { return "reading ends: " + to_string(error); });
  }
  void does(std::string_view what) {
    env_->tell(who_, [&] { return std::string(what); });
  }
  void reading_stopped() {
    stopped_ = true;
    does("is told to stop reading, and reads again");
  }
  void accept_failed(Error error) {
    saw(What::accepted, ++accepts_failed_, code(error));
    env_->tell(who_, [&] { return "accept fails: " + to_string(error); });
  }
  void dial_failed(Error error) {
    saw(What::dialed, 0, code(error));
    env_->tell(who_, [&] { return "dial failed: " + to_string(error); });
  }

 private:
  enum class What : std::uint8_t { sent, read, closed, dialed, accepted };
  void saw(What what, std::size_t nth, std::uint64_t result) noexcept {
    env_->saw(key_ + static_cast<std::uint64_t>(what), nth, result);
  }
  static std::uint64_t code(Error error) noexcept { return static_cast<std::uint64_t>(error.code); }
  void note_batch(const Result<void>& sent) noexcept;
  void note_message(const Message& message) noexcept {
    // More than both buffers of a connection of the World hold.
    if (message.size() > 128 * 1024) env_->reached(Sometimes::message_larger_than_buffers);
    if (!stopped_) return;
    stopped_ = false;
    env_->reached(Sometimes::read_after_stopped_read);
  }

  static std::string number(std::size_t n) { return std::to_string(n); }
  static std::string outcome(const Result<void>& result) {
    return result ? "succeeded" : "failed: " + to_string(result.error());
  }
  // "3 messages of 256+1234+300 bytes", "512 messages of 500x256+12x300 bytes"
  static std::string described(const Batch& batch);

  Env* env_;
  std::string who_;
  std::uint64_t key_;
  std::size_t batches_ = 0;
  std::size_t batch_size_ = 0;
  std::size_t messages_ = 0;
  std::size_t accepts_failed_ = 0;
  bool stopped_ = false;  // a read was, and the next has not yielded yet
};

}  // namespace twinwire::laws
