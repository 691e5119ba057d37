// SPDX-License-Identifier: Apache-2.0
#include "cli/minimiser.h"

#include <algorithm>
#include <set>

namespace twinwire::cli {
namespace {

constexpr std::string_view draws_knob = "draws";

bool is_draw(const std::string& name) {
  return name.starts_with("draw") && name.size() > 4 && name[4] >= '0' && name[4] <= '9';
}

void set_knob(std::vector<laws::Knob>& knobs, const std::string& name, std::int64_t value) {
  const auto at = std::find_if(knobs.begin(), knobs.end(),
                               [&](const laws::Knob& knob) { return knob.name == name; });
  if (at != knobs.end())
    at->value = value;
  else
    knobs.push_back({name, value});
}

// Of a number of bytes every one counts; of a time a sixteenth more or less does not.
std::int64_t fine_enough(sim::Site site, std::int64_t value) {
  switch (site) {
    case sim::Site::connect_delay:
    case sim::Site::segment_delay:
    case sim::Site::clog:
    case sim::Site::datagram_delay:
    case sim::Site::datagram_duplicate:
    case sim::Site::partition:
    case sim::Site::partition_one_way:
    case sim::Site::isolation:
    case sim::Site::clock_skew: return std::max<std::int64_t>(1, value / 16);
    default: return 1;
  }
}

}  // namespace

Minimiser::Minimiser(Plan plan, Variant start, Outcome outcome)
    : plan_(std::move(plan)), best_(std::move(start)), outcome_(std::move(outcome)) {
  best_.decisions = outcome_.made;
  if (!outcome_.died()) steps_max_ = outcome_.steps;
}

std::optional<Outcome> Minimiser::run(const Variant& variant) {
  if (stopped()) return std::nullopt;
  ++runs_;
  return plan_.run(variant);
}

bool Minimiser::keeps(Variant variant) {
  const auto once = run(variant);
  if (!once || once->key != plan_.key || !once->complete) return false;
  // Plain numbers can make a long run: every byte a piece of its own.
  if (once->steps > steps_max_) return false;
  // A hang is believed at once: to see it again takes as long as it took.
  if (once->key != "no_progress:hang") {
    const auto twice = run(variant);
    if (!twice || twice->key != once->key || twice->hash != once->hash) return false;
  }
  if (plan_.accepts && !plan_.accepts(variant)) return false;
  // What was not asked for goes by itself: a number that nobody read, a decision that nobody came to.
  std::set<std::string_view> read{draws_knob};
  for (const laws::Shape& shape : once->shapes) read.insert(shape.name);
  std::erase_if(variant.knobs, [&](const laws::Knob& knob) { return !read.contains(knob.name); });
  best_ = std::move(variant);
  best_.decisions = once->made;
  outcome_ = *once;
  if (plan_.improved) plan_.improved(*this);
  return true;
}

void Minimiser::minimise() {
  bool smaller = true;
  while (smaller && !stopped()) {
    smaller = shrink_scenario();
    smaller = shrink_decisions() || smaller;
  }
}

// --- The scenario ---------------------------------------------------------------------------------------------------

std::vector<laws::Shape> Minimiser::crooked() const {
  std::vector<laws::Shape> result;
  std::copy_if(outcome_.shapes.begin(), outcome_.shapes.end(), std::back_inserter(result),
               [](const laws::Shape& shape) { return shape.value != shape.plain; });
  return result;
}

Variant Minimiser::with(const std::string& name, std::int64_t value) const {
  Variant variant = best_;
  set_knob(variant.knobs, name, value);
  return variant;
}

bool Minimiser::shrink_scenario() {
  // The named ones first: they say how many draws there are.
  bool smaller = straighten(false);
  smaller = draw_fewer() || smaller;
  smaller = straighten(true) || smaller;
  return lower_numbers() || smaller;
}

// The tail of the scenario's draws at once: the fewest that must come from the seed.
bool Minimiser::draw_fewer() {
  const auto draws = std::count_if(outcome_.shapes.begin(), outcome_.shapes.end(),
                                   [](const laws::Shape& shape) { return is_draw(shape.name); });
  const auto set = std::find_if(best_.knobs.begin(), best_.knobs.end(),
                                [](const laws::Knob& knob) { return knob.name == draws_knob; });
  std::int64_t enough =
      set != best_.knobs.end() ? std::min<std::int64_t>(set->value, draws) : draws;
  if (enough == 0) return false;
  bool smaller = false;
  for (std::int64_t too_few = -1; enough - too_few > 1 && !stopped();) {
    const std::int64_t tried = too_few < 0 ? 0 : too_few + (enough - too_few) / 2;
    if (keeps_number(std::string(draws_knob), tried)) {
      enough = tried;
      smaller = true;
    } else {
      too_few = tried;
    }
  }
  return smaller;
}

// Chunks of numbers to their plain values: all, the halves, the quarters ... and each alone.
bool Minimiser::straighten(bool draws) {
  const auto wanted = [&] {
    std::vector<laws::Shape> shapes = crooked();
    std::erase_if(shapes, [&](const laws::Shape& s) { return is_draw(s.name) != draws; });
    return shapes;
  };
  bool smaller = false;
  for (std::size_t chunk = wanted().size(); chunk > 0 && !stopped(); chunk /= 2) {
    const std::vector<laws::Shape> all = wanted();
    for (std::size_t from = 0; from < all.size() && !stopped(); from += chunk) {
      Variant variant = best_;
      for (std::size_t i = from; i < std::min(all.size(), from + chunk); ++i)
        set_knob(variant.knobs, all[i].name, all[i].plain);
      smaller = keeps(std::move(variant)) || smaller;
    }
  }
  return smaller;
}

bool Minimiser::lower_numbers() {
  bool smaller = false;
  for (const laws::Shape& shape : crooked()) {
    if (stopped()) break;
    // An earlier one may have made this one go.
    const auto still = crooked();
    if (std::none_of(still.begin(), still.end(), [&](const laws::Shape& s) {
          return s.name == shape.name && s.value == shape.value;
        }))
      continue;
    smaller = lower_number(shape) || smaller;
  }
  return smaller;
}

bool Minimiser::lower_number(const laws::Shape& shape) {
  if (shape.value <= shape.plain) return false;  // it was tried, and there is nothing between
  bool smaller = false;
  std::int64_t low = shape.plain;
  std::int64_t high = shape.value;
  while (high - low > std::max<std::int64_t>(1, high / 64) && !stopped()) {
    const std::int64_t middle = low + (high - low) / 2;
    if (keeps_number(shape.name, middle)) {
      high = middle;
      smaller = true;
    } else {
      low = middle;
    }
  }
  return smaller;
}

// --- The decisions --------------------------------------------------------------------------------------------------

bool Minimiser::shrink_decisions() {
  if (best_.decisions.empty()) return false;
  Variant none = best_;
  none.decisions.clear();
  if (keeps(std::move(none))) return true;
  bool smaller = drop_sites();
  smaller = cut_tail() || smaller;
  smaller = drop_chunks() || smaller;
  return lower_choices() || smaller;
}

// A kind of fault at once: most kinds have no part in a failure.
bool Minimiser::drop_sites() {
  std::set<sim::Site> sites;
  for (const sim::Decision& decision : best_.decisions) sites.insert(decision.site);
  if (sites.size() < 2) return false;
  bool smaller = false;
  for (const sim::Site site : sites) {
    Variant variant = best_;
    std::erase_if(variant.decisions, [&](const sim::Decision& d) { return d.site == site; });
    if (variant.decisions.size() < best_.decisions.size())
      smaller = keeps(std::move(variant)) || smaller;
  }
  return smaller;
}

// What was decided after the failure was under way.
bool Minimiser::cut_tail() {
  bool smaller = false;
  std::size_t too_short = 0;
  while (best_.decisions.size() - too_short > 1 && !stopped()) {
    const std::size_t size = best_.decisions.size();
    const std::size_t tried = too_short + (size - too_short) / 2;
    Variant variant = best_;
    variant.decisions.resize(tried);
    if (keeps(std::move(variant))) {
      smaller = true;
      too_short = std::min(too_short, best_.decisions.size());
    } else {
      too_short = tried;
    }
  }
  return smaller;
}

bool Minimiser::drop_chunks() {
  bool smaller = false;
  for (std::size_t chunk = best_.decisions.size() / 2; chunk > 0 && !stopped(); chunk /= 2) {
    // From the end: what is decided early has the more consequences.
    for (std::size_t end = best_.decisions.size(); end > 0 && !stopped();) {
      end = std::min(end, best_.decisions.size());
      const std::size_t from = end > chunk ? end - chunk : 0;
      Variant variant = best_;
      variant.decisions.erase(variant.decisions.begin() + static_cast<std::ptrdiff_t>(from),
                              variant.decisions.begin() + static_cast<std::ptrdiff_t>(end));
      smaller = keeps(std::move(variant)) || smaller;
      end = from;
    }
  }
  return smaller;
}

bool Minimiser::lower_choices() {
  bool smaller = false;
  for (std::size_t i = 0; i < best_.decisions.size() && !stopped(); ++i)
    smaller = lower_choice(i) || smaller;
  return smaller;
}

bool Minimiser::lower_choice(std::size_t index) {
  const sim::Decision decision = best_.decisions[index];
  const auto keeps_choice = [&](std::uint64_t choice) {
    Variant variant = best_;
    for (sim::Decision& d : variant.decisions)
      if (d.same_key(decision)) d.choice = choice;
    return keeps(std::move(variant));
  };
  if (decision.choice == 1) return false;
  if (keeps_choice(1)) return true;
  // Of a place in an order only the order counts.
  if (decision.site == sim::Site::wake_order) return false;
  bool smaller = false;
  auto low = std::int64_t{1};
  auto high = static_cast<std::int64_t>(decision.choice);
  while (high - low > fine_enough(decision.site, high) && !stopped()) {
    const std::int64_t middle = low + (high - low) / 2;
    if (keeps_choice(static_cast<std::uint64_t>(middle))) {
      high = middle;
      smaller = true;
    } else {
      low = middle;
    }
  }
  return smaller;
}

}  // namespace twinwire::cli
