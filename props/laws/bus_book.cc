// SPDX-License-Identifier: Apache-2.0
#include "props/laws/bus_book.h"

#include <algorithm>
#include <utility>

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
  const auto what = [&] {
    return entry.label + ": message " + std::to_string(id.high) + " of " +
           std::to_string(entry.queued) + " queued came ";
  };
  if (!hearing.is_of(id.low) && hearing.sessions.size() < hearing.sessions_max &&
      !std::exchange(entry.has_hearer, true))
    hearing.sessions.push_back(id.low);
  if (!judge_->check(hearing.is_of(id.low), "bus_prefix",
                     [&] { return what() + "over another connection"; }))
    return;
  // Where several shards send, one that could not be queued came back, or will.
  const bool gaps = hearing.sessions_max > 1;
  judge_->check(gaps ? id.high >= entry.next : id.high == entry.next, "bus_prefix",
                [&] { return what() + "where " + std::to_string(entry.next) + " was due"; });
  judge_->check(std::ranges::all_of(message.body(), [fill = filling(id.low, id.high)](
                                                        std::byte b) { return b == fill; }),
                "bus_prefix", [&] { return what() + "with another body"; });
  for (std::uint64_t n = entry.next; n < id.high; ++n) entry.missing.push_back(n);
  judge_->check(!std::ranges::binary_search(entry.back, id.high), "bus_forward",
                [&] { return what() + "though it had come back to its sender"; });
  entry.next = id.high + 1;
  ++entry.heard;
}

void BusBook::came_back(const Message& message) {
  const U128 id = message.header().cluster();
  if (!judge_->check(id.low < sessions_.size(), "bus_forward", "what nobody sent came back"))
    return;
  Entry& entry = sessions_[id.low];
  const auto what = [&] {
    return entry.label + ": message " + std::to_string(id.high) + " of " +
           std::to_string(entry.queued) + " queued came back ";
  };
  judge_->check(id.high < entry.queued, "bus_forward",
                [&] { return what() + "though it was refused"; });
  judge_->check(entry.back.empty() || entry.back.back() < id.high, "bus_forward",
                [&] { return what() + "twice, or out of order"; });
  judge_->check(id.high >= entry.next || std::ranges::binary_search(entry.missing, id.high),
                "bus_forward", [&] { return what() + "though it had been heard"; });
  judge_->check(std::ranges::all_of(message.body(), [fill = filling(id.low, id.high)](
                                                        std::byte b) { return b == fill; }),
                "bus_refusal", [&] { return what() + "with another body"; });
  entry.back.push_back(id.high);
}

void BusBook::judge_gaps() {
  for (const Entry& entry : sessions_) {
    if (!entry.told_all) continue;
    for (const std::uint64_t number : entry.missing)
      judge_->check(std::ranges::binary_search(entry.back, number), "bus_forward", [&] {
        return entry.label + ": message " + std::to_string(number) +
               " did not come, later ones did, and its sender was told nothing";
      });
  }
}

}  // namespace twinwire::laws
