// SPDX-License-Identifier: Apache-2.0
// Ledger: the reference model of one direction of a connection whose writer many fibers share. It knows each call of
// send() in their order and what each was told, and so what the reader may see: the messages in that order, each once,
// of those whose sender was told that nothing was sent none, and of the others no gap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "props/laws/judge.h"
#include "transport/wire/message.h"

namespace twinwire::laws {

class Ledger {
 public:
  Ledger(Judge& judge, std::string label, std::uint64_t id)
      : judge_(&judge), label_(std::move(label)), id_(id) {}

  // A message that send() is about to be called with; nothing may suspend in between. Its number is `calls() - 1`.
  // Errors     no_resources
  Result<Message> make(BufferPool& pool, std::size_t body_size);

  enum class Told : std::uint8_t { nothing_yet, sent, withdrawn, failed };
  void told(std::size_t number, Told what);
  void yielded(const Message& message);
  // When both ends are done: what the reader passed over was withdrawn.
  void balance() const;

  std::size_t calls() const noexcept { return entries_.size(); }
  std::size_t sent() const noexcept { return sent_; }
  std::uint64_t sent_bytes() const noexcept { return sent_bytes_; }
  // Of those told "sent", how many the reader has not seen.
  std::size_t missing() const noexcept;
  // Of the first `count` calls, how many were told that they failed.
  std::size_t failed_among(std::size_t count) const noexcept;
  const std::string& label() const noexcept { return label_; }

 private:
  struct Entry {
    std::uint64_t digest;
    std::size_t size;
    Told told = Told::nothing_yet;
    bool seen = false;
  };
  std::string name_of(std::size_t number) const;

  Judge* judge_;
  std::string label_;
  std::uint64_t id_;
  std::vector<Entry> entries_;
  std::size_t next_ = 0;  // behind the newest that was yielded
  std::size_t sent_ = 0;
  std::uint64_t sent_bytes_ = 0;
};

}  // namespace twinwire::laws
