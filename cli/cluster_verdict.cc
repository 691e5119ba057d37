// SPDX-License-Identifier: Apache-2.0
#include "cli/cluster_verdict.h"

#include <algorithm>
#include <cstdlib>

#include "cli/text.h"

namespace twinwire::cli {
namespace {

using Log = std::vector<LogFileEntry>;

std::string request_text(const LogFileEntry& entry, std::uint64_t client) {
  return "request " + std::to_string(entry.number) + " of client " + std::to_string(client + 1);
}

std::string tally_text(std::uint64_t applied, std::uint64_t sum) {
  return with_commas(applied) + " requests, sum " + hex16(sum);
}

class Judgement {
 public:
  explicit Judgement(const ClusterEvidence& evidence)
      : evidence_(&evidence),
        longest_(
            &*std::ranges::max_element(evidence.logs, {}, [](const Log& l) { return l.size(); })),
        seen_(evidence.results.size()) {
    verdict_.copies_of.resize(evidence.logs.size() + 1);
  }

  ClusterVerdict run() {
    for (std::size_t i = 0; i < evidence_->logs.size(); ++i) look_at_prefix(i);
    for (std::size_t at = 0; at < longest_->size(); ++at)
      if ((*longest_)[at].is_request) look_at_request(at);
    std::uint64_t acknowledged = 0;
    for (const BusLoadResult& result : evidence_->results) acknowledged += result.acknowledged;
    check(verdict_.applied == acknowledged,
          with_commas(acknowledged) + " requests were acknowledged, and " +
              with_commas(verdict_.applied) + " of them stand in the log");
    if (evidence_->settled)
      for (std::size_t i = 0; i < evidence_->logs.size(); ++i) look_at_tally(i, acknowledged);
    return std::move(verdict_);
  }

 private:
  void check(bool ok, const std::string& sentence) {
    if (!ok) verdict_.wrong.push_back(sentence);
  }

  void look_at_prefix(std::size_t i) {
    const Log& log = evidence_->logs[i];
    std::size_t n = 0;
    while (n < log.size() && log[n].checksum == (*longest_)[n].checksum) ++n;
    check(n == log.size(), "the log of replica " + std::to_string(i + 1) + " differs at entry " +
                               std::to_string(n + 1));
  }

  // Of each client: request 1 to the last that was acknowledged, once, in order, each with the answer that it was
  // given; and what is in doubt, if at all.
  void look_at_request(std::size_t at) {
    const LogFileEntry& entry = (*longest_)[at];
    const std::string place = "entry " + std::to_string(at + 1);
    const std::uint64_t client = entry.client - evidence_->first_client;
    if (client >= seen_.size()) return check(false, place + " is of nobody who asked");
    const BusLoadResult& result = evidence_->results[client];
    check(entry.number == seen_[client] + 1, request_text(entry, client) + " stands where number " +
                                                 std::to_string(seen_[client] + 1) + " is due");
    seen_[client] = entry.number;
    if (entry.number > result.acknowledged) {
      check(entry.number == result.acknowledged + 1,
            request_text(entry, client) + " was not yet asked when " +
                std::to_string(result.acknowledged) + " were acknowledged");
      ++verdict_.beyond;
      return;
    }
    ++verdict_.applied;
    if (entry.number >= 1 && entry.number <= result.told.size())
      look_at_answer(at, client, result.told[entry.number - 1]);
    const auto copies = static_cast<std::size_t>(
        std::ranges::count_if(evidence_->logs, [&](const Log& log) { return log.size() > at; }));
    ++verdict_.copies_of[copies];
    const std::size_t replicas = evidence_->logs.size();
    check(copies >= (evidence_->settled ? replicas : replicas / 2 + 1),
          place + " was acknowledged, and stands on " + std::to_string(copies) + " of " +
              std::to_string(replicas) + " replicas");
  }

  // Applied once and in this order, it gives this answer and no other.
  void look_at_answer(std::size_t at, std::uint64_t client, const BusLoadResult::Told& told) {
    const LogFileEntry& entry = (*longest_)[at];
    check(told.op == at + 1, request_text(entry, client) + " was answered as entry " +
                                 std::to_string(told.op) + ", and is entry " +
                                 std::to_string(at + 1));
    check(told.applied == entry.applied && told.sum == entry.sum,
          request_text(entry, client) + " was answered with " + tally_text(told.applied, told.sum) +
              ", and the log up to it gives " + tally_text(entry.applied, entry.sum));
    answered_ = std::max(answered_, told.applied);
  }

  void look_at_tally(std::size_t i, std::uint64_t acknowledged) {
    const Log& log = evidence_->logs[i];
    const std::string who = "replica " + std::to_string(i + 1);
    const auto& tally = evidence_->tallies[i];
    if (!tally) return check(false, who + " did not say at its end what it has applied");
    const auto with_it = std::ranges::lower_bound(log, tally->applied, {}, &LogFileEntry::applied);
    if (with_it == log.end() && tally->applied != 0)
      return check(false, who + " has applied " + with_commas(tally->applied) +
                              " requests, more than its log has");
    const std::uint64_t sum = tally->applied == 0 ? 0 : with_it->sum;
    check(tally->sum == sum, who + " has applied " + tally_text(tally->applied, tally->sum) +
                                 ", and of as many its log gives the sum " + hex16(sum));
    check(tally->applied >= answered_, who + " has applied " + with_commas(tally->applied) +
                                           " requests, though " + with_commas(acknowledged) +
                                           " were acknowledged");
  }

  const ClusterEvidence* evidence_;
  const Log* longest_;
  std::vector<std::uint64_t> seen_;  // of each client: its last request so far
  std::uint64_t answered_ = 0;       // the most that an answer says to be applied
  ClusterVerdict verdict_;
};

}  // namespace

std::optional<PrintedTally> last_tally_in(const std::string& text) {
  const std::string before = "tally      ";
  const std::string between = " requests, sum ";
  const std::size_t at = text.rfind(before);
  const std::size_t middle = text.find(between, at);
  const std::size_t end = text.find('\n', middle);
  if (at == std::string::npos || middle == std::string::npos || end == std::string::npos)
    return std::nullopt;
  PrintedTally tally;
  for (const char c : text.substr(at + before.size(), middle - at - before.size()))
    if (c != ',') tally.applied = 10 * tally.applied + static_cast<std::uint64_t>(c - '0');
  const std::string sum = text.substr(middle + between.size(), end - middle - between.size());
  tally.sum = std::strtoull(sum.c_str(), nullptr, 16);
  return tally;
}

ClusterVerdict judge_cluster(const ClusterEvidence& evidence) { return Judgement(evidence).run(); }

}  // namespace twinwire::cli
