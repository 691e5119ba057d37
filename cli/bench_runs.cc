// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_runs.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>

#include "cli/bench_ends.h"
#include "cli/child.h"
#include "cli/ring.h"
#include "cli/shared.h"
#include "cli/tls_options.h"
#include "cli/with_transport.h"
#include "real/ring_network.h"
#include "sim/sim_network.h"
#include "sim/world.h"

namespace twinwire::cli {
namespace {

constexpr Duration patience = std::chrono::seconds(20);  // beyond the time of the work itself

// A child whose lines we read.
class Talker {
 public:
  using Body = std::function<void(int out)>;

  explicit Talker(const Body& body) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
      throw Failure(ExitCode::environment, std::string("no pipe: ") + std::strerror(errno));
    in_ = ends[0];
    child_.emplace(Child::Options{.pulse = &*pulse_, .hang_after = {}, .capture_stderr = true},
                   [&] {
                     try {
                       body(ends[1]);
                     } catch (const peers::Miscounted& damage) {
                       throw Failure(ExitCode::law_broken, damage.what());
                     }
                     return 0;
                   });
    ::close(ends[1]);
  }
  Talker(const Talker&) = delete;
  Talker& operator=(const Talker&) = delete;
  ~Talker() { ::close(in_); }

  // One line; throws what the child said where none comes.
  std::string line(TimePoint until) {
    std::string text;
    for (;;) {
      pollfd readable{in_, POLLIN, 0};
      const Duration left = until - real_now();
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
      char c = 0;
      if (ms <= 0) throw Failure(ExitCode::no_progress, "a process of the benchmark was silent");
      if (::poll(&readable, 1, static_cast<int>(ms)) <= 0) continue;
      if (::read(in_, &c, 1) != 1) throw_death();
      if (c == '\n') return text;
      text += c;
    }
  }
  // To its end.
  void finish(TimePoint until) {
    for (;;) {
      if (const auto death = child_->poll()) return check(*death);
      if (real_now() >= until)
        throw Failure(ExitCode::no_progress, "a process of the benchmark did not end");
      pollfd ended{child_->descriptor(), POLLIN, 0};
      (void)::poll(&ended, 1, 100);
    }
  }

 private:
  [[noreturn]] void throw_death() {
    const Death death = child_->wait();
    check(death);
    throw Failure(ExitCode::environment, "a process of the benchmark said nothing");
  }
  static void check(const Death& death) {
    if (death.signal == 0 && death.exit_code == 0) return;
    const auto code = death.signal != 0      ? ExitCode::crash
                      : death.exit_code == 1 ? ExitCode::law_broken
                                             : ExitCode::environment;
    std::string said = death.said;
    if (said.starts_with("twinwire: ")) said.erase(0, 10);
    throw Failure(code, said.empty() ? death.sentence() : said);
  }

  Shared<Pulse> pulse_;
  std::optional<Child> child_;
  int in_ = -1;
};

// A paced congestion control, which a system may have as its default (bbr), would measure its pace.
constexpr const char* unpaced = "reno";

template <class T>
typename T::Options listening(Network& network) {
  TlsOptionsText text;
  text.self_signed = requires(typename T::Options options) { options.tls; };
  auto options = listen_options<T>(text, network);
  options.stream.congestion = unpaced;
  return options;
}
template <class T>
typename T::Options dialing() {
  TlsOptionsText text;
  text.self_signed = requires(typename T::Options options) { options.tls; };
  auto options = dial_options<T>(text);
  options.stream.congestion = unpaced;
  return options;
}

void print_report(int out, const peers::Report& report) {
  ::dprintf(out, peers::report_format, report.messages, report.bytes, report.wall_ns,
            report.processor_ns);
}
peers::Report parse_report(const std::string& line) {
  peers::Report report;
  if (std::sscanf(line.c_str(), peers::report_format, &report.messages, &report.bytes,
                  &report.wall_ns, &report.processor_ns) != 4 ||
      report.messages == 0 || report.wall_ns == 0 || report.processor_ns == 0)
    throw Failure(ExitCode::environment, "a process of the benchmark said '" + line + "'");
  return report;
}

// Two processes: the server says its port, the client what it measured.
peers::Report run_both(const peers::Work& work, const Talker::Body& server,
                       const std::function<void(int out, std::uint16_t port)>& client) {
  Talker serving(server);
  const std::string line = serving.line(real_now() + patience);
  unsigned port = 0;
  if (std::sscanf(line.c_str(), "port %u", &port) != 1 || port == 0 || port > 65535)
    throw Failure(ExitCode::environment, "a server of the benchmark said '" + line + "'");
  Talker loading([&](int out) { client(out, static_cast<std::uint16_t>(port)); });
  const Duration takes(static_cast<std::int64_t>(2 * work.time_ns));
  const peers::Report report = parse_report(loading.line(real_now() + takes + patience));
  loading.finish(real_now() + patience);
  serving.finish(real_now() + patience);
  return report;
}

// Runs `body(network, background)` in a fiber of a ring.
void in_ring(const std::function<void(Network&, Scope&)>& body) {
  const auto ring = open_ring();
  real::RingNetwork network(*ring);
  Scope root(ring->scheduler());
  root.spawn("bench", [&] {
    run_scope(ring->scheduler(), [&](Scope& background) {
      body(network, background);
      background.cancel();
    });
  });
  (void)ring->scheduler().run();
  root.rethrow_failure();
}

std::uint64_t wall() { return peers::clock_ns(CLOCK_MONOTONIC); }
std::uint64_t processor() { return peers::clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

template <class T>
peers::Report load_world(const peers::Work& work) {
  StackPool stacks;
  sim::WorldOptions options;
  options.steps_max = UINT64_MAX;
  sim::World world(options, stacks);
  sim::SimNetwork& server = world.add_node("server");
  sim::SimNetwork& client = world.add_node("client");
  peers::Report report;
  const sim::RunReport run = world.run([&](Scope& scope) {
    const Address address = server.address(4000);
    auto listener = T::listen(server, scope, address, listening<T>(server));
    require_result(listener, "cannot listen");
    run_scope(world.scheduler(), [&](Scope& ends) {
      ends.spawn("server", [&] { serve_bench<T>(server, *listener); });
      auto to = dialing<T>();
      if constexpr (requires { to.initial_rtt; }) to.initial_rtt = std::chrono::milliseconds(10);
      report = load_bench<T>(client, address, to, work, &processor, &processor);
    });
    scope.cancel();
  });
  if (run.failure) std::rethrow_exception(run.failure);
  if (run.ending != sim::Ending::finished)
    throw Failure(ExitCode::no_progress, "the World did not come to its end");
  return report;
}

void become(const std::string& program, int out, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::dup2(out, STDOUT_FILENO);
  ::execv(program.c_str(), argv.data());
  throw Failure(ExitCode::environment, "cannot run " + program + ": " + std::strerror(errno));
}

}  // namespace

peers::Report bench_in_world(std::size_t transport, const peers::Work& work) {
  Talker talker([&](int out) {
    with_transport(transport, [&]<class T>() { print_report(out, load_world<T>(work)); });
  });
  const Duration takes(static_cast<std::int64_t>(4 * work.time_ns));
  const peers::Report report = parse_report(talker.line(real_now() + takes + patience));
  talker.finish(real_now() + patience);
  return report;
}

peers::Report bench_on_ring(std::size_t transport, const peers::Work& work) {
  const auto server = [&](int out) {
    with_transport(transport, [&]<class T>() {
      in_ring([&](Network& network, Scope& background) {
        auto listener =
            T::listen(network, background, Address::v4(127, 0, 0, 1, 0), listening<T>(network));
        require_result(listener, "cannot listen");
        ::dprintf(out, "port %u\n", unsigned{listener->local().port});
        serve_bench<T>(network, *listener);
      });
    });
  };
  const auto client = [&](int out, std::uint16_t port) {
    with_transport(transport, [&]<class T>() {
      in_ring([&](Network& network, Scope&) {
        print_report(out, load_bench<T>(network, Address::v4(127, 0, 0, 1, port), dialing<T>(),
                                        work, &wall, &processor));
      });
    });
  };
  return run_both(work, server, client);
}

peers::Report bench_peer(const std::string& program, std::size_t transport,
                         const peers::Work& work) {
  const std::string name(laws::transport_names()[transport]);
  const std::string size = std::to_string(work.size);
  const std::string batch = std::to_string(work.batch);
  return run_both(
      work, [&](int out) { become(program, out, {"serve", name, size, batch}); },
      [&](int out, std::uint16_t port) {
        become(program, out,
               {"load", name, size, batch, std::to_string(work.time_ns), std::to_string(port)});
      });
}

std::string peers_version(const std::string& program) {
  Talker talker([&](int out) { become(program, out, {"version"}); });
  const std::string line = talker.line(real_now() + patience);
  talker.finish(real_now() + patience);
  return line;
}

}  // namespace twinwire::cli
