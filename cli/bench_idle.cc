// SPDX-License-Identifier: Apache-2.0
// bench idle: what a connection costs in memory while nothing happens on it. A server process holds so many, each with
// a fiber that waits for messages and one that waits for something to send; its clients are another process.
#include <malloc.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "cli/bench_ends.h"
#include "cli/bench_processes.h"
#include "cli/exit_code.h"
#include "cli/run_spec.h"
#include "cli/text.h"
#include "cli/tls_options.h"
#include "cli/verbs.h"
#include "cli/whole_number.h"
#include "cli/with_transport.h"
#include "props/peers/work.h"
#include "transport/fiber/wait_queue.h"

namespace twinwire::cli {
namespace {

constexpr std::uint64_t dialers = 16;
constexpr std::uint64_t descriptors_spare = 100;

struct IdleArguments {
  std::vector<std::string> transports = {"tcp"};
  std::uint64_t connections = 10'000;
  std::uint64_t messages = 1;
};

struct IdleWork {
  std::uint64_t connections = 0;
  std::uint64_t messages = 0;  // echoed on each connection before it is idle
  Duration takes;
  Deadline until(Network& network) const { return network.clock().in(takes); }
};

// --- What is resident -----------------------------------------------------------------------------------------------

struct Resident {
  std::uint64_t all = 0;
  std::uint64_t stacks = 0;
  std::uint64_t heap = 0;         // in use, as malloc(3) counts it
  std::uint64_t page_tables = 0;  // the kernel's, and not in `all`
  std::uint64_t fibers = 0;
};

// A line "Name:  N kB" of a file of /proc.
std::uint64_t bytes_of(const char* path, const char* name) {
  std::FILE* file = std::fopen(path, "r");
  if (file == nullptr)
    throw Failure(ExitCode::environment, std::string("no ") + path + ": " + std::strerror(errno));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> closes(file, &std::fclose);
  char line[256];
  unsigned long long kib = 0;
  while (std::fgets(line, sizeof line, file) != nullptr)
    if (std::strncmp(line, name, std::strlen(name)) == 0 &&
        std::sscanf(line + std::strlen(name), ": %llu", &kib) == 1)
      return kib * 1024;
  throw Failure(ExitCode::environment, std::string(path) + " does not tell " + name);
}

Resident resident(real::Ring& ring) {
  Resident now;
  ring.scheduler().for_each_fiber([&](const Fiber& fiber) {
    now.stacks += ring.stacks().watermark(fiber.stack);
    ++now.fibers;
  });
  const struct mallinfo2 heap = ::mallinfo2();
  now.heap = heap.uordblks + heap.hblkhd;
  now.page_tables = bytes_of("/proc/self/status", "VmPTE");
  now.all = bytes_of("/proc/self/smaps_rollup", "Rss");
  return now;
}

// --- The two processes ----------------------------------------------------------------------------------------------

void raise_descriptor_limit(std::uint64_t wanted) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < wanted)
    throw Failure(ExitCode::environment,
                  "the hard limit of open descriptors, " + with_commas(limit.rlim_max) +
                      ", is under the " + with_commas(wanted) +
                      " that so many connections need: raise it (ulimit -Hn), or give fewer");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    throw Failure(ExitCode::environment,
                  std::string("no more descriptors: ") + std::strerror(errno));
}

// One end of a connection and what its two fibers share.
template <class T>
struct IdleEnd {
  explicit IdleEnd(typename T::Conn&& conn) : IdleEnd(split(std::move(conn))) {}
  typename T::Conn::Reader reader;
  typename T::Conn::Writer writer;
  WaitQueue work;

 private:
  explicit IdleEnd(std::pair<typename T::Conn::Reader, typename T::Conn::Writer>&& halves)
      : reader(std::move(halves.first)), writer(std::move(halves.second)) {}
};

template <class T>
void echo_then_wait(IdleEnd<T>& end, std::uint64_t messages, std::uint64_t& echoed) {
  {
    Batch batch(1);
    for (std::uint64_t i = 0; i < messages; ++i) {
      auto message = end.reader.read_message(default_max_message, Deadline::never());
      require_result(message, "a message did not come");
      batch.push(std::move(*message));
      require_result(end.writer.send_batch(batch, Deadline::never()), "an echo was not taken");
      ++echoed;
    }
  }
  (void)end.reader.read_message(default_max_message, Deadline::never());
}

template <class T>
void serve_idle(real::Ring& ring, Network& network, int out, const IdleWork& work) {
  Scheduler& scheduler = network.scheduler();
  std::vector<std::unique_ptr<IdleEnd<T>>> ends;
  ends.reserve(work.connections);
  run_scope(scheduler, [&](Scope& scope) {
    TlsOptionsText text;
    text.self_signed = requires(typename T::Options options) { options.tls; };
    auto listener =
        T::listen(network, scope, Address::v4(127, 0, 0, 1, 0), listen_options<T>(text, network));
    require_result(listener, "cannot listen");
    const Resident before = resident(ring);
    ::dprintf(out, "port %u\n", unsigned{listener->local().port});
    std::uint64_t echoed = 0;
    for (std::uint64_t i = 0; i < work.connections; ++i) {
      auto accepted = listener->accept(work.until(network));
      require_result(accepted, "a client did not connect");
      IdleEnd<T>& end =
          *ends.emplace_back(std::make_unique<IdleEnd<T>>(std::move(accepted->first)));
      scope.spawn("reader", [&] { echo_then_wait<T>(end, work.messages, echoed); });
      scope.spawn("writer",
                  [&] { (void)end.work.wait(scheduler, Deadline::never(), "something to send"); });
    }
    while (echoed < work.connections * work.messages)
      (void)scheduler.sleep_for(std::chrono::milliseconds(10));
    // What a handshake leaves to be done is done.
    (void)scheduler.sleep_for(std::chrono::milliseconds(200));
    const Resident after = resident(ring);
    ::dprintf(out, "%llu %llu %llu %llu %llu\n",
              static_cast<unsigned long long>(after.all - before.all),
              static_cast<unsigned long long>(after.stacks - before.stacks),
              static_cast<unsigned long long>(after.heap - before.heap),
              static_cast<unsigned long long>(after.page_tables - before.page_tables),
              static_cast<unsigned long long>(after.fibers - before.fibers));
    scope.cancel();
  });
}

template <class T>
void hold_idle(Network& network, std::uint16_t port, const IdleWork& work) {
  TlsOptionsText text;
  text.self_signed = requires(typename T::Options options) { options.tls; };
  const auto options = dial_options<T>(text);
  std::vector<std::unique_ptr<IdleEnd<T>>> ends(work.connections);
  run_scope(network.scheduler(), [&](Scope& scope) {
    for (std::uint64_t d = 0; d < dialers; ++d)
      scope.spawn("dialer", [&, d] {
        for (std::uint64_t i = d; i < work.connections; i += dialers) {
          auto conn =
              T::dial(network, Address::v4(127, 0, 0, 1, port), options, work.until(network));
          require_result(conn, "cannot connect");
          IdleEnd<T>& end = *(ends[i] = std::make_unique<IdleEnd<T>>(std::move(*conn)));
          Batch batch(1);
          for (std::uint64_t m = 0; m < work.messages; ++m) {
            auto message = MutableMessage::create(network.buffers(), peers::data_command, 64);
            require_result(message, "no memory for a message");
            std::memset(message->body().data(), 0, message->body().size());
            batch.push(std::move(*message).freeze());
            require_result(end.writer.send_batch(batch, work.until(network)),
                           "a message was not taken");
            require_result(end.reader.read_message(default_max_message, work.until(network)),
                           "an echo did not come");
          }
        }
      });
  });
  // Until the server has measured, and lets go.
  for (const auto& end : ends)
    (void)end->reader.read_message(default_max_message, work.until(network));
}

// --- The verb -------------------------------------------------------------------------------------------------------

std::vector<std::string> measure_idle(const std::string& name, const IdleWork& work) {
  const std::size_t transport = transport_named(name);
  Talker server([&](int out) {
    raise_descriptor_limit(work.connections + descriptors_spare);
    with_transport(transport, [&]<class T>() {
      in_bench_ring([&](real::Ring& ring, Network& network, Scope&) {
        serve_idle<T>(ring, network, out, work);
      });
    });
  });
  const std::string said = server.line(Duration::zero());
  unsigned port = 0;
  if (std::sscanf(said.c_str(), "port %u", &port) != 1)
    throw Failure(ExitCode::environment, "the server said '" + said + "'");
  Talker client([&](int) {
    raise_descriptor_limit(work.connections + descriptors_spare);
    with_transport(transport, [&]<class T>() {
      in_bench_ring([&](real::Ring&, Network& network, Scope&) {
        hold_idle<T>(network, static_cast<std::uint16_t>(port), work);
      });
    });
  });
  const std::string measured = server.line(work.takes);
  unsigned long long n[5] = {};
  if (std::sscanf(measured.c_str(), "%llu %llu %llu %llu %llu", &n[0], &n[1], &n[2], &n[3],
                  &n[4]) != 5)
    throw Failure(ExitCode::environment, "the server said '" + measured + "'");
  server.finish();
  client.finish();
  std::vector<std::string> row = {name, with_commas(work.connections)};
  char fibers[32];
  (void)std::snprintf(fibers, sizeof fibers, "%.2f",
                      static_cast<double>(n[4]) / static_cast<double>(work.connections));
  row.emplace_back(fibers);
  const unsigned long long rest = n[0] > n[1] + n[2] ? n[0] - n[1] - n[2] : 0;
  for (const unsigned long long bytes : {n[0], n[1], n[2], rest, n[3]})
    row.push_back(with_commas(bytes / work.connections));
  return row;
}

ExitCode bench_idle(const IdleArguments& options) {
  std::vector<std::vector<std::string>> table = {
      {"transport", "connections", "fibers", "resident", "stacks", "heap", "rest", "page tables"}};
  for (const std::string& name : options.transports) {
    const IdleWork work{options.connections, options.messages,
                        std::chrono::seconds(60) + static_cast<std::int64_t>(options.connections) *
                                                       std::chrono::milliseconds(10)};
    table.push_back(measure_idle(name, work));
  }
  std::printf(
      "idle connections, of which a server holds so many after %s messages were echoed on each; "
      "its memory\n"
      "for one connection, in bytes: what is resident of the process, more than before the "
      "first\n%s",
      with_commas(options.messages).c_str(), format_table(table, true).c_str());
  std::printf(
      "fibers: for a connection, two of them the application's. stacks: of fibers, whole pages. "
      "heap: in use, as\n"
      "malloc(3) counts. rest: of the heap what is not in use, and all else. page tables are the "
      "kernel's, beside\n"
      "what is resident, as its sockets are\n");
  return ExitCode::pass;
}

}  // namespace

void add_bench_idle(CLI::App& bench, ExitCode& code) {
  auto* verb = bench.add_subcommand("idle", "the memory of a connection on which nothing happens");
  auto options = std::make_shared<IdleArguments>();
  verb->add_option("--transport", options->transports, "may be repeated")->capture_default_str();
  verb->add_option("--connections", options->connections, "at one time")
      ->check(whole_number(1, 1'000'000))
      ->capture_default_str();
  verb->add_option("--messages", options->messages,
                   "echoed on each connection before it is idle, which its stacks remember")
      ->check(whole_number(0, 1000))
      ->capture_default_str();
  verb->callback([&code, options] { code = bench_idle(*options); });
}

}  // namespace twinwire::cli
