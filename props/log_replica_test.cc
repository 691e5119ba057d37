// SPDX-License-Identifier: Apache-2.0
// A replica of the log by example: what each status means, requests that come again, sessions that are forgotten, and
// what a backup does with entries that do not fit.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "props/memory_storage.h"
#include "sim/sim_network.h"
#include "transport/bus/planes.h"
#include "transport/log/client.h"
#include "transport/log/replica.h"
#include "transport/tcp/tcp.h"

namespace twinwire::log {
namespace {

using namespace std::chrono_literals;

constexpr U128 replica_cluster{5, 5};

std::span<const std::byte> bytes_of_text(std::string_view text) {
  return std::as_bytes(std::span(text));
}
std::string text_of_bytes(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Answers with all that was applied so far, one after another. With what it is told to throw it does so.
class Echo final : public Application {
 public:
  void apply(Op, std::span<const std::byte> body, std::vector<std::byte>& answer) override {
    const std::string text = text_of_bytes(body);
    if (text == "throw") throw std::out_of_range("no such account");
    if (text == "throw a number") throw 7;
    all += text;
    const auto so_far = bytes_of_text(all);
    answer.assign(so_far.begin(), so_far.end());
  }
  std::string all;
};

// One replica, its bus, and somebody who talks to it. Its storage outlives it.
class ReplicaTest : public testing::Test {
 protected:
  using Reader = Tcp::Conn::Reader;
  using Writer = Tcp::Conn::Writer;

  ReplicaTest() {
    options_.cluster = replica_cluster;
    options_.replica = 1;
    options_.members = {1};
  }

  // Runs a replica, and the body beside it.
  void run(const std::function<void()>& body) {
    StackPool stacks;
    sim::World world({}, stacks);
    auto& server = world.add_node("server");
    client_network_ = &world.add_node("client");
    const auto report = world.run([&](Scope&) {
      Echo echo;
      Replica replica(server, storage_, echo, options_);
      std::string why;
      ASSERT_TRUE(replica.recover(why).has_value()) << why;
      bus::BusOptions bus_options;
      bus_options.replica = options_.replica;
      bus_options.members = options_.members;
      auto bus = bus::Bus::create(server, bus_options, replica);
      ASSERT_TRUE(bus.has_value());
      ASSERT_TRUE(replica.start(**bus).has_value());
      const auto local = bus::open_client_plane<Tcp>(**bus, server.address(0), {});
      ASSERT_TRUE(local.has_value());
      address_ = *local;
      replica_ = &replica;
      echo_ = &echo;
      body();
      (void)(*bus)->shut_down();
    });
    EXPECT_EQ(report.ending, sim::Ending::finished);
  }

  // Sends one frame over a connection of its own, and gives back what is answered.
  Result<Message> ask(Result<Message> request) {
    const Deadline deadline = client_network_->clock().in(1s);
    auto conn = Tcp::dial(*client_network_, address_, {}, deadline);
    if (!conn) return conn.error();
    auto [reader, writer] = split(std::move(*conn));
    Batch batch(1);
    batch.push(std::move(*request));
    if (auto sent = writer.send_batch(batch, deadline); !sent) return sent.error();
    return reader.read_message(default_max_message, deadline);
  }
  Result<Message> request(Session session, std::uint64_t number, std::string_view body) {
    return make_request(client_network_->buffers(), session, number, bytes_of_text(body));
  }
  Session begin(std::uint64_t client) {
    const auto reply = ask(make_register(client_network_->buffers(), {client, 1}));
    return reply ? Fields(*reply).session() : 0;
  }
  Status status_of(Result<Message> asked) {
    const auto reply = ask(std::move(asked));
    EXPECT_TRUE(reply.has_value());
    return reply ? Fields(*reply).status() : Status::invalid;
  }

  props::MemoryStorage storage_;
  LogOptions options_;
  Network* client_network_ = nullptr;
  Address address_;
  Replica* replica_ = nullptr;
  Echo* echo_ = nullptr;
};

TEST_F(ReplicaTest, a_request_that_comes_again_is_applied_once_and_answered_again) {
  Session session = 0;
  run([&] {
    session = begin(1);
    EXPECT_EQ(begin(1), session) << "a session that is asked for again is the same";
    for (int i = 0; i < 3; ++i) {
      const auto reply = ask(request(session, 1, "a"));
      ASSERT_TRUE(reply.has_value());
      EXPECT_EQ(text_of_bytes(reply->body()), "a");
      EXPECT_EQ(Fields(*reply).op(), 2U);
    }
    EXPECT_EQ(replica_->counters().answered_again, 3U);
    EXPECT_EQ(text_of_bytes(ask(request(session, 2, "b"))->body()), "ab");
    EXPECT_EQ(replica_->last(), 3U);
  });
  // And by the next process, which has nothing but the file.
  run([&] {
    EXPECT_EQ(text_of_bytes(ask(request(session, 2, "b"))->body()), "ab");
    EXPECT_EQ(text_of_bytes(ask(request(session, 3, "c"))->body()), "abc");
    EXPECT_EQ(echo_->all, "abc");
  });
}

TEST_F(ReplicaTest, an_application_that_throws_ends_the_replica_with_a_sentence) {
  for (const auto& [body, words] :
       {std::pair{"throw", "the application threw at entry 3 of the log: no such account"},
        std::pair{"throw a number", "the application threw at entry 3 of the log"}}) {
    storage_.bytes.clear();
    run([&] {
      const Session session = begin(1);
      EXPECT_EQ(status_of(request(session, 1, "good")), Status::ok);
      EXPECT_FALSE(ask(request(session, 2, body)).has_value()) << "nobody is answered any more";
      EXPECT_TRUE(replica_->failed().wait(client_network_->clock().in(1s), "its failure"));
      EXPECT_TRUE(replica_->failed().is_set());
      EXPECT_NE(replica_->problem().find(words), std::string::npos) << replica_->problem();
      EXPECT_FALSE(ask(request(session, 3, "more")).has_value());
      EXPECT_EQ(replica_->last(), 3U);
    });
  }
}

TEST_F(ReplicaTest, what_may_not_come_now_is_refused_and_not_applied) {
  options_.body_max = 10;
  run([&] {
    const Session session = begin(1);
    EXPECT_EQ(status_of(request(session, 2, "early")), Status::invalid);
    EXPECT_EQ(status_of(request(session + 1, 1, "whose")), Status::unknown);
    EXPECT_EQ(status_of(request(session, 1, "much too large")), Status::too_large);
    EXPECT_EQ(status_of(request(0, 0, "a body")), Status::invalid);
    EXPECT_EQ(status_of(request(session, 1, "good")), Status::ok);
    EXPECT_EQ(echo_->all, "good");
    EXPECT_EQ(status_of(request(session, 1, "again, and larger")), Status::ok)
        << "what was answered is answered again";
    EXPECT_EQ(echo_->all, "good");
    // What is no request at all costs its sender the connection.
    EXPECT_FALSE(ask(make_commit(client_network_->buffers(), replica_cluster, 1, 0, 0)));
    EXPECT_EQ(replica_->counters().bad, 1U);
  });
}

TEST_F(ReplicaTest, a_backup_names_the_primary) {
  options_.replica = 2;
  options_.members = {1, 2, 3};
  run([&] {
    const auto reply = ask(make_register(client_network_->buffers(), {1, 1}));
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(Fields(*reply).status(), Status::not_primary);
    EXPECT_EQ(reply->header().replica(), 1);
  });
}

TEST_F(ReplicaTest, without_a_majority_it_takes_so_much_and_then_says_busy) {
  options_.members = {1, 2, 3};
  options_.uncommitted_max = 3;
  run([&] {
    for (std::uint64_t i = 1; i <= 3; ++i)
      EXPECT_EQ(ask(make_register(client_network_->buffers(), {i, 1})).error(), Errc::timed_out);
    EXPECT_EQ(status_of(make_register(client_network_->buffers(), {4, 1})), Status::busy);
    EXPECT_EQ(replica_->last(), 3U);
    EXPECT_EQ(replica_->committed(), 0U);
  });
}

TEST_F(ReplicaTest, a_forgotten_session_is_unknown_and_never_a_new_one) {
  options_.sessions_max = 2;
  Session first = 0;
  run([&] {
    first = begin(1);
    EXPECT_EQ(status_of(request(first, 1, "a")), Status::ok);
    const Session second = begin(2);
    begin(3);  // of the three the first was silent for longest
    EXPECT_EQ(status_of(request(first, 1, "a")), Status::unknown);
    EXPECT_EQ(status_of(request(first, 2, "b")), Status::unknown);
    EXPECT_EQ(status_of(request(second, 1, "c")), Status::ok);
    EXPECT_NE(begin(1), first);
    EXPECT_EQ(replica_->sessions(), 2U);
    EXPECT_EQ(echo_->all, "ac");
  });
  run([&] { EXPECT_EQ(status_of(request(first, 2, "b")), Status::unknown); });
}

TEST_F(ReplicaTest, a_client_that_was_forgotten_is_told_and_may_begin_anew) {
  options_.sessions_max = 1;
  run([&] {
    Client<Tcp> one(*client_network_, address_, {});
    Client<Tcp> other(*client_network_, address_, {});
    const auto by = [&] { return client_network_->clock().in(5s); };
    ASSERT_TRUE(one.submit(bytes_of_text("a"), by()).has_value());
    ASSERT_TRUE(other.submit(bytes_of_text("b"), by()).has_value());
    EXPECT_EQ(one.submit(bytes_of_text("c"), by()).error(), Errc::refused);
    EXPECT_TRUE(one.in_doubt());
    one.forget();
    ASSERT_TRUE(one.submit(bytes_of_text("d"), by()).has_value());
    EXPECT_EQ(echo_->all, "abd");
  });
}

TEST_F(ReplicaTest, a_client_without_an_answer_is_in_doubt_and_goes_on) {
  options_.members = {1, 2, 3};
  run([&] {
    Client<Tcp> client(*client_network_, address_, {}, {.answer_limit = 100ms});
    const auto by = client_network_->clock().in(1s);
    EXPECT_EQ(client.submit(bytes_of_text("a"), by).error(), Errc::timed_out);
    EXPECT_FALSE(client.in_doubt()) << "it has no session yet, so nothing was sent";
    EXPECT_EQ(replica_->last(), 1U) << "a session that is asked for again is one entry";
    EXPECT_GT(client.counters().sent_again, 1U);
  });
}

// --- What a backup is given ----------------------------------------------------------------------------------------

class BackupTest : public ReplicaTest {
 protected:
  BackupTest() {
    options_.replica = 2;
    options_.members = {1, 2, 3};
  }
  Message entry(Op op, std::uint64_t parent, std::string_view body) {
    return *make_prepare(client_network_->buffers(),
                         {.cluster = replica_cluster,
                          .replica = 1,
                          .op = op,
                          .parent = parent,
                          .session = 1,
                          .request = op},
                         bytes_of_text(body));
  }
  void give(const Message& message) {
    replica_->on_replica_messages(1, {&message, 1});
    (void)client_network_->scheduler().sleep_for(1ms);
  }
  void commit(Op op, std::uint64_t checksum) {
    give(*make_commit(client_network_->buffers(), replica_cluster, 1, op, checksum));
  }
};

TEST_F(BackupTest, takes_what_comes_next_and_applies_what_is_committed) {
  run([&] {
    const Message first = entry(1, 0, "a");
    const Message second = entry(2, Fields(first).checksum(), "b");
    give(first);
    EXPECT_EQ(replica_->synced(), 1U);
    EXPECT_EQ(echo_->all, "");
    give(first);
    EXPECT_EQ(replica_->counters().duplicates, 1U);
    give(second);
    commit(1, Fields(first).checksum());
    EXPECT_EQ(echo_->all, "a");
    commit(2, Fields(second).checksum());
    EXPECT_EQ(echo_->all, "ab");
    EXPECT_TRUE(replica_->problem().empty());
  });
}

TEST_F(BackupTest, takes_no_entry_that_comes_too_early) {
  run([&] {
    const Message first = entry(1, 0, "a");
    give(entry(2, Fields(first).checksum(), "b"));
    EXPECT_EQ(replica_->last(), 0U);
    EXPECT_EQ(replica_->counters().gaps, 1U);
    EXPECT_TRUE(replica_->problem().empty());
  });
}

TEST_F(BackupTest, stops_where_the_primary_s_log_contradicts_its_own) {
  for (const int way : {1, 2, 3}) {
    storage_ = {};
    run([&] {
      const Message first = entry(1, 0, "a");
      give(first);
      if (way == 1) give(entry(2, 12345, "b"));  // of another parent
      if (way == 2) give(entry(1, 0, "x"));      // another one in its place
      if (way == 3) commit(1, 12345);
      EXPECT_TRUE(replica_->failed().is_set()) << way;
      EXPECT_NE(replica_->problem().find("one of the two files"), std::string::npos)
          << replica_->problem();
      EXPECT_EQ(replica_->last(), 1U);
    });
  }
}

TEST_F(BackupTest, takes_nothing_that_is_not_sealed_or_of_another_cluster) {
  run([&] {
    auto bare = MutableMessage::create(client_network_->buffers(), Command::commit, 0);
    bare->set_cluster(replica_cluster);
    give(std::move(*bare).freeze());
    give(*make_commit(client_network_->buffers(), {6, 6}, 1, 0, 0));
    give(*make_prepare_ok(client_network_->buffers(), replica_cluster, 1, 0, 0));
    EXPECT_EQ(replica_->counters().bad, 3U);
  });
}

TEST_F(ReplicaTest, a_request_that_was_changed_on_its_way_is_no_request) {
  run([&] {
    const Session session = begin(1);
    const auto good = request(session, 1, "good");
    ASSERT_TRUE(good.has_value());
    auto changed = MutableMessage::create(client_network_->buffers(), Command::request, 4);
    ASSERT_TRUE(changed.has_value());
    std::ranges::copy(good->bytes(), changed->bytes().begin());
    changed->body()[1] ^= std::byte{1};
    EXPECT_FALSE(ask(std::move(*changed).freeze()).has_value());
    EXPECT_EQ(replica_->counters().bad, 1U);
    EXPECT_EQ(echo_->all, "");
    EXPECT_EQ(status_of(request(session, 1, "good")), Status::ok);
    EXPECT_EQ(echo_->all, "good");
  });
}

// --- What a primary is told ----------------------------------------------------------------------------------------

class PrimaryTest : public ReplicaTest {
 protected:
  PrimaryTest() { options_.members = {1, 2, 3}; }
  std::uint64_t checksum_of(Op op) {
    std::string why;
    Wal wal(storage_, client_network_->buffers(), client_network_->scheduler(),
            {replica_cluster, options_.body_max});
    (void)wal.recover(client_network_->random(), [](const std::byte*) {}, why);
    return wal.checksum_of(op);
  }
  void tell(bus::ReplicaId from, Op op, std::uint64_t checksum) {
    const Message ok =
        *make_prepare_ok(client_network_->buffers(), replica_cluster, from, op, checksum);
    replica_->on_replica_messages(from, {&ok, 1});
    (void)client_network_->scheduler().sleep_for(1ms);
  }
};

TEST_F(PrimaryTest, commits_what_a_majority_has_and_no_backup_counts_twice) {
  options_.members = {1, 2, 3, 4, 5};
  run([&] {
    (void)ask(make_register(client_network_->buffers(), {1, 1}));
    const std::uint64_t checksum = checksum_of(1);
    replica_->on_replica_connected(2);
    tell(2, 1, checksum);
    tell(2, 1, checksum);
    EXPECT_EQ(replica_->committed(), 0U);
    replica_->on_replica_connected(3);
    tell(3, 1, checksum);
    EXPECT_EQ(replica_->committed(), 1U);
  });
}

// It may have another disk by then.
TEST_F(PrimaryTest, counts_a_backup_that_it_has_lost_for_nothing_until_it_speaks_again) {
  options_.members = {1, 2, 3, 4, 5};
  run([&] {
    (void)ask(make_register(client_network_->buffers(), {1, 1}));
    replica_->on_replica_connected(2);
    tell(2, 1, checksum_of(1));
    replica_->on_replica_lost(2, {Errc::broken, 0});
    replica_->on_replica_connected(3);
    tell(3, 1, checksum_of(1));
    EXPECT_EQ(replica_->committed(), 0U);
    replica_->on_replica_connected(2);
    tell(2, 0, 0);
    EXPECT_EQ(replica_->committed(), 0U);
    tell(2, 1, checksum_of(1));
    EXPECT_EQ(replica_->committed(), 1U);
  });
}

// The answer to the one before would be lost: only the last is kept.
TEST_F(PrimaryTest, takes_no_request_of_a_client_before_the_one_before_is_applied) {
  run([&] {
    (void)ask(make_register(client_network_->buffers(), {1, 1}));
    replica_->on_replica_connected(2);
    tell(2, 1, checksum_of(1));
    ASSERT_EQ(replica_->applied(), 1U);
    EXPECT_FALSE(ask(request(1, 1, "a")).has_value()) << "no majority has it";
    EXPECT_EQ(status_of(request(1, 2, "b")), Status::busy);
    EXPECT_EQ(replica_->last(), 2U);
    tell(2, 2, checksum_of(2));
    EXPECT_EQ(echo_->all, "a");
  });
}

TEST_F(PrimaryTest, stops_where_a_backup_has_more) {
  run([&] {
    replica_->on_replica_connected(2);
    tell(2, 7, 1);
    EXPECT_TRUE(replica_->failed().is_set());
    EXPECT_NE(replica_->problem().find("the primary's file was cut"), std::string::npos)
        << replica_->problem();
  });
}

}  // namespace
}  // namespace twinwire::log
