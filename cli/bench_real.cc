// SPDX-License-Identifier: Apache-2.0
// bench real: ours beside what people use today and beside io_uring by hand, the same work over loopback by turns.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <memory>
#include <vector>

#include "cli/bench_figures.h"
#include "cli/bench_processes.h"
#include "cli/bench_real_runs.h"
#include "cli/bench_svg.h"
#include "cli/exit_code.h"
#include "cli/not_empty.h"
#include "cli/verbs.h"
#include "cli/whole_file.h"

namespace twinwire::cli {
namespace {

using peers::RealKind;
using peers::RealReport;
using peers::RealWork;

struct RealArguments {
  std::vector<std::string> only;
  std::vector<std::string> peers;
  std::vector<std::string> streams = {"256x256", "1024x256", "4096x16", "65536x16"};
  std::vector<std::string> echoes = {"64x16", "64x1"};
  unsigned rounds = 5;
  std::string time = "300ms";
  std::string svg;
  bool alone = false;
  bool one_core = false;
  bool two_cores = false;
};

constexpr const char* ours_name = "twinwire";
constexpr const char* ours_copying_name = "twinwire-copy";
constexpr std::size_t ours_coalesces_below =
    1025;  // so that the works of 1 KiB are copied together, too

// One who does the work: ours, or a peer.
struct Contestant {
  std::string name;
  std::string what;
  bool ours = false;
  std::vector<std::string> kinds;  // of work that it does; empty: all
  std::size_t coalesce_below = 0;  // of ours
  bool copies = false;             // messages together: its ratios are of ours that does so, too

  bool does(RealKind kind) const {
    return kinds.empty() ||
           std::ranges::find(kinds, peers::real_kind_names[std::size_t(kind)]) != kinds.end();
  }
};

struct BenchedWork {
  std::string label;
  RealWork work;
};

// "256x16" as two numbers.
std::pair<std::size_t, std::size_t> parse_pair(const std::string& text, const char* example,
                                               std::uint64_t first_min, std::uint64_t first_max,
                                               std::uint64_t second_max) {
  const std::size_t cross = text.find('x');
  const auto first = parse_u64(text.substr(0, cross));
  const auto second = cross == std::string::npos ? std::nullopt : parse_u64(text.substr(cross + 1));
  if (!first || !second || *first < first_min || *first > first_max || *second < 1 ||
      *second > second_max)
    bad_usage("'" + text + "' is no pair such as " + example + ", of " + std::to_string(first_min) +
              " to " + std::to_string(first_max) + " and 1 to " + std::to_string(second_max));
  return {*first, *second};
}

std::vector<BenchedWork> works_of(const RealArguments& asked, std::uint64_t time_ns) {
  for (const std::string& name : asked.only)
    if (std::ranges::find(peers::real_kind_names, name) == std::end(peers::real_kind_names))
      bad_usage("'" + name + "' is no work; there are " + quoted_list(peers::real_kind_names) +
                suggestion(name, peers::real_kind_names));
  std::vector<BenchedWork> works;
  const auto add = [&](RealWork work, const std::string& of) {
    const std::string name(peers::real_kind_names[static_cast<std::size_t>(work.kind)]);
    if (!asked.only.empty() && std::ranges::find(asked.only, name) == asked.only.end()) return;
    work.time_ns = time_ns;
    works.push_back({of.empty() ? name : name + " " + of, work});
  };
  for (const std::string& text : asked.streams) {
    const auto [size, batch] = parse_pair(text, "256x256", header_size, 1 << 20, 512);
    add({.kind = RealKind::stream, .size = size, .batch = batch}, text);
  }
  for (const std::string& text : asked.echoes) {
    const auto [connections, depth] = parse_pair(text, "64x16", 1, 1000, 256);
    add({.kind = RealKind::echo, .connections = connections, .depth = depth}, text);
  }
  add({.kind = RealKind::ping_pong}, "");
  add({.kind = RealKind::singles, .batch = 64}, "");
  return works;
}

std::vector<Contestant> contestants_of(const RealArguments& asked, const std::string& program) {
  std::vector<Contestant> all = {
      {.name = ours_name, .what = "ours: Tcp over a Ring", .ours = true},
      {.name = ours_copying_name,
       .what = "ours with coalesce_below = " + with_commas(ours_coalesces_below) +
               ": messages of fewer bytes are copied together",
       .ours = true,
       .kinds = {"stream", "singles"},
       .coalesce_below = ours_coalesces_below}};
  if (asked.alone) return all;
  std::vector<std::string> names;
  for (RealPeerName& peer : real_peers_of(program)) {
    names.push_back(peer.name);
    if (asked.peers.empty() || std::ranges::find(asked.peers, peer.name) != asked.peers.end())
      all.push_back({.name = peer.name,
                     .what = peer.what,
                     .kinds = peer.kinds,
                     .copies = peer.name.ends_with("-flat")});
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  for (const std::string& name : asked.peers)
    if (std::ranges::find(names, name) == names.end())
      bad_usage("'" + name + "' is no peer; there are " + quoted_list(known) +
                suggestion(name, known));
  return all;
}

BenchCores cores_of(const RealArguments& asked) {
  if (!asked.two_cores) {
    stay_on_one_core();
    return {};
  }
  const std::vector<int> cores = my_cores();
  if (cores.size() < 2)
    throw Failure(ExitCode::environment, "--two-cores needs two processors, and there is one");
  return {.server = cores[0], .client = cores[1]};
}

// What one contestant has done in all rounds of one work.
struct Series {
  const Contestant* contestant;
  std::vector<RealReport> rounds;

  double median_of(double (*of)(const RealReport&)) const {
    std::vector<double> values;
    values.reserve(rounds.size());
    for (const RealReport& round : rounds) values.push_back(of(round));
    return median(values);
  }
};

double rate(const RealReport& r) {
  return static_cast<double>(r.messages) * 1e9 / static_cast<double>(r.wall_ns);
}
double cost(const RealReport& r) {
  return static_cast<double>(r.processor_ns) / static_cast<double>(r.messages);
}
double thrift(const RealReport& r) { return 1 / cost(r); }
double calls(const RealReport& r) {
  return static_cast<double>(r.calls) / static_cast<double>(r.messages);
}
double p50(const RealReport& r) { return static_cast<double>(r.p50_ns); }
double p99(const RealReport& r) { return static_cast<double>(r.p99_ns); }

struct Ratio {
  double middle;
  double low;
  double high;
};
Ratio ratio_of(const Series& ours, const Series& peer, double (*of)(const RealReport&)) {
  std::vector<double> each;
  each.reserve(peer.rounds.size());
  for (std::size_t i = 0; i < peer.rounds.size(); ++i)
    each.push_back(of(ours.rounds[i]) / of(peer.rounds[i]));
  const auto [low, high] = std::minmax_element(each.begin(), each.end());
  return {median(each), *low, *high};
}

// Every contestant once a round, and another one first in each.
std::vector<Series> measure_all(const std::vector<Contestant>& contestants, const RealWork& work,
                                const RealArguments& asked, const BenchCores& cores,
                                const std::string& program) {
  std::vector<Series> all;
  for (const Contestant& contestant : contestants)
    if (contestant.does(work.kind)) all.push_back({&contestant, {}});
  for (unsigned round = 0; round < asked.rounds; ++round)
    for (std::size_t i = 0; i < all.size(); ++i) {
      Series& series = all[(i + round) % all.size()];
      series.rounds.push_back(series.contestant->ours
                                  ? bench_real_ours(cores, work, series.contestant->coalesce_below)
                                  : bench_real_peer(cores, work, program, series.contestant->name));
    }
  return all;
}

// Whom of `all`, the first of which is ours, a contestant is measured against.
const Series& base_of(const std::vector<Series>& all, const Series& series) {
  const bool ours_copies = all.size() > 1 && all[1].contestant->coalesce_below != 0;
  return series.contestant->copies && ours_copies ? all[1] : all[0];
}

std::vector<std::string> real_row(const std::string& label, const Series& ours,
                                  const Series& series) {
  std::vector<std::string> row = {label, series.contestant->name, whole(series.median_of(rate))};
  const bool timed = series.rounds[0].p50_ns != 0;
  if (&ours == &series) {
    for (int i = 0; i < 4; ++i) row.emplace_back("-");
  } else {
    const Ratio ratio = ratio_of(ours, series, rate);
    const double by_cpu = ratio_of(ours, series, thrift).middle;
    for (const double value : {ratio.middle, ratio.low, ratio.high, by_cpu})
      row.push_back(decimal(value, 2));
  }
  row.push_back(whole(series.median_of(cost)));
  row.push_back(decimal(series.median_of(calls), 4));
  row.push_back(timed ? whole(series.median_of(p50)) : "-");
  row.push_back(timed ? whole(series.median_of(p99)) : "-");
  row.push_back(timed && &ours != &series ? decimal(ratio_of(ours, series, p50).middle, 2) : "-");
  return row;
}

ExitCode bench_real(const RealArguments& asked) {
  const auto time = parse_duration(asked.time);
  if (!time || *time <= Duration::zero() || *time > std::chrono::minutes(1))
    bad_usage("'" + asked.time + "' is no duration up to a minute; write 300ms or 1s");
  const auto works = works_of(asked, static_cast<std::uint64_t>(time->count()));
  if (!asked.svg.empty()) require_writable(asked.svg, "plot");
  const std::string program = asked.alone ? "" : peers_beside_us();
  const std::vector<Contestant> contestants = contestants_of(asked, program);
  const BenchCores cores = cores_of(asked);

  std::printf("the same work over loopback, by turns: %u rounds of %s each, both ends on %s\n",
              asked.rounds, format_duration(*time).c_str(),
              asked.two_cores ? "a core of their own" : "one core");
  for (const Contestant& contestant : contestants)
    std::printf("  %-11s %s\n", contestant.name.c_str(), contestant.what.c_str());
  std::fflush(stdout);

  std::vector<std::vector<std::string>> rows = {{"work", "who", "messages/s", "ours/its", "min",
                                                 "max", "by cpu", "ns", "calls", "p50 ns", "p99 ns",
                                                 "p50 ours/its"}};
  std::vector<RatioGroup> bars;
  std::uint64_t verified = 0;
  for (const BenchedWork& benched : works) {
    const auto all = measure_all(contestants, benched.work, asked, cores, program);
    RatioGroup group{benched.label, {}};
    for (const Series& series : all) {
      const Series& ours = base_of(all, series);
      rows.push_back(real_row(benched.label, ours, series));
      for (const RealReport& round : series.rounds) verified += round.messages;
      if (series.contestant->ours) continue;
      const Ratio ratio = ratio_of(ours, series, rate);
      group.bars.push_back({series.contestant->name, ratio.middle, ratio.low, ratio.high});
    }
    bars.push_back(std::move(group));
  }
  std::printf("%s", format_table(rows, true).c_str());
  std::printf(
      "ours/its: of messages per second, the median of the ratios within each round, with min and "
      "max; ours is\n"
      "twinwire-copy beside who copies messages together, and twinwire otherwise. by cpu: of\n"
      "messages per second of processor time, of both ends. ns: processor time a message. calls: "
      "system calls a message.\n"
      "A message of an echo is a round trip\n"
      "%s messages counted, sums verified\n",
      with_commas(verified).c_str());
  if (!asked.svg.empty()) write_whole_file(asked.svg, ratio_svg(bars), "plot");
  return ExitCode::pass;
}

}  // namespace

void add_bench_real(CLI::App& bench, ExitCode& code) {
  auto* verb = bench.add_subcommand(
      "real",
      "ours over loopback, beside io_uring by hand and what people use, doing the same work");
  auto options = std::make_shared<RealArguments>();
  verb->add_option("--only", options->only,
                   "work: stream, echo, ping-pong or singles; may be repeated");
  verb->add_option("--peer", options->peers, "only these; may be repeated");
  verb->add_option("--stream", options->streams, "SIZExBATCH of a stream; may be repeated")
      ->capture_default_str();
  verb->add_option("--echo", options->echoes, "CONNECTIONSxDEPTH of an echo; may be repeated")
      ->capture_default_str();
  verb->add_option("--rounds", options->rounds, "of which the median counts")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  verb->add_option("--time", options->time, "of one run of one of them")->capture_default_str();
  verb->add_option("--svg", options->svg, "a file for a plot of the ratios")->check(not_empty());
  verb->add_flag("--alone", options->alone, "without the peers");
  auto* one = verb->add_flag("--one-core", options->one_core, "both ends on one (the default)");
  verb->add_flag("--two-cores", options->two_cores, "a core for each end")->excludes(one);
  verb->callback([&code, options] { code = bench_real(*options); });
}

}  // namespace twinwire::cli
