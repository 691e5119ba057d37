// SPDX-License-Identifier: Apache-2.0
#include "cli/refusal_log.h"

#include <cstdio>

#include "cli/endpoint.h"
#include "cli/text.h"

namespace twinwire::cli {
namespace {

constexpr Duration window = std::chrono::seconds(1);
// Causes are the library's words, not the peer's, so there are few; but nobody should have to rely on it.
constexpr std::size_t causes_max = 32;

}  // namespace

void RefusalLog::note(const Address& peer, std::string_view why) {
  tell("connection from " + peer_name(peer) + " refused: ", why);
}

void RefusalLog::note(const std::string& who, std::string_view why) { tell(who, why); }

void RefusalLog::tell(const std::string& begin, std::string_view why) {
  ++total_;
  Scheduler& scheduler = background_->scheduler();
  const TimePoint now = scheduler.now();
  if (now >= window_end_) {
    flush();
    window_end_ = now + window;
    lines_ = 0;
  }
  if (lines_ < lines_a_second) {
    ++lines_;
    std::fprintf(stderr, "twinwire: %s%.*s\n", begin.c_str(), static_cast<int>(why.size()),
                 why.data());
    return;
  }
  const bool first = more_.empty();
  auto at = more_.find(why);
  if (at == more_.end())
    at = more_.emplace(more_.size() < causes_max ? why : std::string_view("other causes"), 0).first;
  ++at->second;
  // A flood may end in this second: its sum is then told without waiting for another newcomer.
  if (first)
    (void)background_->try_spawn("refusals",
                                 [self = shared_from_this(), &scheduler, until = window_end_] {
                                   (void)scheduler.sleep_until(until);
                                   self->flush();
                                 });
}

void RefusalLog::flush() {
  if (more_.empty()) return;
  std::uint64_t count = 0;
  std::string causes;
  for (const auto& [why, times] : more_) {
    count += times;
    causes += (causes.empty() ? "" : "; ") + with_commas(times) + " " + why;
  }
  more_.clear();
  std::fprintf(stderr, "twinwire: ... and %s more refused: %s\n", with_commas(count).c_str(),
               causes.c_str());
}

}  // namespace twinwire::cli
