// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/port_script.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include "transport/base/mix.h"

namespace twinwire::oracle {
namespace {

constexpr std::string_view port_op_names[port_op_count] = {
    "listen", "close_listener", "dial", "accept", "drop", "end", "read_end"};

class PortGenerator {
 public:
  explicit PortGenerator(std::uint64_t seed) : seed_(seed) { script_.seed = seed; }

  PortScript make() {
    const std::uint64_t length = 5 + below(14);
    // Many scripts are about few addresses, so that somebody meets somebody.
    few_ = chance(60);
    for (std::uint64_t i = 0; i < length; ++i) draw();
    return script_;
  }

 private:
  std::uint64_t draw_word() { return scramble(mix(seed_ ^ 0x90b7, ++drawn_)); }
  std::uint64_t below(std::uint64_t n) { return draw_word() % n; }
  bool chance(std::uint64_t percent) { return below(100) < percent; }

  Place place() {
    constexpr Place places[] = {Place::loop4, Place::any4,  Place::own4,
                                Place::any6,  Place::loop6, Place::own6};
    return places[below(few_ ? 3 : std::size(places))];
  }
  std::uint8_t port() { return static_cast<std::uint8_t>(1 + below(few_ ? 2 : numbered_ports)); }

  void add(const PortStep& step) { script_.steps.push_back(step); }

  void draw() {
    const std::uint64_t what = below(100);
    const auto connection = static_cast<std::uint8_t>(below(port_connections));
    const auto listener = static_cast<std::uint8_t>(below(port_listeners));
    const auto side = static_cast<std::uint8_t>(below(2));
    if (what < 25) {
      PortStep step{.op = PortOp::listen, .which = listener, .place = place(), .port = port()};
      if (chance(4)) step.place = Place::nobody4;
      if (chance(5)) step.port = 0;
      add(step);
    } else if (what < 33) {
      add({.op = PortOp::close_listener, .which = listener});
    } else if (what < 65) {
      PortStep step{.op = PortOp::dial, .which = connection, .place = place(), .port = port()};
      if (chance(8)) step.port = chance(50) ? unheard_port : 0;
      if (chance(30)) step.from = chance(4) ? Place::nobody4 : place();
      if (step.from && chance(70)) step.from_port = port();
      // To the kernel such a socket, once it is connected, is still in the way of 0.0.0.0, and of that alone.
      if (step.from && is_any(*step.from) && !is_v4(step.place)) step.from_port = 0;
      add(step);
      for (std::uint8_t i = 0; i < port_listeners && chance(80); ++i)
        add({.op = PortOp::accept, .which = i});
    } else if (what < 72) {
      add({.op = PortOp::accept, .which = listener});
    } else if (what < 80) {
      add({.op = PortOp::drop, .which = connection, .side = side});
    } else if (what < 88) {
      add({.op = PortOp::end, .which = connection, .side = side});
    } else {
      // A farewell: this side ends first, and both close.
      for (const std::uint8_t who : {side, static_cast<std::uint8_t>(1 - side)})
        add({.op = PortOp::end, .which = connection, .side = who});
      add({.op = PortOp::read_end, .which = connection, .side = side});
      for (const std::uint8_t who : {side, static_cast<std::uint8_t>(1 - side)})
        add({.op = PortOp::drop, .which = connection, .side = who});
    }
  }

  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
  bool few_ = false;
  PortScript script_;
};

std::string port_text(std::uint8_t port) {
  return port == unheard_port ? "unheard port" : "port " + std::to_string(port);
}

// The errno of a source that does not go with its destination is another in every version of Linux.
bool same_port_error(const PortStep& step, const Error& a, const Error& b) {
  return a.code == b.code &&
         (step.from || a.os_errno == b.os_errno || a.os_errno == 0 || b.os_errno == 0);
}

}  // namespace

PortScript port_script_of(std::uint64_t seed) { return PortGenerator(seed).make(); }

std::string to_text(const PortStep& step) {
  const std::string op(port_op_names[static_cast<std::size_t>(step.op)]);
  const std::string number = std::to_string(step.which);
  switch (step.op) {
    case PortOp::listen:
      return "l" + number + " listen " + std::string(name(step.place)) + " " + port_text(step.port);
    case PortOp::close_listener:
    case PortOp::accept: return "l" + number + " " + op;
    case PortOp::dial: {
      std::string text =
          "a" + number + " dial " + std::string(name(step.place)) + " " + port_text(step.port);
      if (step.from)
        text += " from " + std::string(name(*step.from)) + " " + port_text(step.from_port);
      return text;
    }
    default: return (step.side == 0 ? "a" : "b") + number + " " + op;
  }
}

std::string to_text(const PortOutcome& outcome) {
  std::string text =
      to_text(outcome.kind == Kind::error ? Outcome::of(outcome.error) : Outcome::of(outcome.kind));
  if (!outcome.where.empty()) text += ", " + outcome.where;
  return text;
}

std::optional<Disagreement> compare(const PortScript& script, const PortOutcomes& truth,
                                    const PortOutcomes& claimed, Coverage& coverage) {
  for (std::size_t i = 0; i < script.steps.size(); ++i) {
    const PortOutcome& a = truth[i];
    const PortOutcome& b = claimed[i];
    if (a.kind != Kind::absent) ++coverage.exact;
    if (a.kind != b.kind || a.where != b.where ||
        (a.kind == Kind::error && !same_port_error(script.steps[i], a.error, b.error)))
      return Disagreement{
          i, to_text(script.steps[i]) + ": " + to_text(b) + " instead of " + to_text(a)};
  }
  return std::nullopt;
}

std::string side_by_side(const PortScript& script, const PortOutcomes& truth,
                         const PortOutcomes& claimed) {
  std::string text = "seed " + std::to_string(script.seed) + ", ports\n";
  for (std::size_t i = 0; i < script.steps.size(); ++i) {
    std::string line = "  " + to_text(script.steps[i]);
    line.resize(std::max<std::size_t>(line.size() + 1, 44), ' ');
    line += to_text(truth[i]);
    line.resize(std::max<std::size_t>(line.size() + 1, 84), ' ');
    text += line + to_text(claimed[i]) + "\n";
  }
  return text;
}

}  // namespace twinwire::oracle
