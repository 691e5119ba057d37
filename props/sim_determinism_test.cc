// SPDX-License-Identifier: Apache-2.0
// One seed, one run: the same hash twice in a process, and again when its recorded choices are played back.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

struct Played {
  RunReport report;
  std::vector<Decision> recorded;
  std::size_t edits_used = 0;
};

// Raw streams and datagrams under the swarm: three clients that send, end, abort or vanish; a server that echoes.
Played play(const WorldOptions& options, StackPool& stacks) {
  World world(options, stacks);
  SimNetwork& server = world.add_node("server");
  SimNetwork* clients[] = {&world.add_node("a"), &world.add_node("b"), &world.add_node("c")};
  Played played;
  played.report = world.run([&](Scope& scope) {
    auto acceptor = *server.listen(server.address(port), {.stream = {.receive_buffer = 3000}});
    auto socket = *server.bind(server.address(port), {});
    scope.spawn("acceptor", [&] {
      run_scope(world.scheduler(), [&](Scope& echoes) {
        for (int tries = 0; tries < 12; ++tries) {
          auto stream = acceptor->accept({world.now() + 300s});
          if (!stream) continue;
          echoes.spawn("echo", [&world, stream = std::move(*stream)] {
            for (;;) {
              auto slice = stream->read({world.now() + 1500s});
              if (!slice) return;
              if (slice->empty()) break;
              const Bytes bytes(slice->bytes().begin(), slice->bytes().end());
              if (!write_all(*stream, bytes, {world.now() + 1500s})) return;
            }
            (void)stream->shutdown_write(Deadline::never());
          });
        }
      });
    });
    scope.spawn("datagrams", [&] {
      while (auto batch = socket->receive({world.now() + 1500s}))
        for (const ReceivedDatagram& d : *batch) {
          const Datagram back{.remote = d.remote, .bytes = d.bytes.bytes()};
          (void)socket->send({&back, 1}, {});
        }
    });
    for (SimNetwork* client : clients)
      scope.spawn(client->name(), [&world, &server, client] {
        auto udp = *client->bind({}, {});
        for (int nth = 0; nth < 3; ++nth) {
          auto stream =
              client->dial(server.address(port), {.send_buffer = 2000}, {world.now() + 200s});
          if (!stream) continue;
          const std::size_t size = client->random().below(6000);
          run_scope(world.scheduler(), [&](Scope& both) {
            both.spawn("writer", [&] {
              if (write_all(**stream, pattern(size), {world.now() + 1500s}) && nth != 2)
                (void)(*stream)->shutdown_write(Deadline::never());
              else
                (*stream)->abort();
            });
            Bytes got;
            (void)read_up_to(**stream, got, SIZE_MAX, {world.now() + 1500s});
            EXPECT_EQ(got, pattern(got.size()));
          });
          const Bytes bytes = pattern(size % 1000);
          const Datagram datagram{.remote = server.address(port), .bytes = bytes};
          (void)udp->send({&datagram, 1}, {});
          (void)udp->receive({world.now() + 1s});
        }
      });
    scope.join();
  });
  played.recorded = world.decisions().recorded();
  played.edits_used = world.decisions().edits_used();
  return played;
}

WorldOptions swarm(std::uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.faults = FaultPlan::swarm(seed);
  // What is read is held against what was written; and each has its socket.
  options.faults.off(Site::bit_flip);
  options.faults.off(Site::no_descriptors);
  options.record = true;
  return options;
}

auto key(const Decision& d) { return std::tuple(d.site, d.entity, d.occurrence); }

TEST(sim_determinism, two_runs_of_a_seed_are_one) {
  std::set<std::uint64_t> hashes;
  StackPool fresh;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Played first = play(swarm(seed), test_stacks());
    const Played second = play(swarm(seed), fresh);
    ASSERT_EQ(first.report.hash, second.report.hash) << "seed " << seed;
    ASSERT_EQ(first.report.steps, second.report.steps) << "seed " << seed;
    ASSERT_EQ(first.report.at, second.report.at) << "seed " << seed;
    ASSERT_EQ(first.recorded, second.recorded) << "seed " << seed;
    expect_clean(first.report);
    hashes.insert(first.report.hash);
  }
  EXPECT_EQ(hashes.size(), 200u) << "different seeds are different runs";
}

TEST(sim_determinism, recorded_choices_given_to_a_benign_world_make_the_same_run) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Played first = play(swarm(seed), test_stacks());
    WorldOptions replay = swarm(seed);
    replay.base = Decisions::Base::benign;
    replay.edits = first.recorded;
    const Played second = play(replay, test_stacks());
    ASSERT_EQ(first.report.hash, second.report.hash) << "seed " << seed;
    ASSERT_EQ(first.recorded, second.recorded) << "seed " << seed;
    ASSERT_EQ(second.edits_used, first.recorded.size()) << "seed " << seed;
    for (std::size_t i = 0; i < site_count; ++i)
      EXPECT_EQ(first.report.counts[i].bit, second.report.counts[i].bit)
          << name(static_cast<Site>(i));
  }
}

TEST(sim_determinism, an_edited_choice_changes_no_other_keys_value) {
  int compared = 0;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Played first = play(swarm(seed), test_stacks());
    if (first.recorded.empty()) continue;
    WorldOptions edited = swarm(seed);
    Decision neutral = first.recorded[first.recorded.size() / 2];
    neutral.choice = 0;
    edited.edits = {neutral};
    const Played second = play(edited, test_stacks());
    EXPECT_EQ(second.edits_used, 1u) << "seed " << seed;
    std::vector<Decision> before = first.recorded;
    std::vector<Decision> after = second.recorded;
    const auto by_key = [](const Decision& a, const Decision& b) { return key(a) < key(b); };
    std::sort(before.begin(), before.end(), by_key);
    std::sort(after.begin(), after.end(), by_key);
    for (const Decision& d : after) {
      EXPECT_FALSE(d.same_key(neutral));
      const auto same = std::lower_bound(before.begin(), before.end(), d, by_key);
      if (same == before.end() || !same->same_key(d)) continue;
      // A short write or read is also bounded by what there is to write or read.
      if (d.site == Site::short_write || d.site == Site::short_read) continue;
      EXPECT_EQ(same->choice, d.choice) << "seed " << seed << ", " << name(d.site);
      ++compared;
    }
  }
  EXPECT_GT(compared, 1000);
}

TEST(sim_determinism, a_run_does_not_depend_on_the_worlds_before_it) {
  std::vector<std::uint64_t> forward;
  forward.reserve(50);
  for (std::uint64_t seed = 0; seed < 50; ++seed)
    forward.push_back(play(swarm(seed), test_stacks()).report.hash);
  BufferPool pool;
  for (std::uint64_t seed = 50; seed-- > 0;) {
    WorldOptions options = swarm(seed);
    options.buffers = &pool;
    EXPECT_EQ(play(options, test_stacks()).report.hash, forward[seed]) << "seed " << seed;
  }
}

// Runs that differ in nothing but one byte that is delivered.
TEST(sim_determinism, one_byte_of_a_payload_changes_the_hash) {
  const auto hash_of = [](std::size_t changed) {
    return run_rig([&](Rig& rig) {
             Bytes bytes = pattern(1000);
             if (changed < bytes.size()) bytes[changed] ^= std::byte{1};
             ASSERT_TRUE(write_all(*rig.client, bytes).has_value());
             ASSERT_TRUE(rig.client->shutdown_write(Deadline::never()).has_value());
             EXPECT_EQ(read_to_end(*rig.server), bytes);
           })
        .hash;
  };
  std::set<std::uint64_t> hashes;
  for (const std::size_t changed : {0, 1, 63, 64, 500, 998, 999, 1000})
    hashes.insert(hash_of(changed));
  EXPECT_EQ(hashes.size(), 8u);
}

TEST(sim_determinism, no_choice_is_drawn_twice_under_one_key) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    std::vector<Decision> all = play(swarm(seed), test_stacks()).recorded;
    std::sort(all.begin(), all.end(),
              [](const Decision& a, const Decision& b) { return key(a) < key(b); });
    const auto twin = std::adjacent_find(
        all.begin(), all.end(), [](const Decision& a, const Decision& b) { return a.same_key(b); });
    EXPECT_EQ(twin, all.end()) << "seed " << seed << ", "
                               << (twin != all.end() ? name(twin->site) : "");
  }
}

}  // namespace
}  // namespace twinwire::sim
