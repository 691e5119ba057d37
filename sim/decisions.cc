// SPDX-License-Identifier: Apache-2.0
#include "sim/decisions.h"

#include <algorithm>
#include <tuple>

namespace twinwire::sim {
namespace {

auto key(const Decision& d) noexcept { return std::tuple(d.site, d.entity, d.occurrence); }

// Uniform in [0, bound) from 64 random bits.
std::uint64_t scale(std::uint64_t bits, std::uint64_t bound) noexcept {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(bits) * bound) >> 64);
}

}  // namespace

Decisions::Decisions(std::uint64_t seed, Base base, std::vector<Decision> edits)
    : seed_(seed), base_(base), edits_(std::move(edits)) {
  // Of two edits under one key the lower choice counts, whatever their order.
  std::sort(edits_.begin(), edits_.end(), [](const Decision& a, const Decision& b) {
    return std::tuple(key(a), a.choice) < std::tuple(key(b), b.choice);
  });
  used_.assign(edits_.size(), false);
  looks_up_ = !edits_.empty();
}

std::size_t Decisions::edits_used() const noexcept {
  return static_cast<std::size_t>(std::count(used_.begin(), used_.end(), true));
}

std::uint64_t Decisions::choose_slow(Site site, const Fault& fault, EntityId entity,
                                     std::uint64_t occurrence, std::uint64_t bound) noexcept {
  if (census_ != nullptr) [[unlikely]]
    census_->on_asked(site, entity, occurrence, bound);
  std::uint64_t choice = 0;
  bool edited = false;
  if (!edits_.empty()) {
    const Decision wanted{site, entity, occurrence, 0};
    const auto at =
        std::lower_bound(edits_.begin(), edits_.end(), wanted,
                         [](const Decision& a, const Decision& b) { return key(a) < key(b); });
    if (at != edits_.end() && at->same_key(wanted)) {
      edited = true;
      choice = std::min(at->choice, bound);
      used_[static_cast<std::size_t>(at - edits_.begin())] = true;
    }
  }
  const std::uint64_t limit = std::min(fault.bound, bound);
  if (!edited && base_ == Base::seeded && fault.ppm != 0 && limit != 0) {
    // Two independent draws from one key: whether, and how much.
    const std::uint64_t whether =
        scramble(mix(mix(seed_, entity + static_cast<std::uint64_t>(site)), occurrence));
    if (scale(whether, certain) < fault.ppm)
      choice = 1 + scale(scramble(whether ^ 0x8ebc6af09c88c6e3ULL), limit);
  }
  SiteCount& count = counts_[static_cast<std::size_t>(site)];
  ++count.drawn;
  if (choice == 0) return 0;
  ++count.struck;
  hash_.fold(Step::choice, entity + static_cast<std::uint64_t>(site), choice ^ mix(occurrence, 1));
  if (recording_) recorded_.push_back({site, entity, occurrence, choice});
  if (sink_ != nullptr) [[unlikely]]
    sink_->on_decision({site, entity, occurrence, choice});
  return choice;
}

}  // namespace twinwire::sim
