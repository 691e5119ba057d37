// SPDX-License-Identifier: Apache-2.0
#include "props/laws/bus_book.h"

#include <algorithm>

#include "transport/base/mix.h"

namespace twinwire::laws {

BusBook::Session BusBook::begin(std::string label, std::string_view law_if_heard) {
  Entry& entry = sessions_.emplace_back();
  entry.label = std::move(label);
  entry.law_if_heard = law_if_heard;
  return sessions_.size() - 1;
}

std::byte BusBook::filling(Session session, std::uint64_t number) const noexcept {
  return static_cast<std::byte>(scramble(mix(seed_ + session, number)));
}

Result<Message> BusBook::make(BufferPool& pool, Command command, Session session,
                              std::size_t body_max, BusAsk ask) {
  const std::uint64_t number = sessions_[session].queued;
  const std::size_t body = mix(seed_ ^ session, number + 1) % (body_max + 1);
  auto made = MutableMessage::create(pool, command, body);
  if (!made) return made.error();
  made->set_cluster({session, number});
  made->set_view(static_cast<std::uint32_t>(ask));
  std::ranges::fill(made->body(), filling(session, number));
  return std::move(*made).freeze();
}

void BusBook::heard(Hearing& hearing, const Message& message) {
  const U128 id = message.header().cluster();
  if (!judge_->check(id.low < sessions_.size(), "bus_prefix",
                     "a handler was given what nobody sent"))
    return;
  Entry& entry = sessions_[id.low];
  if (!judge_->check(entry.law_if_heard.empty(),
                     entry.law_if_heard.empty() ? "bus_prefix" : entry.law_if_heard,
                     [&] { return "a handler was given a message of " + entry.label; }))
    return;
  if (!hearing.session && entry.hearer == nullptr) {
    hearing.session = id.low;
    entry.hearer = &hearing;
  }
  const auto what = [&] {
    return entry.label + ": message " + std::to_string(id.high) + " of " +
           std::to_string(entry.queued) + " queued came ";
  };
  if (!judge_->check(hearing.session == id.low, "bus_prefix",
                     [&] { return what() + "over another connection"; }))
    return;
  judge_->check(id.high == hearing.next, "bus_prefix",
                [&] { return what() + "where " + std::to_string(hearing.next) + " was due"; });
  judge_->check(std::ranges::all_of(message.body(), [fill = filling(id.low, id.high)](
                                                        std::byte b) { return b == fill; }),
                "bus_prefix", [&] { return what() + "with another body"; });
  hearing.next = id.high + 1;
  ++entry.heard;
}

}  // namespace twinwire::laws
