// SPDX-License-Identifier: Apache-2.0
// Mode `datagram`: every fault on every datagram of a connection, both directions, the last farewell included.
#include <algorithm>

#include "props/exhaustive/exchange_bases.h"
#include "props/exhaustive/faults_mode.h"
#include "props/exhaustive/survey.h"

namespace twinwire::exhaustive {
namespace {

using sim::Site;

struct Sent {
  EntityId pair;
  std::uint64_t nth;
  std::uint64_t size;
};

std::vector<Sent> datagrams_of(const Survey& survey) {
  std::vector<Sent> sent;
  for (const Asked& asked : survey.asked)
    if (asked.site == Site::datagram_flip)
      sent.push_back({asked.entity, asked.occurrence, asked.bound / 8});
  return sent;
}

enum DatagramKind : std::uint16_t {
  datagram_benign,
  lost,
  doubled_at_once,
  doubled_later,
  overtaken_by_some,
  overtaken_by_many,
  flipped,
  cut,
};
constexpr std::uint64_t at_once_ns = 1;
constexpr std::uint64_t round_trips_ns = 300'000;   // three of them
constexpr std::uint64_t timeouts_ns = 100'000'000;  // longer than the first time-outs of recovery

// Headers lie in front: each bit there, one bit of each byte behind it.
constexpr std::uint64_t every_bit_of = 64;

class DatagramPlan {
 public:
  DatagramPlan() {
    plan_.kinds = {{"nothing", false},        {"loss"},
                   {"doubled at once"},       {"doubled 100 ms later", false},
                   {"late by 300 us", false}, {"late by 100 ms", false},
                   {"one bit flipped"},       {"cut"}};
  }

  void add_base(const laws::Registry& registry, std::size_t transport, StackPool& stacks,
                Base fatal, Base harmless, const Survey& survey) {
    const auto base = static_cast<std::uint16_t>(plan_.bases.size() + 1);
    std::string note = fatal.name + ": ";
    plan_.bases.push_back(std::move(fatal));
    plan_.bases.push_back(std::move(harmless));
    plan_.cases.push_back({base, datagram_benign, {}});
    if (survey.verdict.kind != laws::VerdictKind::pass) return;
    std::size_t heard = 0;
    std::size_t unheard = 0;
    std::uint64_t bytes = 0;
    for (const Sent& sent : datagrams_of(survey)) {
      // What reaches nobody can suffer nothing: the socket was gone.
      Case loss{base, lost, {{Site::datagram_loss, sent.pair, sent.nth, 1}}};
      const bool is_heard =
          judge(plan_, loss, laws::run_in_world(run_of(registry, transport, plan_, loss), stacks))
              .bit;
      ++(is_heard ? heard : unheard);
      if (!is_heard) continue;
      bytes += sent.size;
      plan_.cases.push_back(std::move(loss));
      add_datagram(base, sent);
    }
    plan_.notes.push_back(note + std::to_string(heard) + " datagrams of together " +
                          std::to_string(bytes) + " bytes; " + std::to_string(unheard) +
                          " more that reach nobody");
  }
  Plan take() && { return std::move(plan_); }

 private:
  void add(std::uint16_t base, DatagramKind kind, const Sent& sent, Site site,
           std::uint64_t choice) {
    plan_.cases.push_back({base, kind, {{site, sent.pair, sent.nth, choice}}});
  }

  void add_datagram(std::uint16_t base, const Sent& sent) {
    add(base, doubled_at_once, sent, Site::datagram_duplicate, at_once_ns);
    add(base, doubled_later, sent, Site::datagram_duplicate, timeouts_ns);
    add(base, overtaken_by_some, sent, Site::datagram_delay, round_trips_ns);
    add(base, overtaken_by_many, sent, Site::datagram_delay, timeouts_ns);
    for (std::uint64_t byte = 0; byte < sent.size; ++byte)
      for (std::uint64_t bit = 0; bit < 8; ++bit)
        if (byte < every_bit_of || bit == byte * 3 % 8)
          add(base, flipped, sent, Site::datagram_flip, byte * 8 + bit + 1);
    for (std::uint64_t size = 1; size < sent.size; ++size)
      add(base, cut, sent, Site::datagram_cut, size);
  }

  Plan plan_;
};

}  // namespace

Plan plan_datagram(const laws::Registry& registry, std::size_t transport, StackPool& stacks) {
  if (laws::transport_names()[transport] != "quic") return {};
  DatagramPlan plan;
  std::vector<Base> bases = exchange_bases(transport);
  for (std::size_t i = 0; i + 1 < bases.size(); i += 2) {
    const Survey learned = survey(run_of(registry, transport, bases[i + 1]), stacks);
    plan.add_base(registry, transport, stacks, std::move(bases[i]), std::move(bases[i + 1]),
                  learned);
  }
  return std::move(plan).take();
}

}  // namespace twinwire::exhaustive
