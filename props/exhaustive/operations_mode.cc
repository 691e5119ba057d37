// SPDX-License-Identifier: Apache-2.0
#include "props/exhaustive/operations_mode.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "sim/world.h"

namespace twinwire::exhaustive {
namespace {

constexpr std::string_view scenario = "operations";

// --- What is learned from a benign run -------------------------------------------------------------------------------

struct Suspension {
  EntityId fiber;
  std::uint64_t wakes;
  std::string who;
  TimePoint from;
  TimePoint until;
  bool told_meanwhile = false;  // it goes on since the scenario itself tells it to stop
};

struct Allocation {
  std::uint64_t nth;
  std::string who;
};

class Notes final : public sim::Watcher {
 public:
  void on_suspended(const Fiber& fiber, TimePoint now) override {
    // Of whoever was told before, in its clean-up, nothing more can be asked.
    if (fiber.cancel_requested) return;
    open_[fiber.entity] = suspensions.size();
    suspensions.push_back({fiber.entity, fiber.wakes, std::string(fiber.name()), now, now});
  }
  void on_resumed(const Fiber& fiber, TimePoint now) override {
    const auto at = open_.find(fiber.entity);
    if (at == open_.end()) return;
    suspensions[at->second].until = now;
    suspensions[at->second].told_meanwhile = fiber.cancel_requested;
    open_.erase(at);
  }
  void on_allocation(const Fiber* fiber, std::uint64_t nth, std::size_t /*bytes*/) override {
    allocations.push_back({nth, fiber != nullptr ? std::string(fiber->name()) : "the network"});
  }

  std::vector<Suspension> suspensions;
  std::vector<Allocation> allocations;

 private:
  std::map<EntityId, std::size_t> open_;  // where a fiber waits at present
};

// --- Who is who ------------------------------------------------------------------------------------------------------

// The row of the table. The three clients do the same.
std::string row_of(std::string_view who) {
  for (const std::string_view client : {"neighbour", "after"})
    if (who.starts_with(client)) return "client" + std::string(who.substr(client.size()));
  return std::string(who);
}

// How many connections may fail though none of their users was told to stop. 0: a call, or whoever made it. 1: a fiber
// that one connection has inside of the transport. All: one that the listener has, or the socket that they share.
enum class Inside : std::uint8_t { no, one_connection, some_connections, listener };
constexpr std::int64_t run_length = 3;  // of allocations that fail one after another
constexpr std::array<std::int64_t, 4> allowances{0, 1, run_length, 1000};

Inside inside(std::string_view who) {
  for (const std::string_view users : {"main", "client", "neighbour", "after", "server"})
    if (who.starts_with(users)) return Inside::no;
  for (const std::string_view shared : {"accept", "quic.listen", "quic.receive"})
    if (who == shared) return Inside::listener;
  return Inside::one_connection;
}

// --- Plans -----------------------------------------------------------------------------------------------------------

using Knobs = std::vector<laws::Knob>;

struct Setting {
  std::string name;
  Knobs knobs;
};

std::vector<Setting> settings_of(std::string_view transport) {
  const Knobs plain{
      {"tls.tickets", 0}, {"tls.mutual", 0}, {"tls.only_12", 0}, {"tls.key_updates", 0}};
  const auto with = [&](std::string_view name) {
    Knobs knobs = plain;
    for (laws::Knob& knob : knobs)
      if (knob.name == name) knob.value = 1;
    return knobs;
  };
  if (transport == "tls")
    return {{"TLS 1.3", plain},
            {"TLS 1.2", with("tls.only_12")},
            {"new keys", with("tls.key_updates")}};
  if (transport == "wss") return {{"", plain}};
  if (transport == "quic") {
    Knobs one = plain;
    one.push_back({"one_stream", 1});
    Knobs many = plain;
    many.push_back({"one_stream", 0});
    return {{"a stream a message", many}, {"one stream", one}};
  }
  return {{"", {}}, {"accept after the first message", {{"accept_after_first_message", 1}}}};
}

class Planner {
 public:
  Planner(const laws::Registry& registry, std::size_t transport, StackPool& stacks)
      : registry_(&registry), transport_(transport), stacks_(&stacks) {}

  // Calls learn(notes, variant) for the benign run of each variant.
  template <class F>
  Plan plan(F&& learn) {
    plan_.outcomes = {"went on", "canceled", "short", "dropped"};
    for (const Setting& variant : settings_of(laws::transport_names()[transport_])) {
      variant_ = &variant;
      first_base_ = plan_.bases.size();
      for (const std::int64_t allowance : allowances) add_base(allowance);
      Notes notes;
      laws::WorldRun run = run_of(*registry_, transport_, plan_.bases[first_base_]);
      run.options.watcher = &notes;
      const laws::Verdict verdict = laws::run_in_world(run, *stacks_);
      if (verdict.kind != laws::VerdictKind::pass) {
        plan_.complaint = verdict.failure_key() + ", " + verdict.detail;
        return std::move(plan_);
      }
      learn(notes);
    }
    return std::move(plan_);
  }

  void add(Inside inside, const std::string& row, std::vector<sim::Decision> edits) {
    const auto base = static_cast<std::uint16_t>(first_base_ + static_cast<std::size_t>(inside));
    plan_.cases.push_back({.base = base, .kind = kind_of(row), .edits = std::move(edits)});
  }
  void note(std::string text) {
    plan_.notes.push_back((variant_->name.empty() ? "" : variant_->name + ": ") + std::move(text));
  }
  std::size_t cases() const noexcept { return plan_.cases.size(); }

 private:
  void add_base(std::int64_t allowance) {
    Base base;
    base.name = variant_->name;
    base.scenario = std::string(scenario);
    base.knobs = variant_->knobs;
    if (allowance != 0) base.knobs.push_back({"allowance", allowance});
    plan_.bases.push_back(std::move(base));
  }
  std::uint16_t kind_of(const std::string& row) {
    const auto at = std::find_if(plan_.kinds.begin(), plan_.kinds.end(),
                                 [&](const Kind& kind) { return kind.name == row; });
    if (at != plan_.kinds.end()) return static_cast<std::uint16_t>(at - plan_.kinds.begin());
    plan_.kinds.push_back({.name = row});
    return static_cast<std::uint16_t>(plan_.kinds.size() - 1);
  }

  const laws::Registry* registry_;
  std::size_t transport_;
  StackPool* stacks_;
  Plan plan_;
  const Setting* variant_ = nullptr;
  std::size_t first_base_ = 0;
};

}  // namespace

Plan plan_cancel(const laws::Registry& registry, std::size_t transport, StackPool& stacks) {
  using sim::Site;
  using sim::Suspensions;
  Planner planner(registry, transport, stacks);
  return planner.plan([&](const Notes& notes) {
    const std::size_t before = planner.cases();
    for (const Suspension& at : notes.suspensions) {
      const auto tell = [&](std::uint64_t when) {
        planner.add(inside(at.who), row_of(at.who), {{Site::cancel, at.fiber, at.wakes, when}});
      };
      tell(Suspensions::at_once);
      if (!at.told_meanwhile) tell(Suspensions::as_it_goes_on);
      // What it waits for comes at this instant, and the cancellation just before.
      if (at.until > at.from)
        tell(Suspensions::at_once + static_cast<std::uint64_t>((at.until - at.from).count()));
    }
    planner.note(std::to_string(notes.suspensions.size()) + " suspensions, " +
                 std::to_string(planner.cases() - before) + " cancellations");
  });
}

Plan plan_memory(const laws::Registry& registry, std::size_t transport, StackPool& stacks) {
  Planner planner(registry, transport, stacks);
  return planner.plan([&](const Notes& notes) {
    for (const Allocation& at : notes.allocations)
      for (const std::int64_t length : {std::int64_t{1}, run_length}) {
        std::vector<sim::Decision> edits;
        edits.reserve(static_cast<std::size_t>(length));
        for (std::int64_t n = 0; n < length; ++n)
          edits.push_back({sim::Site::no_memory, sim::World::root_entity,
                           at.nth + static_cast<std::uint64_t>(n), 1});
        // Of several that fail, each may cost a connection of its own.
        planner.add(length == 1 ? Inside::one_connection : Inside::some_connections,
                    row_of(at.who) + (length == 1 ? "" : ", and the next two"), std::move(edits));
      }
    planner.note(std::to_string(notes.allocations.size()) + " allocations");
  });
}

}  // namespace twinwire::exhaustive
