// SPDX-License-Identifier: Apache-2.0
#include "sim/fault_rule.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace twinwire::sim {
namespace {

constexpr std::pair<std::string_view, std::int64_t> units[] = {{"ns", 1},
                                                               {"us", 1'000},
                                                               {"ms", 1'000'000},
                                                               {"s", 1'000'000'000},
                                                               {"m", 60'000'000'000},
                                                               {"h", 3'600'000'000'000}};

constexpr std::int64_t instant_max = 1'000'000'000'000'000'000;  // 31 years

// Calls f(name) for each of "a+b+c".
template <class F>
void for_each_name(std::string_view names, F&& f) {
  for (;;) {
    const std::size_t plus = names.find('+');
    f(names.substr(0, plus));
    if (plus == std::string_view::npos) return;
    names.remove_prefix(plus + 1);
  }
}

bool are_names(std::string_view text) noexcept {
  bool good = true;
  for_each_name(text, [&](std::string_view name) {
    good = good && !name.empty() && name.find_first_of("<>@=/* ") == std::string_view::npos;
  });
  return good;
}

bool among(const std::vector<std::uint32_t>& nodes, std::uint32_t node) noexcept {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

}  // namespace

Result<TimePoint> parse_instant(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return Errc::invalid;
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const auto& [name, ns] : units)
    if (unit == name && number <= instant_max / ns) return TimePoint{number * ns};
  return Errc::invalid;
}

std::string format_instant(TimePoint at) {
  for (std::size_t i = std::size(units); i-- > 0;)
    if (at.ns % units[i].second == 0)
      return std::to_string(at.ns / units[i].second) + std::string(units[i].first);
  return {};
}

// Decimal fraction to parts per million without floating point.
Result<std::uint32_t> parse_probability(std::string_view text) {
  std::uint64_t whole = 0;
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, whole);
  if (error != std::errc{} || whole > 1) return Errc::invalid;
  std::uint64_t ppm = whole * certain;
  if (at != end) {
    if (*at != '.') return Errc::invalid;
    std::uint64_t unit = certain;
    for (++at; at != end; ++at) {
      if (*at < '0' || *at > '9') return Errc::invalid;
      unit /= 10;
      if (unit == 0 && *at != '0') return Errc::invalid;  // finer than it can be: it would be off
      ppm += unit * static_cast<std::uint64_t>(*at - '0');
    }
  }
  if (ppm > certain) return Errc::invalid;
  return static_cast<std::uint32_t>(ppm);
}

std::string format_probability(std::uint32_t ppm) {
  if (ppm == certain) return "1";
  std::string digits = std::to_string(ppm);
  digits.insert(0, 6 - digits.size(), '0');
  while (digits.size() > 1 && digits.back() == '0') digits.pop_back();
  return "0." + digits;
}

Result<Fault> parse_fault(std::string_view text, Fault fault) {
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    const std::string_view bound = text.substr(colon + 1);
    const auto [end, error] =
        std::from_chars(bound.data(), bound.data() + bound.size(), fault.bound);
    if (error != std::errc{} || end != bound.data() + bound.size() || fault.bound == 0)
      return Errc::invalid;
    text = text.substr(0, colon);
  }
  const auto ppm = parse_probability(text);
  if (!ppm) return ppm.error();
  fault.ppm = *ppm;
  return fault;
}

bool FaultRule::holds(Site asked, Place place, TimePoint now) const noexcept {
  if (asked != site || now < from || now >= until) return false;
  const auto is_first = [this](std::uint32_t node) { return among(first_nodes, node); };
  const auto is_second = [this](std::uint32_t node) {
    return second == "*" ? !among(first_nodes, node) : among(second_nodes, node);
  };
  switch (scope) {
    case Scope::everywhere: return true;
    case Scope::node: return is_first(place.from) || is_first(place.to);
    case Scope::direction: return is_first(place.from) && is_second(place.to);
    case Scope::link:
      return (is_first(place.from) && is_second(place.to)) ||
             (is_second(place.from) && is_first(place.to));
  }
  return false;
}

void FaultRule::resolve(std::string_view name, std::uint32_t ordinal) {
  const std::string number = "#" + std::to_string(ordinal + 1);
  for_each_name(first, [&](std::string_view wanted) {
    if (wanted == name || wanted == number) first_nodes.push_back(ordinal);
  });
  for_each_name(second, [&](std::string_view wanted) {
    if (wanted == name || wanted == number) second_nodes.push_back(ordinal);
  });
}

Result<FaultRule> FaultRule::parse(std::string_view text) {
  FaultRule rule;
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return Errc::invalid;
  std::string_view name = text.substr(0, equals);
  std::string_view value = text.substr(equals + 1);
  if (const std::size_t at = name.find('@'); at != std::string_view::npos) {
    const std::string_view where = name.substr(at + 1);
    name = name.substr(0, at);
    const std::size_t sign = where.find_first_of("<>");
    rule.scope = Scope::node;
    rule.first = where.substr(0, sign);
    if (sign != std::string_view::npos) {
      const bool both = where.substr(sign).starts_with("<>");
      if (!both && where[sign] != '>') return Errc::invalid;
      rule.scope = both ? Scope::link : Scope::direction;
      rule.second = where.substr(sign + (both ? 2 : 1));
      if (!are_names(rule.second) && rule.second != "*") return Errc::invalid;
    }
    if (!are_names(rule.first)) return Errc::invalid;
  }
  if (const std::size_t slash = value.find('/'); slash != std::string_view::npos) {
    const std::string_view when = value.substr(slash + 1);
    value = value.substr(0, slash);
    const std::size_t dots = when.find("..");
    if (dots == std::string_view::npos) return Errc::invalid;
    const auto instant = [](std::string_view what, TimePoint otherwise) {
      return what.empty() ? Result<TimePoint>(otherwise) : parse_instant(what);
    };
    const auto from = instant(when.substr(0, dots), rule.from);
    const auto until = instant(when.substr(dots + 2), rule.until);
    if (!from || !until || *from >= *until) return Errc::invalid;
    rule.from = *from;
    rule.until = *until;
  }
  const auto site = site_named(name);
  if (!site) return Errc::invalid;
  rule.site = *site;
  // Narrower than what it concerns it would never be met.
  if (static_cast<int>(rule.scope) > static_cast<int>(reach_of(rule.site))) return Errc::invalid;
  // A node always hears itself.
  if ((*site == Site::partition || *site == Site::partition_one_way) && rule.first == rule.second &&
      !rule.first.empty())
    return Errc::invalid;
  const auto fault = parse_fault(value, {});
  if (!fault) return fault.error();
  rule.fault = *fault;
  return rule;
}

std::string FaultRule::to_text() const {
  std::string text(name(site));
  if (scope != Scope::everywhere) text += "@" + first;
  if (scope == Scope::link) text += "<>" + second;
  if (scope == Scope::direction) text += ">" + second;
  text += "=" + format_probability(fault.ppm) + ":" + std::to_string(fault.bound);
  if (is_scheduled())
    text += "/" + (from.ns == 0 ? std::string() : format_instant(from)) + ".." +
            (until == TimePoint::never() ? std::string() : format_instant(until));
  return text;
}

}  // namespace twinwire::sim
