// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_processes.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "cli/exit_code.h"
#include "cli/ring.h"
#include "props/peers/work.h"

namespace twinwire::cli {
namespace {

constexpr Duration patience = std::chrono::seconds(20);  // beyond the time of the work itself

void check_death(const Death& death) {
  if (death.signal == 0 && death.exit_code == 0) return;
  const auto code = death.signal != 0      ? ExitCode::crash
                    : death.exit_code == 1 ? ExitCode::law_broken
                                           : ExitCode::environment;
  std::string said = death.said;
  if (said.starts_with("twinwire: ")) said.erase(0, 10);
  throw Failure(code, said.empty() ? death.sentence() : said);
}

}  // namespace

Talker::Talker(const Body& body) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw Failure(ExitCode::environment, std::string("no pipe: ") + std::strerror(errno));
  in_ = ends[0];
  child_.emplace(Child::Options{.pulse = &*pulse_, .hang_after = {}, .capture_stderr = true}, [&] {
    try {
      body(ends[1]);
    } catch (const peers::Miscounted& damage) {
      throw Failure(ExitCode::law_broken, damage.what());
    }
    return 0;
  });
  ::close(ends[1]);
}

Talker::~Talker() { ::close(in_); }

std::string Talker::line(Duration takes, bool may_end) {
  const TimePoint until = real_now() + takes + patience;
  std::string text;
  for (;;) {
    pollfd readable{in_, POLLIN, 0};
    const Duration left = until - real_now();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count();
    char c = 0;
    if (ms <= 0) throw Failure(ExitCode::no_progress, "a process of the benchmark was silent");
    if (::poll(&readable, 1, static_cast<int>(ms)) <= 0) continue;
    if (::read(in_, &c, 1) != 1) {
      if (may_end && text.empty()) return text;
      throw_death();
    }
    if (c == '\n') return text;
    text += c;
  }
}

void Talker::finish() {
  const TimePoint until = real_now() + patience;
  for (;;) {
    if (const auto death = child_->poll()) return check_death(*death);
    if (real_now() >= until)
      throw Failure(ExitCode::no_progress, "a process of the benchmark did not end");
    pollfd ended{child_->descriptor(), POLLIN, 0};
    (void)::poll(&ended, 1, 100);
  }
}

void Talker::throw_death() {
  check_death(child_->wait());
  throw Failure(ExitCode::environment, "a process of the benchmark said nothing");
}

std::string bench_both(Duration takes, const BenchServer& server, const BenchClient& client) {
  Talker serving(server);
  const std::string line = serving.line(Duration::zero());
  unsigned port = 0;
  if (std::sscanf(line.c_str(), "port %u", &port) != 1 || port == 0 || port > 65535)
    throw Failure(ExitCode::environment, "a server of the benchmark said '" + line + "'");
  Talker loading([&](int out) { client(out, static_cast<std::uint16_t>(port)); });
  std::string measured = loading.line(takes);
  loading.finish();
  serving.finish();
  return measured;
}

void in_bench_ring(
    const std::function<void(real::Ring&, real::RingNetwork&, Scope& background)>& body) {
  const auto ring = open_ring();
  real::RingNetwork network(*ring);
  Scope root(ring->scheduler());
  root.spawn("bench", [&] {
    run_scope(ring->scheduler(), [&](Scope& background) {
      body(*ring, network, background);
      background.cancel();
    });
  });
  (void)ring->scheduler().run();
  root.rethrow_failure();
}

void become_peer(const std::string& program, int out, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program);
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  ::dup2(out, STDOUT_FILENO);
  ::execv(program.c_str(), argv.data());
  throw Failure(ExitCode::environment, "cannot run " + program + ": " + std::strerror(errno));
}

std::string peers_beside_us() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  const auto peers = self.parent_path() / "twinwire-peers";
  if (error || ::access(peers.c_str(), X_OK) != 0)
    throw Failure(ExitCode::environment,
                  "there is no twinwire-peers beside this tool: build it with `cmake --build "
                  "build/release --target twinwire-peers`, or give --alone to measure without "
                  "peers");
  return peers.string();
}

}  // namespace twinwire::cli
