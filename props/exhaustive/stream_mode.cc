// SPDX-License-Identifier: Apache-2.0
// Mode `stream`: every fault of a byte stream at every byte of a connection, both directions, the end included.
#include <algorithm>
#include <map>

#include "props/exhaustive/exchange_bases.h"
#include "props/exhaustive/faults_mode.h"
#include "props/exhaustive/survey.h"

namespace twinwire::exhaustive {
namespace {

using sim::Site;

// Longer than anything that waits without a time-out, shorter than every time-out.
constexpr std::uint64_t stall_ns = 1'000'000'000;

// One direction of the connection, as the benign run used it.
struct Direction {
  EntityId entity;
  std::map<std::uint64_t, std::uint64_t>
      writes;  // of more than one byte: offset, and how many bytes
  std::map<std::uint64_t, std::uint64_t> reads;
  std::vector<std::uint64_t>
      departures;  // offsets at which something left, the end of the stream among them
  std::uint64_t bytes = 0;
};

std::vector<Direction> directions_of(const Survey& survey) {
  std::vector<Direction> directions;
  const auto of = [&](EntityId entity) {
    return std::find_if(directions.begin(), directions.end(),
                        [&](const Direction& d) { return d.entity == entity; });
  };
  for (const Asked& asked : survey.asked) {
    if (asked.site == Site::reset && of(asked.entity) == directions.end())
      directions.push_back({.entity = asked.entity});
    const auto at = of(asked.entity);
    if (at == directions.end()) continue;
    const std::uint64_t size = asked.bound + 1;
    if (asked.site == Site::short_write) at->writes[asked.occurrence] = size;
    if (asked.site == Site::short_read) at->reads[asked.occurrence] = size;
    if (asked.site == Site::clog) at->departures.push_back(asked.occurrence);
  }
  for (Direction& direction : directions) {
    for (const std::uint64_t offset : direction.departures)
      direction.bytes = std::max(direction.bytes, offset);
    for (const auto& [offset, size] : direction.writes)
      direction.bytes = std::max(direction.bytes, offset + size);
  }
  return directions;
}

enum StreamKind : std::uint16_t {
  stream_benign,
  reset,
  reset_one_side,
  early_fin,
  silent_loss,
  stall,
  short_write,
  short_read,
  bit_flip,
};

class StreamPlan {
 public:
  explicit StreamPlan(bool encrypted) : encrypted_(encrypted) {
    plan_.kinds = {{"nothing", false}, {"reset"},      {"reset of one side"},
                   {"early end"},      {"silence"},    {"stall of 1 s"},
                   {"short write"},    {"short read"}, {"one bit flipped"}};
  }

  void add_base(Base fatal, Base harmless, const Survey& survey) {
    const auto first = static_cast<std::uint16_t>(plan_.bases.size());
    std::string note = fatal.name + ":";
    plan_.bases.push_back(std::move(fatal));
    plan_.bases.push_back(std::move(harmless));
    add(static_cast<std::uint16_t>(first + 1), stream_benign, {});
    if (survey.verdict.kind != laws::VerdictKind::pass) return;
    const char* names[] = {" client to server ", ", server to client "};
    std::size_t nth = 0;
    for (const Direction& direction : directions_of(survey)) {
      add_direction(first, direction);
      note += (nth < 2 ? names[nth] : ", another ") + std::to_string(direction.bytes) +
              " bytes in " + std::to_string(direction.writes.size()) + " writes and " +
              std::to_string(direction.reads.size()) + " reads";
      ++nth;
    }
    plan_.notes.push_back(note);
  }
  Plan take() && { return std::move(plan_); }

 private:
  void add(std::uint16_t base, StreamKind kind, std::vector<sim::Decision> edits) {
    plan_.cases.push_back({base, kind, std::move(edits)});
  }

  void add_direction(std::uint16_t fatal, const Direction& d) {
    const auto harmless = static_cast<std::uint16_t>(fatal + 1);
    // The end of the stream counts as the byte after the last.
    constexpr std::pair<StreamKind, Site> fatal_kinds[] = {{reset, Site::reset},
                                                           {reset_one_side, Site::reset_one_side},
                                                           {early_fin, Site::early_fin},
                                                           {silent_loss, Site::silent_loss}};
    for (const auto& [kind, site] : fatal_kinds)
      for (std::uint64_t byte = 0; byte <= d.bytes; ++byte)
        add(fatal, kind, {{site, d.entity, 0, byte + 1}});
    for (const std::uint64_t offset : d.departures)
      add(harmless, stall, {{Site::clog, d.entity, offset, stall_ns}});
    for (const auto& [offset, size] : d.writes)
      for (std::uint64_t taken = 1; taken < size; ++taken) {
        const sim::Decision shortened{Site::short_write, d.entity, offset, taken};
        add(harmless, short_write, {shortened});
        // Only what leaves by itself can be held up by itself.
        add(harmless, stall, {shortened, {Site::clog, d.entity, offset + taken, stall_ns}});
      }
    for (const auto& [offset, size] : d.reads)
      for (std::uint64_t taken = 1; taken < size; ++taken)
        add(harmless, short_read, {{Site::short_read, d.entity, offset, taken}});
    // One bit of each byte, another one from byte to byte.
    if (encrypted_)
      for (std::uint64_t byte = 0; byte < d.bytes; ++byte)
        add(fatal, bit_flip, {{Site::bit_flip, d.entity, 0, 8 * byte + byte * 3 % 8 + 1}});
  }

  bool encrypted_;
  Plan plan_;
};

}  // namespace

Plan plan_stream(const laws::Registry& registry, std::size_t transport, StackPool& stacks) {
  if (laws::transport_names()[transport] == "quic") return {};
  StreamPlan plan(laws::transport_encrypts(transport));
  std::vector<Base> bases = exchange_bases(transport);
  for (std::size_t i = 0; i + 1 < bases.size(); i += 2) {
    // The stricter twin: a benign run has nothing to die of.
    const Survey learned = survey(run_of(registry, transport, bases[i + 1]), stacks);
    plan.add_base(std::move(bases[i]), std::move(bases[i + 1]), learned);
  }
  return std::move(plan).take();
}

}  // namespace twinwire::exhaustive
