// SPDX-License-Identifier: Apache-2.0
#include "cli/serve_samples.h"

#include <utility>

namespace twinwire::cli {

ServeSample sample(real::Ring& ring, const ServeState& state, unsigned shard) {
  return {real::sample(ring, shard), state.totals, state.sessions, state.answering};
}

Result<std::vector<ServeSample>> ServeSamples::gather() {
  const std::uint64_t number = ++rounds_begun_;
  Round round{std::vector<ServeSample>(states_->size()), here_->count() - 1,
              Event(here_->scheduler())};
  struct Entry {
    Entry(std::map<std::uint64_t, Round*>& all, std::uint64_t key, Round& value)
        : map(all), at(all.emplace(key, &value).first) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() { map.erase(at); }
    std::map<std::uint64_t, Round*>& map;
    std::map<std::uint64_t, Round*>::iterator at;
  };
  const Entry entry(rounds_, number, round);
  const std::uint32_t home = here_->index();
  for (std::uint32_t other = 0; other < here_->count(); ++other) {
    const ServeState* const state = &(*states_)[other];
    if (other == home) {
      round.samples[other] = sample(here_->ring(), *state, other);
      continue;
    }
    auto posted = here_->post(other, [this, number, state, home](real::Shard& there) {
      // Refused: then the scrape runs out of patience, and says so.
      (void)there.post(home, [this, number, taken = sample(there.ring(), *state, there.index())](
                                 real::Shard&) { take(number, taken); });
    });
    if (!posted) return posted.error();
  }
  const Deadline deadline{here_->scheduler().now() + patience};
  while (round.missing != 0)
    if (auto waited = round.complete.wait(deadline, "the samples of other shards"); !waited)
      return waited.error();
  return std::move(round.samples);
}

// What comes after its round was given up finds none.
void ServeSamples::take(std::uint64_t round, ServeSample sample) {
  const auto at = rounds_.find(round);
  if (at == rounds_.end()) return;
  at->second->samples[sample.ring.shard] = std::move(sample);
  if (--at->second->missing == 0) at->second->complete.set();
}

}  // namespace twinwire::cli
