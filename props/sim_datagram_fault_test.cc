// SPDX-License-Identifier: Apache-2.0
// What becomes of datagrams: bursts of losses, damage, a path that carries no large ones, a NAT that forgets.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "props/sim_rig.h"

namespace twinwire::sim {
namespace {

struct Pair {
  World& world;
  std::unique_ptr<DatagramSocket>& client;
  std::unique_ptr<DatagramSocket>& server;
};

template <class F>
RunReport run_pair(std::string_view fault, F&& body) {
  WorldOptions options;
  EXPECT_TRUE(options.faults.set(fault).has_value()) << fault;
  return run_nodes(options, [&](World& world, SimNetwork& first, SimNetwork& second, Scope&) {
    auto server = *first.bind(first.address(5000), {});
    auto client = *second.bind(second.address(5000), {});
    Pair sockets{world, client, server};
    body(sockets);
  });
}

void send_to(DatagramSocket& from, const Address& to, const Bytes& bytes) {
  const Datagram datagram{.remote = to, .bytes = bytes};
  EXPECT_TRUE(from.send({&datagram, 1}, {}).has_value());
}

struct Arrived {
  Address from;
  Bytes bytes;
};
std::vector<Arrived> all_arrived(World& world, DatagramSocket& socket) {
  std::vector<Arrived> all;
  while (auto batch = socket.receive({world.now() + 1s}))
    for (const ReceivedDatagram& d : *batch)
      all.push_back({d.remote, {d.bytes.bytes().begin(), d.bytes.bytes().end()}});
  return all;
}

// Each tells its number by its first byte.
std::vector<Arrived> send_numbered(Pair& s, int count, std::size_t size = 100) {
  for (int i = 0; i < count; ++i) {
    Bytes bytes = pattern(size);
    bytes[0] = static_cast<std::byte>(i);
    send_to(*s.client, s.server->local(), bytes);
  }
  return all_arrived(s.world, *s.server);
}

TEST(sim_datagram_fault, a_burst_loses_most_of_a_row) {
  const RunReport report = run_pair("datagram_burst=0.02:20", [](Pair& s) {
    std::set<int> arrived;
    for (const Arrived& one : send_numbered(s, 250)) arrived.insert(static_cast<int>(one.bytes[0]));
    EXPECT_LT(arrived.size(), 245u);
    // Losses come together: after a loss another is far more likely than at large.
    int losses = 0;
    int again = 0;
    for (int i = 0; i < 249; ++i) {
      if (arrived.contains(i)) continue;
      ++losses;
      if (!arrived.contains(i + 1)) ++again;
    }
    EXPECT_GT(again * 2, losses) << losses;
  });
  expect_clean(report);
  const SiteCount& count = report.counts[static_cast<std::size_t>(Site::datagram_burst)];
  EXPECT_GT(count.bit, 0u);
  EXPECT_LE(count.bit, count.struck);
}

TEST(sim_datagram_fault, a_flipped_bit_changes_one_bit) {
  const RunReport report = run_pair("datagram_flip=1:12000", [](Pair& s) {
    const auto all = send_numbered(s, 50, 300);
    ASSERT_EQ(all.size(), 50u);
    for (int i = 0; i < 50; ++i) {
      Bytes sent = pattern(300);
      sent[0] = static_cast<std::byte>(i);
      int changed = 0;
      for (std::size_t k = 0; k < 300; ++k)
        changed += std::popcount(
            std::to_integer<unsigned>(all[static_cast<std::size_t>(i)].bytes[k] ^ sent[k]));
      EXPECT_EQ(changed, 1) << i;
    }
  });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::datagram_flip), 50u);
}

TEST(sim_datagram_fault, a_cut_one_is_the_beginning_of_what_was_sent) {
  const RunReport report = run_pair("datagram_cut=1:1500", [](Pair& s) {
    const auto all = send_numbered(s, 50, 300);
    ASSERT_EQ(all.size(), 50u);
    for (std::size_t i = 0; i < 50; ++i) {
      Bytes sent = pattern(300);
      sent[0] = static_cast<std::byte>(i);
      EXPECT_GE(all[i].bytes.size(), 1u);
      EXPECT_LT(all[i].bytes.size(), 300u);
      sent.resize(all[i].bytes.size());
      EXPECT_EQ(all[i].bytes, sent);
    }
  });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::datagram_cut), 50u);
}

TEST(sim_datagram_fault, a_black_hole_swallows_the_large_and_passes_1200) {
  const RunReport report = run_pair("mtu_black_hole=1:1", [](Pair& s) {
    for (const std::size_t size : {1200u, 1201u, 1500u, 100u})
      send_to(*s.client, s.server->local(), pattern(size));
    const auto all = all_arrived(s.world, *s.server);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].bytes.size(), 1200u);
    EXPECT_EQ(all[1].bytes.size(), 100u);
  });
  expect_clean(report);
  EXPECT_GE(bit(report, Site::mtu_black_hole), 1u);
}

TEST(sim_datagram_fault,
     behind_a_nat_that_forgot_a_client_has_another_port_and_the_old_one_is_dead) {
  const RunReport report = run_pair("address_change=1/1ms..2ms", [](Pair& s) {
    send_to(*s.client, s.server->local(), pattern(10));
    auto before = all_arrived(s.world, *s.server);
    ASSERT_EQ(before.size(), 1u);
    EXPECT_EQ(before[0].from, s.client->local());
    EXPECT_EQ(s.world.origin_of(before[0].from), s.client->local());
  });
  expect_clean(report);
  EXPECT_EQ(bit(report, Site::address_change), 0u);
  const RunReport changed = run_pair("address_change=1/1ms..2ms", [](Pair& s) {
    send_to(*s.client, s.server->local(), pattern(10));
    (void)s.world.scheduler().sleep_until({1'500'000});
    send_to(*s.client, s.server->local(), pattern(20));
    (void)s.world.scheduler().sleep_until({2'500'000});
    send_to(*s.client, s.server->local(), pattern(30));
    const auto all = all_arrived(s.world, *s.server);
    ASSERT_EQ(all.size(), 3u);
    EXPECT_NE(all[1].from, s.client->local());
    EXPECT_EQ(all[2].from, all[1].from);
    EXPECT_EQ(s.world.origin_of(all[1].from), s.client->local());
    send_to(*s.server, s.client->local(), pattern(1));
    send_to(*s.server, all[1].from, pattern(2));
    const auto answers = all_arrived(s.world, *s.client);
    ASSERT_EQ(answers.size(), 1u) << "what goes to the old port arrives nowhere";
    EXPECT_EQ(answers[0].bytes.size(), 2u);
    EXPECT_EQ(answers[0].from, s.server->local());
  });
  expect_clean(changed);
  EXPECT_EQ(bit(changed, Site::address_change), 1u);
}

TEST(sim_datagram_fault, who_was_spoken_to_first_keeps_its_address) {
  const RunReport report = run_pair("address_change@server=1", [](Pair& s) {
    send_to(*s.client, s.server->local(), pattern(10));
    ASSERT_EQ(all_arrived(s.world, *s.server).size(), 1u);
    send_to(*s.server, s.world.origin_of(s.client->local()), pattern(10));
  });
  EXPECT_EQ(report.ending, Ending::finished);
}

}  // namespace
}  // namespace twinwire::sim
