// SPDX-License-Identifier: Apache-2.0
// The fake kernel does what Linux does where a ring relies on it, and says what a ring must not do. And the scenario
// that stands on it: green over seeds, the same from run to run, and every fault of a kernel bites.
// ctest: slow timeout=600 no_tsan
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "props/fake_kernel/fake_kernel.h"
#include "props/laws/run_in_world.h"
#include "props/seed_count.h"
#include "real/socket_address.h"

namespace twinwire::fake {
namespace {

using sim::Site;

struct Got {
  std::uint64_t id;
  std::int32_t result;
  std::uint32_t flags;
};

// A ring of plain liburing on the fake kernel, and two connected sockets.
struct Rig {
  Rig(sim::World& world, laws::Judge& judge) : kernel(world, judge) {
    io_uring_params params{};
    params.cq_entries = 64;
    EXPECT_EQ(kernel.set_up(16, ring, params), 0);
    listener = kernel.open_socket();
    EXPECT_EQ(kernel.listen(listener, Address::v4(10, 0, 0, 1, 80), 8, {}), 0);
    client = kernel.open_socket();
    kernel.bind(client, Address::v4(10, 0, 0, 2, 0), {});
    const real::SocketAddress to(Address::v4(10, 0, 0, 1, 80));
    io_uring_prep_connect(next(1), client, &to.any, to.length);
    io_uring_prep_accept(next(2), listener, nullptr, nullptr, 0);
    for (const Got& got : enter())
      if (got.id == 2) server = got.result;
  }
  ~Rig() { kernel.tear_down(ring); }

  io_uring_sqe* next(std::uint64_t id) {
    io_uring_sqe* entry = io_uring_get_sqe(&ring);
    *entry = {};
    entry->user_data = id;
    ids.push_back(id);
    return entry;
  }
  std::vector<Got> enter() {
    // io_uring_prep_* clear it.
    for (unsigned at = *ring.sq.khead; at != ring.sq.sqe_tail; ++at)
      ring.sq.sqes[at & ring.sq.ring_mask].user_data = ids[at - *ring.sq.khead];
    ids.clear();
    (void)kernel.poll(ring);
    return reap();
  }
  std::vector<Got> reap() {
    std::vector<Got> all;
    unsigned head = 0;
    unsigned count = 0;
    io_uring_cqe* completion = nullptr;
    io_uring_for_each_cqe(&ring, head, completion) {
      all.push_back({completion->user_data, completion->res, completion->flags});
      ++count;
    }
    io_uring_cq_advance(&ring, count);
    return all;
  }
  void send(std::uint64_t id, int fd, const std::string& bytes) {
    io_uring_prep_send(next(id), fd, bytes.data(), bytes.size(), 0);
  }

  FakeKernel kernel;
  io_uring ring{};
  std::vector<std::uint64_t> ids;
  int listener = -1;
  int client = -1;
  int server = -1;
};

// Runs `body` in a world whose kernel makes these choices; what broke, in a word.
std::string play(std::vector<sim::Decision> edits, const std::function<void(Rig&)>& body) {
  laws::Judge judge;
  StackPool stacks;
  sim::WorldOptions options;
  options.edits = std::move(edits);
  sim::World world(options, stacks);
  const sim::RunReport report = world.run([&](Scope&) {
    Rig rig(world, judge);
    body(rig);
  });
  EXPECT_EQ(report.ending, sim::Ending::finished);
  return judge.verdict() ? judge.verdict()->law : "";
}

EntityId ring_entity() {
  return child_entity(child_entity(sim::World::root_entity, 0x6b65726e), 0);
}
EntityId file_entity(std::uint64_t nth) {
  return child_entity(child_entity(sim::World::root_entity, 0x6b65726e) + 1, nth);
}
constexpr std::uint64_t client_file = 2;

TEST(fake_kernel, bytes_that_are_sent_are_received) {
  EXPECT_EQ(play({},
                 [](Rig& rig) {
                   const std::string bytes = "hello";
                   std::string into(16, '\0');
                   io_uring_prep_recv(rig.next(10), rig.server, into.data(), into.size(), 0);
                   rig.send(11, rig.client, bytes);
                   const auto got = rig.enter();
                   ASSERT_EQ(got.size(), 2u);
                   EXPECT_EQ(got[0].id, 11u);
                   EXPECT_EQ(got[1].result, 5);
                   EXPECT_EQ(into.substr(0, 5), bytes);
                 }),
            "");
}

TEST(fake_kernel, a_number_that_was_closed_is_the_next_ones_at_once) {
  EXPECT_EQ(play({},
                 [](Rig& rig) {
                   rig.kernel.close(rig.client);
                   EXPECT_EQ(rig.kernel.open_socket(), rig.client);
                 }),
            "");
}

TEST(fake_kernel, a_close_is_an_end_and_one_with_bytes_unread_is_a_reset) {
  for (const bool unread : {false, true})
    EXPECT_EQ(play({},
                   [&](Rig& rig) {
                     const std::string bytes = "x";
                     if (unread) rig.send(10, rig.server, bytes);
                     (void)rig.enter();
                     rig.kernel.close(rig.client);
                     char into[4];
                     io_uring_prep_recv(rig.next(11), rig.server, into, sizeof into, 0);
                     EXPECT_EQ(rig.enter().back().result, unread ? -ECONNRESET : 0);
                   }),
              "");
}

TEST(fake_kernel, a_cancel_ends_what_waits_and_does_not_find_what_is_over) {
  EXPECT_EQ(play({},
                 [](Rig& rig) {
                   char into[4];
                   io_uring_prep_recv(rig.next(10), rig.server, into, sizeof into, 0);
                   io_uring_prep_cancel64(rig.next(11), 10, 0);
                   io_uring_prep_cancel64(rig.next(12), 10, 0);
                   const auto got = rig.enter();
                   ASSERT_EQ(got.size(), 3u);
                   EXPECT_EQ(got[0].result, -ECANCELED);
                   EXPECT_EQ(got[1].result, 0);
                   EXPECT_EQ(got[2].result, -ENOENT);
                 }),
            "");
}

TEST(fake_kernel, completions_that_find_the_queue_full_come_with_a_later_enter) {
  EXPECT_EQ(play({{Site::ring_completion_queue, ring_entity(), 0, 1}},
                 [](Rig& rig) {
                   const std::string bytes = "x";
                   std::size_t seen = 0;
                   for (std::uint64_t id = 10; id < 13; ++id) {
                     rig.send(id, rig.client, bytes);
                     rig.ids.back() = id;
                   }
                   for (int i = 0; i < 3; ++i) seen += rig.enter().size();
                   EXPECT_EQ(seen, 3u);
                 }),
            "");
}

TEST(fake_kernel, a_zero_copy_send_completes_twice_or_says_that_it_does_not) {
  for (const bool once : {false, true}) {
    std::vector<sim::Decision> edits;
    if (once) edits.push_back({Site::ring_no_notification, file_entity(client_file), 0, 1});
    EXPECT_EQ(play(edits,
                   [&](Rig& rig) {
                     std::string bytes = "hello";
                     iovec piece{bytes.data(), bytes.size()};
                     msghdr message{};
                     message.msg_iov = &piece;
                     message.msg_iovlen = 1;
                     io_uring_sqe* entry = rig.next(10);
                     io_uring_prep_sendmsg(entry, rig.client, &message, 0);
                     entry->opcode = IORING_OP_SENDMSG_ZC;
                     const auto got = rig.enter();
                     ASSERT_EQ(got.size(), once ? 1u : 2u);
                     EXPECT_EQ(got[0].result, 5);
                     EXPECT_EQ((got[0].flags & IORING_CQE_F_MORE) == 0, once);
                     if (!once) {
                       EXPECT_EQ(got[1].flags, IORING_CQE_F_NOTIF);
                     }
                   }),
              "");
  }
}

// --- What a ring must not do ----------------------------------------------------------------------------------------

TEST(fake_kernel, says_that_memory_was_written_before_its_operation_ended) {
  EXPECT_EQ(play({},
                 [](Rig& rig) {
                   char into[4];
                   io_uring_prep_recv(rig.next(10), rig.server, into, sizeof into, 0);
                   (void)rig.enter();
                   into[0] = 'x';
                   const std::string bytes = "y";
                   rig.send(11, rig.client, bytes);
                   (void)rig.enter();
                 }),
            "ring_memory");
}

TEST(fake_kernel, says_that_bytes_changed_before_they_were_sent) {
  EXPECT_EQ(play({{Site::ring_delay, file_entity(client_file), 1, 1000}},
                 [](Rig& rig) {
                   std::string bytes = "hello";
                   rig.send(10, rig.client, bytes);
                   (void)rig.enter();
                   bytes[0] = 'j';
                   (void)rig.kernel.world().scheduler().sleep_for(Duration(2000));
                   (void)rig.enter();
                 }),
            "ring_memory");
}

TEST(fake_kernel, says_that_a_descriptor_was_closed_with_operations_on_it_or_twice) {
  EXPECT_EQ(play({},
                 [](Rig& rig) {
                   static char into[4];  // the operation outlives this function
                   io_uring_prep_recv(rig.next(10), rig.server, into, sizeof into, 0);
                   (void)rig.enter();
                   rig.kernel.close(rig.server);
                 }),
            "ring_descriptor");
  EXPECT_EQ(play({},
                 [](Rig& rig) {
                   rig.kernel.close(rig.client);
                   rig.kernel.close(rig.client);
                 }),
            "ring_descriptor");
}

TEST(fake_kernel, says_that_two_receives_are_on_one_stream) {
  EXPECT_EQ(play({},
                 [](Rig& rig) {
                   static char into[2][4];  // the operations outlive this function
                   io_uring_prep_recv(rig.next(10), rig.server, into[0], 4, 0);
                   io_uring_prep_recv(rig.next(11), rig.server, into[1], 4, 0);
                   (void)rig.enter();
                 }),
            "ring_one_at_a_time");
}

// --- The scenario ---------------------------------------------------------------------------------------------------

TEST(ring_under_test, is_green_and_every_fault_of_a_kernel_bites) {
  const laws::Registry registry = laws::built_in_scenarios();
  StackPool stacks;
  laws::WorldRun run;
  run.scenario = registry.find("ring");
  const auto seeds = props::seed_count(300, 50);
  std::array<std::uint64_t, sim::site_count> bites{};
  for (run.options.seed = 1; run.options.seed <= static_cast<std::uint64_t>(seeds);
       ++run.options.seed) {
    run.options.faults = sim::FaultPlan::swarm(run.options.seed);
    const laws::Verdict verdict = laws::run_in_world(run, stacks);
    EXPECT_EQ(verdict.failure_key(), "pass")
        << "seed " << run.options.seed << ": " << verdict.detail;
    for (std::size_t i = 0; i < sim::site_count; ++i) bites[i] += verdict.report.counts[i].bit;
    if (run.options.seed % 5 == 0) {
      EXPECT_EQ(laws::run_in_world(run, stacks).report.hash, verdict.report.hash)
          << "seed " << run.options.seed;
    }
  }
  if (seeds < 300) return;
  for (std::size_t i = 0; i < sim::site_count; ++i)
    if (const auto site = static_cast<Site>(i); sim::is_of_ring(site)) {
      EXPECT_GT(bites[i], 0u) << sim::name(site) << " never bit";
    }
}

}  // namespace
}  // namespace twinwire::fake
