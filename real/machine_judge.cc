// SPDX-License-Identifier: Apache-2.0
// What judge() says of a machine. The numbers that are enough are in `enough`, each with its reason.
#include "real/machine.h"
#include "real/probe.h"

namespace twinwire::real {
namespace {

using State = Finding::State;

namespace enough {
constexpr std::uint64_t descriptors = 10'000;                   // one for each connection
constexpr std::uint64_t locked_bytes = std::uint64_t{8} << 20;  // systemd's default: 2,048 pages
constexpr std::uint64_t somaxconn = 1024;                       // ListenOptions::backlog
constexpr std::uint64_t rmem_max = std::uint64_t{2} << 20;      // what a datagram socket asks for
constexpr std::uint64_t maps = 262'144;                         // 131,000 fibers
}  // namespace enough

std::string number(std::uint64_t value) {
  return value == UINT64_MAX ? "unlimited" : std::to_string(value);
}

Finding ring_finding(const Machine& machine) {
  Finding finding{.name = "io_uring", .needed = true};
  if (machine.ring) {
    finding.state = State::there;
    return finding;
  }
  finding.state = State::missing;
  finding.cost = "nothing runs over real sockets: serve, load, run --world ring";
  finding.remedy = explain_no_ring(machine.ring.error());
  return finding;
}

Finding mode_finding(const Machine& machine) {
  Finding finding{.name = "deferred completions"};
  if (!machine.ring) return finding;
  const bool deferred = *machine.ring == RingMode::deferred;
  finding.state = deferred ? State::there : State::missing;
  if (*machine.ring == RingMode::cooperative) finding.value = "cooperative mode instead";
  if (*machine.ring == RingMode::plain) finding.value = "plain mode instead";
  finding.cost = "the kernel interrupts the thread for completions: more CPU time a message";
  finding.remedy = "run on Linux 6.1 or later";
  return finding;
}

Finding feature(const Machine& machine, const char* name, bool RingFeatures::* has,
                const char* since, const char* cost) {
  Finding finding{.name = name};
  if (!machine.ring || machine.descriptors_ran_out) return finding;
  finding.state = machine.features.*has ? State::there : State::missing;
  finding.cost = cost;
  finding.remedy = std::string("run on Linux ") + since + " or later";
  return finding;
}

Finding udp(const Machine& machine, const char* name, bool has, const char* since,
            const char* cost) {
  if (machine.descriptors_ran_out) return {.name = name};
  return {.name = name,
          .state = has ? State::there : State::missing,
          .cost = cost,
          .remedy = std::string("run on Linux ") + since + " or later"};
}

Finding limit(const char* name, std::optional<std::uint64_t> value, std::uint64_t least,
              const std::string& cost, const std::string& remedy) {
  Finding finding{.name = name};
  if (!value) return finding;
  finding.state = *value >= least ? State::there : State::low;
  finding.value = number(*value);
  finding.cost = cost;
  finding.remedy = remedy;
  return finding;
}

Finding descriptors(const Machine& machine) {
  const std::uint64_t now = machine.descriptors.value_or(0);
  const std::uint64_t most = machine.descriptors_max.value_or(0);
  const std::string remedy =
      most >= enough::descriptors
          ? "ulimit -n " + number(most == UINT64_MAX ? 1'048'576 : most) + " before the start"
          : "raise the hard limit, which is " + number(most) +
                ": LimitNOFILE= of the systemd unit, or limits.conf(5)";
  if (machine.descriptors_ran_out)
    return {.name = "RLIMIT_NOFILE",
            .state = State::missing,
            .value = number(now) + ", and descriptors ran out while probing (EMFILE)",
            .cost = "nothing runs over real sockets; what is unknown above could not be looked at",
            .remedy = remedy,
            .needed = true};
  return limit("RLIMIT_NOFILE", machine.descriptors, enough::descriptors,
               "fewer than " + number(now) + " connections at one time; then newcomers wait",
               remedy);
}

Finding maps(const Machine& machine) {
  if (machine.cheap_guards)
    return {.name = "vm.max_map_count",
            .state = State::there,
            .value = "does not matter: stacks are guarded by MADV_GUARD_INSTALL"};
  return limit("vm.max_map_count", machine.max_map_count, enough::maps,
               "about " + number(machine.max_map_count.value_or(0) / 2) +
                   " fibers; a connection has one to four",
               "sysctl -w vm.max_map_count=1048576, or Linux 6.13, where guards cost no mapping");
}

}  // namespace

std::vector<Finding> judge(const Machine& machine) {
  std::vector<Finding> findings{ring_finding(machine), mode_finding(machine)};
  findings.reserve(16);
  findings.push_back(feature(machine, "provided buffer rings", &RingFeatures::buffer_rings, "5.19",
                             "each idle connection holds a receive buffer of 256 KiB"));
  findings.push_back(feature(machine, "multishot receive", &RingFeatures::multishot_receive, "6.0",
                             "one request to the kernel for each receive"));
  findings.push_back(feature(machine, "multishot accept", &RingFeatures::multishot_accept, "5.19",
                             "one request to the kernel for each connection accepted"));
  findings.push_back(feature(machine, "zero-copy send (SEND_ZC)", &RingFeatures::send_zero_copy,
                             "6.1", "the kernel copies what is sent, large messages too"));
  findings.push_back(feature(machine, "messages between rings (MSG_RING)",
                             &RingFeatures::ring_messages, "5.18",
                             "shards wake each other through a descriptor"));
  findings.push_back(udp(machine, "UDP segmentation (GSO)", machine.udp_segments, "4.18",
                         "quic: a system call's work for each datagram sent"));
  findings.push_back(udp(machine, "UDP coalescing (GRO)", machine.udp_coalesces, "5.0",
                         "quic: a system call's work for each datagram received"));
  findings.push_back(descriptors(machine));
  findings.push_back(limit("RLIMIT_MEMLOCK", machine.locked_bytes, enough::locked_bytes,
                           "zero-copy sends and registered buffers may fail with ENOMEM; before "
                           "Linux 5.12 the rings themselves",
                           "ulimit -l unlimited before the start, or LimitMEMLOCK= of the unit"));
  findings.push_back(limit("net.core.somaxconn", machine.somaxconn, enough::somaxconn,
                           "a shorter backlog than asked for: in a rush of connections SYNs are "
                           "dropped, and come again a second later",
                           "sysctl -w net.core.somaxconn=4096"));
  findings.push_back(limit("net.core.rmem_max", machine.rmem_max, enough::rmem_max,
                           "quic: bursts overflow the socket's buffer and are sent again; "
                           "--receive-buffer is cut to it",
                           "sysctl -w net.core.rmem_max=8388608"));
  findings.push_back(maps(machine));
  return findings;
}

bool can_run(const std::vector<Finding>& findings) noexcept {
  for (const Finding& finding : findings)
    if (finding.needed && finding.state != State::there) return false;
  return true;
}

}  // namespace twinwire::real
