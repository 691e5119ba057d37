// SPDX-License-Identifier: Apache-2.0
// Told: one side of a connection, telling the trace what it asks of the transport and what comes of it. A story is made
// of these lines (cli/storyteller.h reads them), so their form is fixed here. Where nobody listens they cost a branch.
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
  Told(Env& env, std::string who) : env_(&env), who_(std::move(who)) {}

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
    env_->tell(who_, [&] { return "close " + outcome(closed); });
    return closed;
  }

  void begins(const Batch& batch) {
    ++batches_;
    env_->tell(who_, [&] { return "begins batch " + number(batches_) + ": " + described(batch); });
  }
  void ended(const Result<void>& sent) {
    env_->tell(who_, [&] { return "batch " + number(batches_) + " " + outcome(sent); });
  }
  void got(const Message& message) {
    ++messages_;
    env_->tell(who_, [&] {
      return "reads message " + number(messages_) + ": " + number(message.size()) + " bytes";
    });
  }
  void reading_ended(Error error) {
    env_->tell(who_, [&] { return "reading ends: " + to_string(error); });
  }
  void does(std::string_view what) {
    env_->tell(who_, [&] { return std::string(what); });
  }
  void dial_failed(Error error) {
    env_->tell(who_, [&] { return "dial failed: " + to_string(error); });
  }

 private:
  static std::string number(std::size_t n) { return std::to_string(n); }
  static std::string outcome(const Result<void>& result) {
    return result ? "succeeded" : "failed: " + to_string(result.error());
  }
  // "3 messages of 256+1234+300 bytes", "512 messages of 500x256+12x300 bytes"
  static std::string described(const Batch& batch);

  Env* env_;
  std::string who_;
  std::size_t batches_ = 0;
  std::size_t messages_ = 0;
};

}  // namespace twinwire::laws
