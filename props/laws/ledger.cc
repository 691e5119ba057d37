// SPDX-License-Identifier: Apache-2.0
#include "props/laws/ledger.h"

#include <algorithm>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "transport/base/mix.h"

namespace twinwire::laws {
namespace {

std::uint64_t sum_of(const Message& message) noexcept {
  return XXH3_64bits(message.bytes().data(), message.size());
}

}  // namespace

std::string Ledger::name_of(std::size_t number) const {
  return label_ + ": message " + std::to_string(number + 1);
}

Result<Message> Ledger::make(BufferPool& pool, std::size_t body_size) {
  auto message = MutableMessage::create(pool, Command::request, body_size);
  if (!message) return message.error();
  message->set_request_id(entries_.size());
  message->set_cluster({id_, entries_.size()});
  const std::uint64_t word = scramble(mix(id_, entries_.size()));
  std::span<std::byte> body = message->body();
  for (std::size_t at = 0; at < body.size(); at += sizeof word) {
    const std::uint64_t mixed = word + at * 0x9e3779b97f4a7c15ULL;
    std::memcpy(body.data() + at, &mixed, std::min(sizeof mixed, body.size() - at));
  }
  Message made = std::move(*message).freeze();
  entries_.push_back({sum_of(made), made.size()});
  return made;
}

void Ledger::told(std::size_t number, Told what) {
  Entry& entry = entries_[number];
  entry.told = what;
  if (what == Told::sent) {
    ++sent_;
    sent_bytes_ += entry.size;
  }
  judge_->check(what != Told::withdrawn || !entry.seen, "shared_order", [&] {
    return name_of(number) + " was yielded, and then its sender was told that nothing was sent";
  });
}

void Ledger::yielded(const Message& message) {
  const std::uint64_t number = request_id(message);
  const bool known = number < entries_.size() && entries_[number].digest == sum_of(message);
  if (!judge_->check(known, "prefix",
                     label_ + ": the reader yielded what nobody sent as a message"))
    return;
  Entry& entry = entries_[number];
  judge_->check(number >= next_, "shared_order", [&] {
    return name_of(number) + (entry.seen ? " was yielded twice" : " was yielded after") +
           (entry.seen ? "" : " message " + std::to_string(next_) + ", which was sent later");
  });
  judge_->check(entry.told != Told::withdrawn, "shared_order", [&] {
    return name_of(number) + " was yielded, whose sender had been told that nothing was sent";
  });
  entry.seen = true;
  next_ = std::max<std::size_t>(next_, number + 1);
}

void Ledger::balance() const {
  for (std::size_t i = 0; i < next_; ++i)
    judge_->check(entries_[i].seen || entries_[i].told == Told::withdrawn, "prefix",
                  [&] { return name_of(i) + " was passed over, and a later one yielded"; });
}

std::size_t Ledger::missing() const noexcept {
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(),
                    [](const Entry& e) { return e.told == Told::sent && !e.seen; }));
}

std::size_t Ledger::failed_among(std::size_t count) const noexcept {
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count),
                    [](const Entry& e) { return e.told == Told::failed; }));
}

}  // namespace twinwire::laws
