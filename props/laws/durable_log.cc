// SPDX-License-Identifier: Apache-2.0
#include "props/laws/durable_log.h"

#include <algorithm>
#include <charconv>

namespace twinwire::laws {

std::string DurableLog::record(std::size_t client, std::uint64_t number) {
  return std::to_string(client) + " " + std::to_string(number);
}

std::pair<std::size_t, std::uint64_t> DurableLog::parse(const std::string& record) {
  std::size_t client = 0;
  std::uint64_t number = 0;
  const char* const end = record.data() + record.size();
  const auto first = std::from_chars(record.data(), end, client);
  if (first.ptr != end) (void)std::from_chars(first.ptr + 1, end, number);
  return {client, number};
}

void DurableLog::acknowledged(std::size_t client, std::uint64_t count) {
  acknowledged_[client] = std::max(acknowledged_[client], count);
}

std::vector<std::uint64_t> DurableLog::check(const std::string& when) {
  std::vector<std::uint64_t> counts(acknowledged_.size());
  for (const std::string& line : disk_->records()) {
    const std::pair<std::size_t, std::uint64_t> entry = parse(line);
    const auto client = entry.first;
    const auto number = entry.second;
    judge_->check(number >= counts[client], "log_once", [&] {
      return when + " message " + std::to_string(number) + " of client " + std::to_string(client) +
             " is in the log twice";
    });
    judge_->check(number <= counts[client], "log_order", [&] {
      return when + " message " + std::to_string(number) + " of client " + std::to_string(client) +
             " is in the log where number " + std::to_string(counts[client]) + " belongs";
    });
    ++counts[client];
  }
  for (std::size_t client = 0; client < counts.size(); ++client)
    judge_->check(counts[client] >= acknowledged_[client], "log_durable", [&] {
      return when + " the log has " + std::to_string(counts[client]) + " messages of client " +
             std::to_string(client) + ", and " + std::to_string(acknowledged_[client]) +
             " were acknowledged";
    });
  return counts;
}

void DurableLog::check_complete(std::uint64_t messages) {
  const auto counts = check("at the end");
  for (std::size_t client = 0; client < counts.size(); ++client)
    judge_->check(counts[client] == messages, "log_delivered", [&] {
      return "at the end the log has " + std::to_string(counts[client]) + " of " +
             std::to_string(messages) + " messages of client " + std::to_string(client);
    });
}

}  // namespace twinwire::laws
