// SPDX-License-Identifier: Apache-2.0
// What a TLS session does beyond carrying bytes: who is who, resuming, new keys, reloads, ends and damage.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/tls_rig.h"
#include "sim/entropy.h"
#include "transport/tls/tls_cause.h"

namespace twinwire::sim {
namespace {

using laws::test_certificates;

std::shared_ptr<TlsCredentials> credentials(std::vector<TlsIdentity> identities) {
  return *TlsCredentials::load({.identities = std::move(identities),
                                .authorities = test_certificates().authority.certificates});
}

void expect_traffic(TlsRig& rig, std::size_t size = 5000) {
  ASSERT_TRUE(rig.client && rig.server)
      << to_string(rig.client_error) << ", " << to_string(rig.server_error);
  for (const auto& [from, to] : {std::pair(rig.client.get(), rig.server.get()),
                                 std::pair(rig.server.get(), rig.client.get())}) {
    ASSERT_TRUE(write_all(*from, pattern(size), rig.in(5s)));
    Bytes got;
    ASSERT_TRUE(read_up_to(*to, got, size, rig.in(5s)));
    EXPECT_EQ(got, pattern(size));
  }
}

TEST(tls_session, a_host_name_or_an_address_names_the_server_and_by_default_the_address_dialled) {
  for (const char* name : {"server.twinwire.test", "127.0.0.1", ""}) {
    TlsConfig client = tls_client_config();
    client.server_name = name;
    (void)run_tls_rig({}, client, tls_server_config(), [](TlsRig& rig) { expect_traffic(rig); });
  }
  for (const char* name : {"other.test", "127.0.0.2", "::1"}) {
    TlsConfig client = tls_client_config();
    client.server_name = name;
    (void)run_tls_rig({}, client, tls_server_config(), [](TlsRig& rig) {
      EXPECT_EQ(rig.client_error, Errc::handshake);
      EXPECT_EQ(rig.server_error, Errc::handshake);
    });
  }
}

TEST(tls_session, an_older_version_is_spoken_only_where_both_allow_it) {
  TlsConfig client = tls_client_config();
  TlsConfig server = tls_server_config();
  client.versions = TlsVersions::only_12;
  (void)run_tls_rig({}, client, server,
                    [](TlsRig& rig) { EXPECT_EQ(rig.client_error, Errc::handshake); });
  server.versions = TlsVersions::from_12;
  (void)run_tls_rig({}, client, server, [](TlsRig& rig) {
    expect_traffic(rig);
    EXPECT_EQ(rig.client->description(), "TLS1.2 AES-128-GCM");
  });
  client.versions = TlsVersions::from_12;
  (void)run_tls_rig({}, client, server, [](TlsRig& rig) {
    expect_traffic(rig);
    EXPECT_EQ(rig.client->description(), "TLS1.3 AES-128-GCM");
  });
}

TEST(tls_session, both_sides_agree_on_a_protocol_or_part) {
  TlsConfig client = tls_client_config();
  TlsConfig server = tls_server_config();
  client.alpn = {"a", "b"};
  server.alpn = {"c", "b"};
  (void)run_tls_rig({}, client, server, [](TlsRig& rig) {
    expect_traffic(rig);
    EXPECT_EQ(rig.client->alpn(), "b");
    EXPECT_EQ(rig.server->alpn(), "b");
  });
  client.alpn = {};  // a client that speaks none is no match either
  (void)run_tls_rig({}, client, server,
                    [](TlsRig& rig) { EXPECT_EQ(rig.server_error, Errc::handshake); });
}

TEST(tls_session, the_clients_server_name_chooses_the_certificate) {
  TlsConfig server = tls_server_config();
  server.credentials = credentials({test_certificates().server, test_certificates().other_name});
  for (const char* name : {"server.twinwire.test", "other.twinwire.test"}) {
    TlsConfig client = tls_client_config();
    client.server_name = name;
    (void)run_tls_rig({}, client, server, [](TlsRig& rig) { expect_traffic(rig); });
  }
}

// Connects once more in the same World, for its time goes on; says whether the session was resumed.
bool connect_again(World& world, SimNetwork& server, SimNetwork& client, Acceptor& acceptor,
                   const TlsConfig& client_config, const TlsConfig& server_config) {
  bool resumed = false;
  const auto in = [&](Duration d) { return Deadline{world.now() + d}; };
  run_scope(world.scheduler(), [&](Scope& both) {
    both.spawn("server", [&] {
      auto stream = tls_accept(server, *acceptor.accept(in(1s)), server_config, in(1s));
      ASSERT_TRUE(stream.has_value());
      ASSERT_TRUE(write_all(**stream, pattern(10), in(1s)));
      EXPECT_TRUE((*stream)->read(in(1s))->empty());
      ASSERT_TRUE((*stream)->shutdown_write(in(1s)));
      EXPECT_TRUE((*stream)->read(in(1s))->empty());
    });
    both.spawn("client", [&] {
      auto stream =
          tls_connect(client, *client.dial(acceptor.local(), {}, in(1s)), client_config, in(1s));
      ASSERT_TRUE(stream.has_value());
      resumed = (*stream)->resumed();
      Bytes got;
      ASSERT_TRUE(read_up_to(**stream, got, 10, in(1s)));
      ASSERT_TRUE((*stream)->shutdown_write(in(1s)));
      EXPECT_TRUE((*stream)->read(in(1s))->empty());
    });
  });
  return resumed;
}

TEST(tls_session, a_ticket_resumes_once_and_tickets_keep_coming) {
  for (const TlsVersions versions : {TlsVersions::only_13, TlsVersions::only_12}) {
    WorldOptions options;
    options.time_max = std::chrono::hours(24 * 30);
    const RunReport report =
        run_nodes(options, [&](World& world, SimNetwork& server, SimNetwork& client, Scope&) {
          TlsConfig dialing = tls_client_config();
          TlsConfig listening = tls_server_config();
          dialing.versions = listening.versions = versions;
          dialing.sessions = std::make_shared<TlsSessionCache>();
          auto acceptor = *server.listen(server.address(port), {});
          const auto again = [&] {
            (void)world.scheduler().sleep_for(10s);
            return connect_again(world, server, client, *acceptor, dialing, listening);
          };
          EXPECT_FALSE(again()) << "there are no tickets unless they are enabled";
          SeededRandom ticket_key(1);
          listening.credentials->enable_tickets(ticket_key);
          EXPECT_FALSE(again());
          EXPECT_TRUE(again());
          EXPECT_TRUE(again());
          EXPECT_EQ(dialing.sessions->resumed(), 2U);
          // Another key: a full handshake, and no error.
          listening.credentials->enable_tickets(ticket_key);
          EXPECT_FALSE(again());
          // Too old a ticket: the same.
          (void)world.scheduler().sleep_for(std::chrono::hours(24 * 8));
          EXPECT_FALSE(again());
          EXPECT_TRUE(again());
          // Whoever is not to be resumed with is asked for a certificate anew.
          dialing.server_name = "other.twinwire.test";
          EXPECT_EQ(dialing.sessions->take("other.twinwire.test|10.0.0.1:4000"), std::nullopt);
        });
    expect_clean(report);
  }
}

TEST(tls_session, new_keys_in_mid_stream_lose_nothing) {
  TlsConfig client = tls_client_config();
  client.key_update_after = 10'000;  // and by call
  (void)run_tls_rig({}, client, tls_server_config(), [](TlsRig& rig) {
    for (int i = 0; i < 5; ++i) {
      expect_traffic(rig, 30'000);
      ASSERT_TRUE(rig.server->update_keys(rig.in(1s)));
      rig.sleep(600ms);
    }
  });
}

TEST(tls_session, reloaded_certificates_are_for_new_sessions_and_old_ones_live_on) {
  TlsConfig server = tls_server_config();
  const TlsConfig client = tls_client_config();
  (void)run_tls_rig({}, client, server, [&](TlsRig& old) {
    expect_traffic(old);
    // Now of a stranger: whoever connects from here on must see it.
    ASSERT_TRUE(server.credentials->reload({.identities = {test_certificates().by_stranger}}));
    expect_traffic(old);
    EXPECT_FALSE(server.credentials->reload({.identities = {{"no PEM", "no PEM"}}}));
  });
  (void)run_tls_rig({}, client, server,
                    [](TlsRig& rig) { EXPECT_EQ(rig.client_error, Errc::handshake); });
}

TEST(tls_session, an_end_without_close_notify_is_broken) {
  (void)run_tls_rig([](TlsRig& rig) {
    ASSERT_TRUE(write_all(*rig.client, pattern(100), rig.in(1s)));
    rig.client.reset();  // destroyed without a good-bye
    Bytes got;
    const auto end = read_up_to(*rig.server, got, 1000, rig.in(1s));
    EXPECT_FALSE(end);
    EXPECT_EQ(end.error(), Errc::broken);
  });
}

TEST(tls_session, one_side_may_end_and_the_other_go_on) {
  (void)run_tls_rig([](TlsRig& rig) {
    ASSERT_TRUE(rig.client->shutdown_write(rig.in(1s)));
    EXPECT_TRUE(rig.server->read(rig.in(1s))->empty());
    const auto write = write_some(*rig.client, pattern(1), 0, rig.in(1s));
    EXPECT_FALSE(write);
    EXPECT_EQ(write.error(), Errc::broken);
    ASSERT_TRUE(write_all(*rig.server, pattern(50'000), rig.in(1s)));
    ASSERT_TRUE(rig.server->shutdown_write(rig.in(1s)));
    EXPECT_EQ(read_to_end(*rig.client), pattern(50'000));
    EXPECT_FALSE(rig.client_record.aborted);
  });
}

TEST(tls_session, a_read_that_is_told_to_stop_loses_nothing) {
  (void)run_tls_rig([](TlsRig& rig) {
    Bytes got;
    int stopped = 0;
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(write_all(*rig.client, pattern(10, 10 * i), rig.in(1s)));
      for (int reads = 0; reads < 3; ++reads) {
        const auto slice = rig.server->read(rig.in(7us));
        if (slice) {
          got.insert(got.end(), slice->bytes().begin(), slice->bytes().end());
          continue;
        }
        EXPECT_EQ(slice.error(), Errc::timed_out);
        ++stopped;
      }
    }
    EXPECT_GT(stopped, 20);
    ASSERT_TRUE(read_up_to(*rig.server, got, 200, rig.in(1s)));
    EXPECT_EQ(got, [] {
      Bytes all;
      for (int i = 0; i < 20; ++i) {
        const Bytes some = pattern(10, 10 * i);
        all.insert(all.end(), some.begin(), some.end());
      }
      return all;
    }());
  });
}

TEST(tls_session, a_write_that_runs_out_of_time_makes_the_session_unusable) {
  (void)run_tls_rig([](TlsRig& rig) {
    Error error;
    for (int i = 0; i < 100; ++i) {
      const auto written = write_some(*rig.client, pattern(200'000), 0, rig.in(100ms));
      if (written) continue;
      error = written.error();
      break;
    }
    EXPECT_EQ(error, Errc::timed_out);
    const std::uint64_t writes = rig.client_record.writes;
    EXPECT_EQ(write_some(*rig.client, pattern(1), 0, rig.in(1s)).error(), Errc::broken);
    EXPECT_EQ(rig.client->shutdown_write(rig.in(1s)).error(), Errc::broken);
    EXPECT_EQ(rig.client_record.writes, writes) << "nothing may follow half a record";
  });
}

TEST(tls_session, a_write_of_many_pieces_fills_its_records) {
  (void)run_tls_rig([](TlsRig& rig) {
    const Bytes bytes = pattern(512 * 300);
    std::vector<iovec> pieces;
    for (std::size_t i = 0; i < 512; ++i)
      pieces.push_back({const_cast<std::byte*>(bytes.data()) + 300 * i, 300});
    const std::uint64_t before = rig.client_record.accepted;
    run_scope(rig.world.scheduler(), [&](Scope& both) {
      both.spawn("reader", [&] {
        Bytes got;
        ASSERT_TRUE(read_up_to(*rig.server, got, bytes.size(), rig.in(5s)));
        EXPECT_EQ(got, bytes);
      });
      const auto written = rig.client->write(pieces, rig.in(5s));
      ASSERT_TRUE(written.has_value());
      EXPECT_EQ(*written, bytes.size());
    });
    const std::uint64_t records = bytes.size() / 16'384 + 1;
    EXPECT_EQ(rig.client_record.accepted - before, bytes.size() + 22 * records);
  });
}

// ---- Peers that speak something else --------------------------------------------------------

TEST(tls_session, garbage_and_plain_peers_fail_the_handshake_and_nothing_else) {
  for (const char* bytes :
       {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x16\x03\x01\xff\xff garbage", "\0\0\0\0\0\0\0\0"}) {
    const RunReport report = run_rig([&](Rig& rig) {
      run_scope(rig.world.scheduler(), [&](Scope& both) {
        both.spawn("client", [&] {
          Bytes plain(64);
          for (std::size_t i = 0; i < 64 && bytes[i] != 0; ++i) plain[i] = std::byte(bytes[i]);
          (void)write_all(*rig.client, plain, rig.in(1s));
          while (auto answer = rig.client->read(rig.in(5s)))
            if (answer->empty()) break;
          rig.client.reset();
        });
        const TimePoint start = rig.now();
        const auto server =
            tls_accept(rig.server_node, std::move(rig.server), tls_server_config(), rig.in(10s));
        EXPECT_FALSE(server);
        EXPECT_EQ(server.error(), Errc::handshake);
        EXPECT_LT(rig.now() - start, 5s);
      });
    });
    expect_clean(report);
  }
}

// Found by the fuzzer: such a number is none that GnuTLS's enum can hold.
TEST(tls_session, an_alert_that_nobody_knows_is_told_as_that) {
  EXPECT_EQ(peer_refused(159), "the peer refused: an alert that nobody knows");
  EXPECT_EQ(peer_refused(GNUTLS_A_BAD_CERTIFICATE), "the peer refused: Certificate is bad");
}

TEST(tls_session, a_client_on_a_plain_port_fails_its_handshake) {
  const RunReport report = run_rig([&](Rig& rig) {
    rig.scope.spawn("server", [&] {
      (void)rig.server->read(rig.in(1s));
      (void)write_all(*rig.server, pattern(300), rig.in(1s));
      (void)rig.server->read(rig.in(1s));
      rig.server.reset();
    });
    const auto client =
        tls_connect(rig.client_node, std::move(rig.client), tls_client_config(), rig.in(10s));
    EXPECT_FALSE(client);
    EXPECT_EQ(client.error(), Errc::handshake);
    rig.scope.join();
  });
  expect_clean(report);
}

TEST(tls_session, a_mute_peer_costs_the_handshake_its_time_and_no_more) {
  (void)run_rig([&](Rig& rig) {
    const auto server =
        tls_accept(rig.server_node, std::move(rig.server), tls_server_config(), rig.in(3s));
    EXPECT_FALSE(server);
    EXPECT_EQ(server.error(), Errc::timed_out);
    EXPECT_EQ(rig.now(), TimePoint{} + 3s + 2 * latency + latency);
  });
}

}  // namespace
}  // namespace twinwire::sim
