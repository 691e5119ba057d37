// SPDX-License-Identifier: Apache-2.0
// What is QUIC's own: the same packets from run to run, Retry, stateless reset, version negotiation, bad certificates.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "props/laws/run_in_world.h"
#include "props/quic_rig.h"

namespace twinwire::laws {
namespace {

std::size_t quic_index() {
  const auto names = transport_names();
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), "quic") - names.begin());
}

std::uint64_t hash_of(std::uint64_t seed, StackPool& stacks) {
  static const Registry registry = built_in_scenarios();
  WorldRun run;
  run.scenario = registry.find("traffic");
  run.transport = quic_index();
  run.options.seed = seed;
  run.options.faults = sim::FaultPlan::swarm(seed);
  return run_in_world(run, stacks).report.hash;
}

// The hash folds in every datagram's bytes: keys, nonces and certificates included.
TEST(QuicDeterminism, packets_are_the_same_forward_and_in_reverse_with_heap_noise) {
  StackPool stacks;
  constexpr std::uint64_t seeds = 300;
  std::vector<std::uint64_t> forward;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) forward.push_back(hash_of(seed, stacks));
  std::vector<std::unique_ptr<char[]>> noise;
  for (std::uint64_t seed = seeds; seed >= 1; --seed) {
    noise.push_back(std::make_unique<char[]>(1 + seed * 37 % 5000));
    if (seed % 3 == 0) noise.erase(noise.begin());
    ASSERT_EQ(hash_of(seed, stacks), forward[seed - 1]) << "seed " << seed;
  }
}

TEST(QuicDeterminism, another_process_sees_the_same_packets) {
  StackPool stacks;
  const std::uint64_t here = hash_of(77, stacks);
  std::fflush(nullptr);
  std::array<char, 64> text{};
  const std::string command =
      "/proc/self/exe --gtest_also_run_disabled_tests --gtest_filter=*DISABLED_print_hash";
  char self[4096];
  const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  ASSERT_GT(n, 0);
  self[n] = 0;
  FILE* pipe = popen((std::string(self) + command.substr(14) + " | grep hash=").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  ASSERT_NE(std::fgets(text.data(), text.size(), pipe), nullptr);
  pclose(pipe);
  EXPECT_EQ(std::string(text.data()), "hash=" + std::to_string(here) + "\n");
}
TEST(QuicDeterminism, DISABLED_print_hash) {
  StackPool stacks;
  std::printf("hash=%llu\n", static_cast<unsigned long long>(hash_of(77, stacks)));
}

TEST(Quic, under_pressure_newcomers_prove_their_address_by_a_retry) {
  in_quic_world([](QuicRig& f, Scope& scope) {
    f.listening.retry_from = 0;
    auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
    ASSERT_TRUE(listener);
    auto conn = Quic::dial(f.client, listener->local(), f.dialing, f.client.clock().in(5s));
    ASSERT_TRUE(conn) << to_string(conn.error());
    EXPECT_TRUE(listener->accept(f.server.clock().in(1s)));
    EXPECT_EQ(listener->counters().accepted, 1U);
  });
}

TEST(Quic, a_peer_that_does_not_believe_the_certificate_fails_the_handshake) {
  in_quic_world([](QuicRig& f, Scope& scope) {
    auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
    ASSERT_TRUE(listener);
    QuicOptions wrong_name = f.dialing;
    wrong_name.tls.server_name = "somewhere.else";
    auto conn = Quic::dial(f.client, listener->local(), wrong_name, f.client.clock().in(5s));
    EXPECT_TRUE(!conn && conn.error() == Errc::handshake);
    QuicOptions wrong_protocol = f.dialing;
    wrong_protocol.tls.alpn = {"h3"};
    conn = Quic::dial(f.client, listener->local(), wrong_protocol, f.client.clock().in(5s));
    EXPECT_TRUE(!conn && conn.error() == Errc::handshake);
    conn = Quic::dial(f.client, listener->local(), f.dialing, f.client.clock().in(5s));
    EXPECT_TRUE(conn) << "and the listener goes on";
  });
}

// Version 2 and the drafts are unknown too, whatever the library makes of them.
TEST(Quic, an_unknown_version_is_answered_and_garbage_is_not) {
  in_quic_world([](QuicRig& f, Scope& scope) {
    auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
    ASSERT_TRUE(listener);
    auto socket = f.client.bind(f.client.address(), {});
    ASSERT_TRUE(socket);
    std::vector<std::byte> packet(1200);
    packet[5] = std::byte{8};
    packet[14] = std::byte{8};
    const Datagram datagram{.remote = listener->local(), .bytes = packet};
    for (const std::array<int, 5>& first :
         {std::array{0xc0, 0x77, 0x77, 0x77, 0x77}, std::array{0xd0, 0x70, 0x9a, 0x50, 0xc4},
          std::array{0xd0, 0x6b, 0x33, 0x43, 0xcf}, std::array{0xc0, 0xff, 0x00, 0x00, 0x1d}}) {
      for (std::size_t i = 0; i < first.size(); ++i) packet[i] = static_cast<std::byte>(first[i]);
      ASSERT_TRUE((*socket)->send({&datagram, 1}, Deadline::never()));
      auto answer = (*socket)->receive(f.client.clock().in(1s));
      ASSERT_TRUE(answer) << std::hex << first[1];
      const auto bytes = answer->front().bytes.bytes();
      EXPECT_EQ(load<std::uint32_t>(bytes.data() + 1), 0U) << "version negotiation";
      EXPECT_EQ(bytes.back(), std::byte{1}) << "version 1, and no other";
    }
    const Datagram short_one{.remote = listener->local(), .bytes = std::span(packet).first(20)};
    ASSERT_TRUE((*socket)->send({&short_one, 1}, Deadline::never()));
    EXPECT_FALSE((*socket)->receive(f.client.clock().in(1s)));
  });
}

// A server that lost its memory tells its old peers so.
TEST(Quic, a_packet_for_an_unknown_connection_is_answered_by_a_stateless_reset) {
  in_quic_world([](QuicRig& f, Scope& scope) {
    auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
    ASSERT_TRUE(listener);
    auto socket = f.client.bind(f.client.address(), {});
    ASSERT_TRUE(socket);
    std::vector<std::byte> packet(60, std::byte{0x41});
    const Datagram datagram{.remote = listener->local(), .bytes = packet};
    ASSERT_TRUE((*socket)->send({&datagram, 1}, Deadline::never()));
    auto answer = (*socket)->receive(f.client.clock().in(1s));
    ASSERT_TRUE(answer);
    EXPECT_LT(answer->front().bytes.size(), packet.size());
    EXPECT_GE(answer->front().bytes.size(), 21U);
  });
}

TEST(Quic, handshakes_are_bounded_in_time_and_number) {
  in_quic_world([](QuicRig& f, Scope& scope) {
    f.listening.accept_after_first_message = true;
    f.listening.accept.handshakes_max = 3;
    f.listening.accept.handshake_timeout = 2s;
    auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
    ASSERT_TRUE(listener);
    std::vector<QuicConn> mutes;
    for (int i = 0; i < 6; ++i) {
      auto conn = Quic::dial(f.client, listener->local(), f.dialing, f.client.clock().in(5s));
      ASSERT_TRUE(conn);
      mutes.push_back(std::move(*conn));
      EXPECT_LE(listener->unfinished(), 3U);
    }
    EXPECT_EQ(listener->counters().handshakes_evicted, 3U);
    (void)f.client.scheduler().sleep_for(3s);
    EXPECT_EQ(listener->unfinished(), 0U);
    auto [reader, writer] = split(std::move(mutes.back()));
    auto message = reader.read_message(default_max_message, f.client.clock().in(1s));
    EXPECT_TRUE(!message && message.error() == Errc::broken);
  });
}

TEST(Quic, the_idle_time_out_ends_a_silent_connection_and_keep_alive_prevents_it) {
  in_quic_world([](QuicRig& f, Scope& scope) {
    auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
    ASSERT_TRUE(listener);
    for (const bool kept : {false, true}) {
      f.dialing.idle_timeout = 2s;
      f.dialing.keep_alive = kept ? 500ms : 0ms;
      auto conn = Quic::dial(f.client, listener->local(), f.dialing, f.client.clock().in(5s));
      ASSERT_TRUE(conn);
      auto peer = listener->accept(f.server.clock().in(1s));
      ASSERT_TRUE(peer);
      auto [reader, writer] = split(std::move(*conn));
      auto message = reader.read_message(default_max_message, f.client.clock().in(10s));
      EXPECT_EQ(message.error().code, kept ? Errc::timed_out : Errc::broken);
    }
  });
}

// Were it not for that, messages could be lost and the reader say `closed`.
TEST(Quic, one_stream_on_one_side_alone_fails_the_handshake) {
  for (const bool at_the_server : {false, true})
    in_quic_world([&](QuicRig& f, Scope& scope) {
      std::vector<std::string> refused;
      (at_the_server ? f.listening : f.dialing).one_stream = true;
      f.listening.accept.on_refused = [&](const Address&, std::string_view why) {
        refused.emplace_back(why);
      };
      auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
      ASSERT_TRUE(listener);
      auto conn = Quic::dial(f.client, listener->local(), f.dialing, f.in(5s));
      EXPECT_TRUE(!conn && conn.error() == Errc::handshake) << at_the_server;
      EXPECT_EQ(listener->accept(f.in(1s)).error(), Errc::timed_out);
      EXPECT_EQ(refused.size(), 1U);  // by whoever noticed it first
    });
}

// Pings are lost, too, and their answers: a connection with nothing to say lives on.
TEST(Quic, keep_alive_bears_the_loss_of_many_packets) {
  sim::FaultPlan faults = sim::FaultPlan::none();
  ASSERT_TRUE(faults.set("datagram_loss=0.3"));
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    in_quic_world(
        [&](QuicRig& f, Scope& scope) {
          auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
          ASSERT_TRUE(listener);
          auto conn = Quic::dial(f.client, listener->local(), f.dialing, f.in(60s));
          ASSERT_TRUE(conn) << to_string(conn.error());
          auto peer = listener->accept(f.in(60s));
          ASSERT_TRUE(peer);
          auto [reader, writer] = split(std::move(*conn));
          auto message = reader.read_message(default_max_message, f.in(600s));
          EXPECT_EQ(message.error(), Errc::timed_out) << "seed " << seed;
        },
        faults, seed);
}

// In the middle of a connection that sends large packets its path stops to carry them, as after a change of route.
TEST(Quic, a_path_that_carries_no_large_packets_any_more_costs_a_moment) {
  sim::FaultPlan faults = sim::FaultPlan::none();
  ASSERT_TRUE(faults.set("mtu_black_hole=1:1/500ms.."));
  for (std::uint64_t seed = 1; seed <= 5; ++seed)
    in_quic_world(
        [&](QuicRig& f, Scope& scope) {
          auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
          auto conn = Quic::dial(f.client, listener->local(), f.dialing, f.in(5s));
          auto peer = listener->accept(f.in(1s));
          ASSERT_TRUE(conn && peer);
          auto [client_reads, client_writes] = split(std::move(*conn));
          auto [server_reads, server_writes] = split(std::move(peer->first));
          for (int i = 0; i < 200; ++i) {
            Batch batch(1);
            batch.push(f.message(20'000));
            ASSERT_TRUE(client_writes.send_batch(batch, f.in(3s))) << i;
            ASSERT_TRUE(server_reads.read_message(default_max_message, f.in(3s))) << i;
            (void)f.client.scheduler().sleep_for(10ms);
          }
          EXPECT_LT(f.client.clock().now().ns, 10'000'000'000);
        },
        faults, seed);
}

// Credit for what was read while the network was silent leaves at once, not with the next ping.
TEST(Quic, a_reader_that_comes_late_lets_the_sender_go_on_at_once) {
  for (const bool one_stream : {false, true})
    in_quic_world([&](QuicRig& f, Scope& scope) {
      f.listening.one_stream = f.dialing.one_stream = one_stream;
      auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
      auto conn = Quic::dial(f.client, listener->local(), f.dialing, f.in(5s));
      auto peer = listener->accept(f.in(1s));
      ASSERT_TRUE(conn && peer);
      auto [client_reads, client_writes] = split(std::move(*conn));
      auto [server_reads, server_writes] = split(std::move(peer->first));
      run_scope(f.client.scheduler(), [&, &writer = client_writes](Scope& both) {
        both.spawn("sender",
                   [&] {  // four windows, in messages so large that few streams are given back
                     for (int i = 0; i < 40; ++i) {
                       Batch batch(1);
                       batch.push(f.message(50'000));
                       ASSERT_TRUE(writer.send_batch(batch, f.in(60s)));
                     }
                   });
        (void)f.server.scheduler().sleep_for(5s);
        for (int i = 0; i < 40; ++i) {
          const auto message = server_reads.read_message(default_max_message, f.in(60s));
          ASSERT_TRUE(message) << to_string(message.error());
        }
        EXPECT_LE(f.server.clock().now().ns, Duration(6s).count());
      });
    });
}

TEST(Quic, one_stream_carries_more_than_its_window_to_who_reads_and_to_who_closes) {
  for (const bool reads : {true, false})
    in_quic_world([&](QuicRig& f, Scope& scope) {
      f.listening.one_stream = f.dialing.one_stream = true;
      auto listener = Quic::listen(f.server, scope, f.server.address(4000), f.listening);
      auto conn = Quic::dial(f.client, listener->local(), f.dialing, f.in(5s));
      auto peer = listener->accept(f.in(1s));
      ASSERT_TRUE(conn && peer);
      auto [client_reads, client_writes] = split(std::move(*conn));
      auto [server_reads, server_writes] = split(std::move(peer->first));
      run_scope(f.client.scheduler(), [&, &writer = client_writes](Scope& both) {
        both.spawn("sender", [&] {
          for (int i = 0; i < 3000; ++i) {
            Batch batch(1);
            batch.push(f.message(700));
            ASSERT_TRUE(writer.send_batch(batch, f.in(5s))) << i;
          }
          const auto closed = writer.close(5s);
          EXPECT_TRUE(closed) << to_string(closed.error());
        });
        while (reads && server_reads.read_message(default_max_message, f.in(5s))) {}
        const auto closed = server_writes.close(5s);
        EXPECT_TRUE(closed) << to_string(closed.error());
      });
    });
}

}  // namespace
}  // namespace twinwire::laws
