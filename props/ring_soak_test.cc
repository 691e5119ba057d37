// SPDX-License-Identifier: Apache-2.0
// Ten thousand connections that are idle, and a hundred that are not: server and client are two processes with a ring
// each, and each end of a connection has a fiber that reads and one that writes. Every message arrives, the idle ones
// still work when they are asked, all close gracefully, and nothing is left.
// ctest: real_time slow
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "props/ring_fixture.h"
#include "transport/base/sanitizers.h"
#include "transport/fiber/channel.h"
#include "transport/tcp/tcp.h"

namespace twinwire::real {
namespace {

#if defined(TWINWIRE_TSAN)  // which knows some 8,000 fibers
constexpr std::size_t idle_wanted = 400;
constexpr std::size_t busy = 20;
constexpr std::uint64_t rounds = 20;
#elif defined(TWINWIRE_ASAN)
constexpr std::size_t idle_wanted = 1'500;
constexpr std::size_t busy = 50;
constexpr std::uint64_t rounds = 40;
#else
constexpr std::size_t idle_wanted = 10'000;
constexpr std::size_t busy = 100;
constexpr std::uint64_t rounds = 200;
#endif
constexpr std::size_t per_round = 64;  // messages in a batch
constexpr std::size_t dialers = 32;
constexpr Duration grace = seconds(60);

// What both ends need besides a descriptor for each connection.
constexpr std::size_t descriptors_spare = 200;

// How many connections can be idle, and why no more.
std::size_t idle_possible() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const std::size_t room =
      limit.rlim_cur - std::min<std::size_t>(limit.rlim_cur, descriptors_spare);
  if (room >= idle_wanted + busy) return idle_wanted;
  std::printf("the hard limit of RLIMIT_NOFILE, %zu, is too low for %zu idle connections\n",
              std::size_t{limit.rlim_max}, idle_wanted);
  return room > busy ? room - busy : 0;
}

// One end of a connection, with its two fibers: one reads, and hands on; the other writes what it is given.
struct End {
  End(Scheduler& scheduler, FramedConn&& conn) : End(scheduler, split(std::move(conn))) {}
  FramedReader reader;
  FramedWriter writer;
  Channel<Batch> out;

 private:
  End(Scheduler& scheduler, std::pair<FramedReader, FramedWriter> halves)
      : reader(std::move(halves.first)), writer(std::move(halves.second)), out(scheduler, 4) {}
};

void write_until_closed(End& end, std::size_t& closed) {
  for (;;) {
    auto batch = end.out.receive(Deadline::never());
    if (!batch) break;
    ASSERT_TRUE(end.writer.send_batch(*batch, Deadline::never()));
  }
  const auto gone = end.writer.close(grace);
  EXPECT_TRUE(gone.has_value()) << to_string(gone.error());
  if (gone) ++closed;
}

class RingSoak : public RingTest {
 protected:
  RingSoak() { ::alarm(500); }

  // Echoes what `connections` peers send, until each has said good-bye.
  void serve(std::size_t connections, int port_out) {
    std::uint64_t echoed = 0;
    std::size_t closed = 0;
    const Counters counters = run({}, [&](RingNetwork& network, Scope& scope) {
      Scheduler& scheduler = network.scheduler();
      std::vector<std::unique_ptr<End>> ends;
      ends.reserve(connections);
      run_scope(scheduler, [&](Scope& background) {
        auto listener = Tcp::listen(network, background, loopback, {});
        ASSERT_TRUE(listener.has_value());
        const std::uint16_t port = listener->local().port;
        ASSERT_EQ(::write(port_out, &port, sizeof port), ssize_t{sizeof port});
        for (std::size_t i = 0; i < connections; ++i) {
          auto accepted = listener->accept(in(seconds(120)));
          ASSERT_TRUE(accepted.has_value());
          End& end =
              *ends.emplace_back(std::make_unique<End>(scheduler, std::move(accepted->first)));
          scope.spawn("reader", [&] { echo(end, echoed); });
          scope.spawn("writer", [&] { write_until_closed(end, closed); });
        }
        background.cancel();
      });
      scope.join();
      EXPECT_EQ(scheduler.live(), 1u) << "fibers left besides this one";
    });
    EXPECT_EQ(closed, connections);
    EXPECT_EQ(counters.resets_sent, 0u);
    EXPECT_EQ(counters.resets_met, 0u);
    std::printf(
        "server: %zu connections, %llu messages echoed, %zu closed gracefully, %llu operations\n",
        connections, static_cast<unsigned long long>(echoed), closed,
        static_cast<unsigned long long>(counters.operations));
  }

  static void echo(End& end, std::uint64_t& echoed) {
    for (;;) {
      Batch batch(per_round);
      auto read = end.reader.read_batch(batch, default_max_message, Deadline::never());
      if (!read) {
        EXPECT_EQ(read.error(), Errc::closed);
        break;
      }
      echoed += batch.size();
      ASSERT_TRUE(end.out.send(batch, Deadline::never()));
    }
    end.out.close();
  }

  // The client's end: what comes back is what was sent, in order.
  struct Client {
    explicit Client(Scheduler& scheduler, FramedConn&& conn) : end(scheduler, std::move(conn)) {}
    End end;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    WaitQueue arrived;
  };

  void receive(Client& client, std::uint64_t name) {
    Batch batch(per_round);
    for (;;) {
      auto read = client.end.reader.read_batch(batch, default_max_message, Deadline::never());
      if (!read) {
        EXPECT_EQ(read.error(), Errc::closed);
        return;
      }
      for (const Message& message : batch.messages())
        ASSERT_EQ(request_id(message), name << 32 | client.received++);
      batch.clear();
      client.arrived.wake_all(ring().scheduler());
    }
  }

  // Sends `count` messages, and waits until all have come back.
  void exchange(RingNetwork& network, Client& client, std::uint64_t name, std::size_t count) {
    Batch batch(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto message = MutableMessage::create(network.buffers(), Command::request, i % 64);
      ASSERT_TRUE(message.has_value());
      message->set_request_id(name << 32 | client.sent++);
      std::ranges::fill(message->body(), static_cast<std::byte>(i));
      batch.push(std::move(*message).freeze());
    }
    ASSERT_TRUE(client.end.out.send(batch, in(seconds(120))));
    while (client.received < client.sent)
      ASSERT_EQ(client.arrived.wait(network.scheduler(), in(seconds(120)), "what was sent"),
                Wake::ready)
          << "connection " << name << ": " << client.received << " of " << client.sent;
  }

  void load(std::size_t connections, std::uint16_t port) {
    std::size_t closed = 0;
    std::uint64_t received = 0;
    const Counters counters = run({}, [&](RingNetwork& network, Scope& scope) {
      Scheduler& scheduler = network.scheduler();
      std::vector<std::unique_ptr<Client>> clients(connections);
      run_scope(scheduler, [&](Scope& dialing) {
        for (std::size_t d = 0; d < dialers; ++d)
          dialing.spawn("dialer", [&, d] {
            for (std::size_t i = d; i < connections; i += dialers) {
              auto conn = Tcp::dial(network, Address::v4(127, 0, 0, 1, port), {}, in(seconds(120)));
              ASSERT_TRUE(conn.has_value()) << to_string(conn.error());
              clients[i] = std::make_unique<Client>(scheduler, std::move(*conn));
              scope.spawn("reader", [this, c = clients[i].get(), i] { receive(*c, i); });
              scope.spawn("writer",
                          [c = clients[i].get(), &closed] { write_until_closed(c->end, closed); });
            }
          });
      });
      if (::testing::Test::HasFailure()) _exit(1);
      run_scope(scheduler, [&](Scope& working) {
        for (std::size_t i = 0; i < busy; ++i)
          working.spawn("busy", [&, i] {
            for (std::uint64_t r = 0; r < rounds; ++r) exchange(network, *clients[i], i, per_round);
          });
      });
      // All are there still: the idle ones' two fibers, the busy ones', and this one.
      EXPECT_EQ(scheduler.live(), 2 * connections + 1);
      EXPECT_GE(ring().core().operations().in_flight(), connections) << "reads in progress";
      for (std::size_t i = 0; i < connections; ++i) exchange(network, *clients[i], i, 1);
      for (auto& client : clients) {
        EXPECT_EQ(client->sent, client->received);
        received += client->received;
        client->end.out.close();
      }
      scope.join();
      EXPECT_EQ(scheduler.live(), 1u) << "fibers left besides this one";
    });
    EXPECT_EQ(closed, connections);
    EXPECT_EQ(received, busy * rounds * per_round + connections);
    EXPECT_EQ(counters.resets_sent, 0u);
    EXPECT_EQ(counters.resets_met, 0u);
    std::printf("client: %zu connections, %llu messages came back, %zu closed gracefully\n",
                connections, static_cast<unsigned long long>(received), closed);
  }
};

TEST_F(RingSoak, ten_thousand_idle_connections_and_a_hundred_busy_ones) {
  const std::size_t idle = idle_possible();
  if (idle == 0) GTEST_SKIP() << "no descriptors for idle connections";
  const std::size_t connections = idle + busy;
  int port_pipe[2];
  ASSERT_EQ(::pipe2(port_pipe, O_CLOEXEC), 0);
  std::fflush(stdout);
  const pid_t client = ::fork();
  ASSERT_GE(client, 0);
  if (client == 0) {
    ::alarm(500);
    std::uint16_t port = 0;
    if (::read(port_pipe[0], &port, sizeof port) != sizeof port) _exit(2);
    load(connections, port);
    std::fflush(stdout);
    _exit(HasFailure() ? 1 : 0);
  }
  serve(connections, port_pipe[1]);
  ::close(port_pipe[0]);
  ::close(port_pipe[1]);
  int status = 0;
  ASSERT_EQ(::waitpid(client, &status, 0), client);
  EXPECT_EQ(status, 0) << "the client's process failed: what it said stands above";
}

}  // namespace
}  // namespace twinwire::real
