// SPDX-License-Identifier: Apache-2.0
// Witness: the reference model of one direction of a connection. It knows what was handed to send_batch, and so what a
// reader may see: a prefix of it, whole, in order, uncorrupted, none twice, none from after a failed batch (clause 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "props/laws/judge.h"
#include "transport/wire/batch.h"

namespace twinwire::laws {

class Witness {
 public:
  // `label` names the direction in reports; `id` makes its messages' bytes unlike any other direction's. `any_order`:
  // the reader was told to yield messages as they become whole, each once.
  Witness(Judge& judge, std::string label, std::uint64_t id, bool any_order = false)
      : judge_(&judge), label_(std::move(label)), id_(id), any_order_(any_order) {}

  // The next message to send: its bytes depend on (id, its number) alone.
  // Errors     no_resources
  Result<Message> make(BufferPool& pool, std::size_t body_size);

  // send_batch is about to be called with these; and then what it returned.
  void offered(const Batch& batch);
  void succeeded() noexcept { accepted_ = offered_.size(); }
  void failed() noexcept { failed_ = true; }

  void yielded(const Message& message);

  std::size_t offered_count() const noexcept { return offered_.size(); }
  std::size_t accepted_count() const noexcept { return accepted_; }  // of batches that succeeded
  std::size_t yielded_count() const noexcept { return yielded_; }
  std::uint64_t yielded_bytes() const noexcept { return yielded_bytes_; }
  std::uint64_t accepted_bytes() const noexcept { return accepted_bytes_for(accepted_); }
  bool has_failed() const noexcept { return failed_; }
  const std::string& label() const noexcept { return label_; }

 private:
  struct Expected {
    std::uint64_t digest;
    std::uint64_t end;  // bytes of this direction up to and with this message
    bool seen = false;
  };
  std::uint64_t accepted_bytes_for(std::size_t count) const noexcept {
    return count == 0 ? 0 : offered_[count - 1].end;
  }

  Judge* judge_;
  std::string label_;
  std::uint64_t id_;
  bool any_order_;
  std::uint64_t made_ = 0;
  std::vector<Expected> offered_;
  std::size_t accepted_ = 0;
  std::size_t yielded_ = 0;
  std::uint64_t yielded_bytes_ = 0;
  bool failed_ = false;
};

}  // namespace twinwire::laws
