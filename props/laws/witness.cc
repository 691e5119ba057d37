// SPDX-License-Identifier: Apache-2.0
#include "props/laws/witness.h"

#include <algorithm>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "transport/base/mix.h"

namespace twinwire::laws {
namespace {

std::uint64_t digest_of(const Message& message) noexcept {
  return XXH3_64bits(message.bytes().data(), message.size());
}

// Bytes without a period, so that a shift by any distance shows.
void fill(std::span<std::byte> out, std::uint64_t key) noexcept {
  std::uint64_t counter = 0;
  while (!out.empty()) {
    const std::uint64_t word = scramble(key + 0x9e3779b97f4a7c15ULL * ++counter);
    const std::size_t n = std::min(out.size(), sizeof word);
    std::memcpy(out.data(), &word, n);
    out = out.subspan(n);
  }
}

}  // namespace

Result<Message> Witness::make(BufferPool& pool, std::size_t body_size) {
  auto message = MutableMessage::create(pool, Command::request, body_size);
  if (!message) return message.error();
  message->set_request_id(made_);
  message->set_cluster({id_, made_});
  fill(message->body(), mix(id_, made_));
  ++made_;
  return std::move(*message).freeze();
}

void Witness::offered(const Batch& batch) {
  for (const Message& message : batch.messages())
    offered_.push_back({digest_of(message), accepted_bytes_for(offered_.size()) + message.size()});
}

void Witness::yielded(const Message& message) {
  const std::size_t index = yielded_++;
  yielded_bytes_ += message.size();
  if (!judge_->check(index < offered_.size(), "prefix", [&] {
        return label_ + ": message " + std::to_string(index + 1) + " was yielded, but only " +
               std::to_string(offered_.size()) + " were handed to send_batch";
      }))
    return;
  const std::uint64_t seen = digest_of(message);
  if (any_order_) {
    const auto of = std::find_if(offered_.begin(), offered_.end(),
                                 [&](const Expected& e) { return e.digest == seen && !e.seen; });
    if (of != offered_.end()) of->seen = true;
    judge_->check(of != offered_.end(), "prefix", [&] {
      return label_ +
             ": the reader yielded what was never sent as a message, or was yielded before";
    });
    return;
  }
  judge_->check(seen == offered_[index].digest, "prefix", [&] {
    const auto twin = std::find_if(offered_.begin(), offered_.end(),
                                   [&](const Expected& e) { return e.digest == seen; });
    const std::string what = twin == offered_.end()
                                 ? "bytes that were never sent as a message (" +
                                       std::to_string(message.size()) + " bytes)"
                                 : "message " + std::to_string(twin - offered_.begin() + 1);
    return label_ + ": in the place of message " + std::to_string(index + 1) +
           " the reader yielded " + what;
  });
}

}  // namespace twinwire::laws
