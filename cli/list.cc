// SPDX-License-Identifier: Apache-2.0
// list: what there is to choose from.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "cli/planted_tool.h"
#include "cli/run_spec.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace twinwire::cli {
namespace {

struct Meaning {
  sim::Site site;
  const char* text;
};

// In the order of the sites. The bound is the largest value that a choice may have.
constexpr Meaning meanings[] = {
    {sim::Site::wake_order,
     "which of the fibers that are ready runs first; on unless switched off"},
    {sim::Site::connect_delay, "a connect is answered later; bound in ns"},
    {sim::Site::connect_refused, "a connect is refused though somebody listens"},
    {sim::Site::connect_black_hole, "a connect is never answered"},
    {sim::Site::accept_failure,
     "a connection dies in the backlog (1), or descriptors are out (2); bound 1 or 2"},
    {sim::Site::segment_delay, "a segment travels longer; bound in ns"},
    {sim::Site::clog, "nothing more of one direction arrives for a while; bound in ns"},
    {sim::Site::short_write,
     "a write takes fewer bytes than it was given; bound: the most it takes"},
    {sim::Site::short_read, "a read gives fewer bytes than there are; bound: the most it gives"},
    {sim::Site::reset, "both sides see a reset at a byte of the stream; bound: the latest byte"},
    {sim::Site::reset_one_side,
     "the receiver alone sees a reset at a byte; bound: the latest byte"},
    {sim::Site::silent_loss,
     "from a byte on nothing of one direction arrives; bound: the latest byte"},
    {sim::Site::early_fin,
     "the receiver sees the end at a byte, the sender a reset; bound: the latest byte"},
    {sim::Site::reset_overtakes, "a reset destroys what is still in flight before it"},
    {sim::Site::datagram_delay, "a datagram travels longer, and is overtaken; bound in ns"},
    {sim::Site::datagram_loss, "a datagram is lost"},
    {sim::Site::datagram_duplicate, "a datagram arrives twice; bound: ns between the two"},
    {sim::Site::small_buffer, "a socket's buffer is small; bound: bytes above the kernel's least"},
    {sim::Site::bandwidth, "a direction is slow; bound: ns for each KiB"},
    {sim::Site::bit_flip,
     "a bit of a stream arrives flipped, where that is found; bound: the latest bit"},
    {sim::Site::datagram_burst, "seven of eight datagrams are lost for a while; bound: how many"},
    {sim::Site::datagram_flip, "a bit of a datagram arrives flipped; bound: the latest bit"},
    {sim::Site::datagram_cut, "a datagram arrives cut; bound: the most that is left"},
    {sim::Site::mtu_black_hole,
     "from a datagram on large ones vanish; bound: bytes above 1,199 that still pass"},
    {sim::Site::address_change, "a NAT gives a socket another port in mid-connection"},
    {sim::Site::partition, "two nodes do not hear each other; bound in ns"},
    {sim::Site::partition_one_way, "one node does not hear another; bound in ns"},
    {sim::Site::isolation, "a node hears nobody, and nobody it; bound in ns"},
    {sim::Site::clock_skew, "a node's calendar is wrong; bound in ns"},
    {sim::Site::clock_drift, "a node's calendar gains or loses; bound in ppm"},
    {sim::Site::no_descriptors, "a dial or bind finds no descriptor"},
    {sim::Site::no_memory, "the buffer pool says no"},
    {sim::Site::crash,
     "a node's program is killed, and started again; bound: ns until then; here and below, of "
     "nodes that a scenario starts"},
    {sim::Site::power_loss, "a node loses power; bound: ns until it is back"},
    {sim::Site::pause, "a node's fibers do not run, while its kernel goes on; bound in ns"},
    {sim::Site::unsynced_kept,
     "some of what was not synced outlives a crash; bound: how many records"},
    {sim::Site::split, "two groups of nodes do not hear each other; bound in ns"},
    {sim::Site::timer_drift, "a node's timers run fast or slow; bound in ppm"},
    {sim::Site::short_backlog, "a listener's backlog is short; bound: how many it holds"},
    {sim::Site::short_datagram_queue,
     "a datagram socket's buffer is small; bound: times 512 bytes above 16 KiB"},
    {sim::Site::cancel,
     "a fiber that waits is told to stop, as it goes on (1) or at once (2); bound: 1 or 2"},
    {sim::Site::ring_delay,
     "a completion comes later, overtaken by others; bound in ns; here and below, of the kernel "
     "that the scenario `ring` plays"},
    {sim::Site::ring_short_send, "a send takes fewer bytes; bound: the most it takes"},
    {sim::Site::ring_short_receive, "a receive brings fewer bytes; bound: the most it brings"},
    {sim::Site::ring_interrupted, "an operation ends with EINTR (1) or EAGAIN (2); bound: 1 or 2"},
    {sim::Site::ring_cancel_race,
     "an operation succeeds before its cancel (1), ends later (2, EALREADY), or is not found (3); "
     "bound: 1 to 3"},
    {sim::Site::ring_no_buffers, "a receive finds no buffer though some are provided"},
    {sim::Site::ring_multishot_end, "an operation that goes on ends with a good result"},
    {sim::Site::ring_no_notification, "a zero-copy send has no second completion"},
    {sim::Site::ring_notification, "the second completion comes later; bound in ns"},
    {sim::Site::ring_enter, "an enter answers EINTR (1), EBUSY (2), EAGAIN (3); bound: 1 to 3"},
    {sim::Site::ring_submission_queue, "the submission queue is short; bound: its power of two"},
    {sim::Site::ring_completion_queue, "the completion queue is short; bound: its power of two"},
    {sim::Site::ring_old_kernel, "the kernel lacks something; bound: 63"},
    {sim::Site::ring_accept, "an accept fails, or no descriptor is left (2); bound: 1 or 2"},
    {sim::Site::ring_reset, "both sides see a reset at a byte; bound: the latest byte"},
    {sim::Site::mail_delay,
     "what one shard of a node sends to another comes later; bound in ns; of nodes that have "
     "several shards"},
};
static_assert(std::size(meanings) == sim::site_count);

// A scenario says what it reads by reading it: one run without faults tells.
std::string knobs_of(const Tool& tool, const laws::ScenarioEntry& scenario) {
  RunSpec spec;
  spec.scenario = scenario.name;
  std::size_t transport = 0;
  while (scenario.bodies[transport] == nullptr) ++transport;
  spec.transport = laws::transport_names()[transport];
  spec.base = RunSpec::Base::none;
  StackPool stacks;
  return to_text(laws::run_in_world(spec.world_run(tool, 1), stacks).knobs_read);
}

void list_plants(const Tool& tool) {
  std::vector<std::vector<std::string>> rows;
  rows.reserve(tool.plants.plants.size());
  for (const PlantSet::Plant& plant : tool.plants.plants)
    rows.push_back(
        {std::string(plant.name), std::string(plant.what),
         "over " + std::string(plant.transport) + ", caught by " + std::string(plant.law)});
  std::printf("Planted bugs, for --plant (each proves that a law catches it)\n%s",
              format_table(rows, false).c_str());
}

ExitCode list(const Tool& tool, bool plants_only) {
  if (plants_only) {
    require_plants(tool);
    list_plants(tool);
    return ExitCode::pass;
  }
  constexpr auto transports = laws::transport_names();
  std::printf("Transports, for --transport\n  %s\n\n", quoted_list(transports).c_str());
  std::vector<std::vector<std::string>> rows;
  for (const laws::ScenarioEntry& scenario : tool.registry->entries()) {
    rows.push_back({std::string(scenario.name), std::string(scenario.summary)});
    if (const std::string knobs = knobs_of(tool, scenario); !knobs.empty())
      rows.push_back({"", "knobs, as seed 1 reads them: " + knobs});
  }
  std::printf("Scenarios, for --scenario; --set changes a knob\n%s\n",
              format_table(rows, false).c_str());
  rows.clear();
  for (const Meaning& meaning : meanings)
    rows.push_back({std::string(sim::name(meaning.site)), meaning.text});
  std::printf("Faults, for --fault NAME=PROBABILITY[:BOUND]\n%s\n",
              format_table(rows, false).c_str());
  if (tool.plants.live()) {
    list_plants(tool);
  } else if (const std::string planted = planted_sibling(); !planted.empty()) {
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      return ExitCode::environment;  // who called says why
    (void)std::system(("'" + planted + "' list --plants").c_str());
  } else {
    std::printf("Planted bugs: none here; the executable '-planted' beside this one is missing\n");
  }
  return ExitCode::pass;
}

// For scripts: one to a line.
ExitCode list_names(const Tool& tool, const std::string& kind, const std::string& transport) {
  if (kind == "transports") {
    if (!transport.empty())
      bad_usage("--transport asks for the scenarios that run over it: write --names scenarios");
    for (const std::string_view name : laws::transport_names())
      std::printf("%.*s\n", static_cast<int>(name.size()), name.data());
    return ExitCode::pass;
  }
  if (!transport.empty()) (void)transport_named(transport);
  for (const laws::ScenarioEntry& scenario : tool.registry->entries())
    if (transport.empty() || scenario.bodies[transport_named(transport)] != nullptr)
      std::printf("%.*s\n", static_cast<int>(scenario.name.size()), scenario.name.data());
  return ExitCode::pass;
}

}  // namespace

void add_list(CLI::App& app, const Tool& tool, ExitCode& code) {
  auto* verb = app.add_subcommand("list", "transports, scenarios, faults and planted bugs");
  auto plants_only = std::make_shared<bool>(false);
  auto* plants = verb->add_flag("--plants", *plants_only, "the planted bugs alone");
  auto kind = std::make_shared<std::string>();
  auto transport = std::make_shared<std::string>();
  auto* names = verb->add_option("--names", *kind, "names alone, for scripts: one to a line")
                    ->check(CLI::IsMember({"scenarios", "transports"}));
  names->excludes(plants);
  verb->add_option("--transport", *transport, "with --names scenarios: only those that run over it")
      ->needs(names);
  verb->callback([&tool, &code, plants_only, kind, transport] {
    code = kind->empty() ? list(tool, *plants_only) : list_names(tool, *kind, *transport);
  });
}

}  // namespace twinwire::cli
