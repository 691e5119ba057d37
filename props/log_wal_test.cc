// SPDX-License-Identifier: Apache-2.0
// The file of a replicated log: what a crash may leave is cut off, what was damaged is refused, and nothing that a
// client writes is taken for either.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "props/memory_storage.h"
#include "sim/sim_network.h"
#include "transport/log/wal.h"
#include "transport/log/wal_format.h"

namespace twinwire::log {
namespace {

using props::MemoryStorage;

constexpr U128 wal_cluster{7, 7};

// Runs the body in a fiber of a World.
void in_world(const std::function<void(Network&)>& body) {
  StackPool stacks;
  sim::World world({}, stacks);
  auto& node = world.add_node("node");
  const auto report = world.run([&](Scope&) { body(node); });
  EXPECT_EQ(report.ending, sim::Ending::finished);
}

struct Opened {
  Opened(Network& network, MemoryStorage& storage, U128 cluster = wal_cluster,
         std::size_t body_max = 10'000)
      : wal(storage, network.buffers(), network.scheduler(), {cluster, body_max}) {
    recovered = wal.recover(
        network.random(), [&](const std::byte* frame) { ops.push_back(Fields(frame).op()); }, why);
  }
  Wal wal;
  Result<Recovered> recovered = Errc::canceled;
  std::vector<Op> ops;
  std::string why;
};

// Writes batches of so many entries; returns where in the storage each entry's record begins.
std::vector<std::size_t> write(Network& network, Wal& wal, MemoryStorage& storage,
                               const std::vector<std::size_t>& batches,
                               std::span<const std::byte> body = {}) {
  std::vector<std::size_t> begins;
  for (const std::size_t count : batches) {
    std::vector<Message> entries;
    Op op = wal.last();
    std::uint64_t parent = wal.checksum_of(op);
    std::size_t at = storage.bytes.size();
    for (std::size_t i = 0; i < count; ++i) {
      std::vector<std::byte> own(body.begin(), body.end());
      if (own.empty()) own.assign(op * 37 % 100, static_cast<std::byte>(op));
      auto made = make_prepare(network.buffers(),
                               {.cluster = wal_cluster,
                                .op = op + 1,
                                .commit = op,
                                .parent = parent,
                                .session = 1,
                                .request = op + 1},
                               own);
      begins.push_back(at);
      at += wal_record_size(made->size());
      ++op;
      parent = Fields(*made).checksum();
      entries.push_back(std::move(*made));
    }
    EXPECT_TRUE(wal.append(entries).has_value());
    EXPECT_TRUE(wal.sync().has_value());
  }
  begins.push_back(storage.bytes.size());
  return begins;
}

TEST(Wal, finds_every_entry_again) {
  in_world([](Network& network) {
    MemoryStorage storage;
    Opened first(network, storage);
    ASSERT_TRUE(first.recovered && first.recovered->fresh);
    write(network, first.wal, storage, {3, 1, 5});
    Opened second(network, storage);
    ASSERT_TRUE(second.recovered.has_value()) << second.why;
    EXPECT_EQ(second.recovered->last, 9U);
    EXPECT_EQ(second.recovered->commit, 8U);
    EXPECT_EQ(second.recovered->bytes_cut, 0U);
    EXPECT_EQ(second.ops, (std::vector<Op>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
    const auto fifth = second.wal.read(5);
    ASSERT_TRUE(fifth.has_value());
    EXPECT_EQ(Fields(*fifth).op(), 5U);
    EXPECT_EQ(fifth->body().size(), 4 * 37 % 100U);
    write(network, second.wal, storage, {2});
    EXPECT_EQ(Opened(network, storage).wal.last(), 11U);
  });
}

// What was never synced by the process before, or on which its sync failed: the last batch, and where there is none the
// head.
TEST(Wal, what_no_sync_may_have_reached_is_settled) {
  in_world([](Network& network) {
    MemoryStorage storage;
    Opened first(network, storage);
    EXPECT_EQ(storage.settled_from, std::vector<std::uint64_t>{}) << "a new log was synced";
    Opened empty(network, storage);
    EXPECT_EQ(storage.settled_from, std::vector<std::uint64_t>{0});
    const auto begins = write(network, empty.wal, storage, {2, 3, 2});
    Opened full(network, storage);
    EXPECT_EQ(storage.settled_from.back(), begins[5]);
    storage.bytes.resize(begins[4]);
    Opened torn(network, storage);
    EXPECT_EQ(storage.settled_from.back(), begins[2]);
    storage.bytes.resize(begins[0] + wal_alignment);
    Opened head_alone(network, storage);
    EXPECT_EQ(head_alone.recovered->bytes_cut, wal_alignment);
    EXPECT_EQ(storage.settled_from.back(), 0U);
  });
}

TEST(Wal, whatever_is_left_of_the_last_batch_is_cut_behind_its_last_whole_entry) {
  in_world([](Network& network) {
    MemoryStorage whole;
    Opened first(network, whole);
    const auto begins = write(network, first.wal, whole, {2, 3});
    for (std::size_t left = begins[2]; left < whole.bytes.size(); ++left) {
      MemoryStorage torn;
      torn.bytes.assign(whole.bytes.begin(),
                        whole.bytes.begin() + static_cast<std::ptrdiff_t>(left));
      Opened again(network, torn);
      ASSERT_TRUE(again.recovered.has_value()) << left << ": " << again.why;
      const auto whole_ones = static_cast<Op>(std::upper_bound(begins.begin(), begins.end(), left) -
                                              begins.begin() - 1);
      ASSERT_EQ(again.wal.last(), whole_ones) << left;
      ASSERT_EQ(torn.bytes.size(), begins[whole_ones]) << left;
      write(network, again.wal, torn, {1});
      ASSERT_EQ(Opened(network, torn).wal.last(), whole_ones + 1) << left;
    }
  });
}

// A disk need not write the pages of a batch in order.
TEST(Wal, a_hole_in_the_last_batch_is_a_torn_end_and_one_before_it_is_damage) {
  in_world([](Network& network) {
    MemoryStorage whole;
    Opened first(network, whole);
    const auto begins = write(network, first.wal, whole, {2, 2, 3});
    for (std::size_t at = wal_head_size; at < whole.bytes.size(); at += 7) {
      MemoryStorage holed;
      holed.bytes = whole.bytes;
      for (std::size_t i = at; i < std::min(at + 32, holed.bytes.size()); ++i)
        holed.bytes[i] = std::byte{};
      const auto [differs, same] = std::ranges::mismatch(holed.bytes, whole.bytes);
      if (differs == holed.bytes.end()) continue;  // zeros in place of zeros
      const auto hit =
          static_cast<Op>(std::ranges::upper_bound(
                              begins, static_cast<std::size_t>(differs - holed.bytes.begin())) -
                          begins.begin());
      Opened again(network, holed);
      if (hit <= 4) {
        ASSERT_EQ(again.recovered.error(), Errc::invalid) << at;
        ASSERT_NE(again.why.find("is damaged at byte"), std::string::npos) << again.why;
        ASSERT_EQ(holed.cuts, 0) << at;
      } else {
        ASSERT_TRUE(again.recovered.has_value()) << at << ": " << again.why;
        ASSERT_EQ(again.wal.last(), hit - 1) << at;
      }
    }
  });
}

TEST(Wal, each_flipped_bit_of_a_synced_entry_is_noticed) {
  in_world([](Network& network) {
    MemoryStorage whole;
    Opened first(network, whole);
    const auto begins = write(network, first.wal, whole, {1, 1, 1});
    for (std::size_t bit = 0; bit < 8 * (begins[1] - begins[0]); ++bit) {
      MemoryStorage flipped;
      flipped.bytes = whole.bytes;
      flipped.bytes[begins[0] + bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
      Opened again(network, flipped);
      ASSERT_EQ(again.recovered.error(), Errc::invalid) << bit;
    }
  });
}

// The medium may fail after the start, too: what is sent to a backup or applied is looked at when it is read.
TEST(Wal, an_entry_that_was_damaged_since_is_not_read_back) {
  in_world([](Network& network) {
    MemoryStorage storage;
    Opened log(network, storage);
    const auto begins = write(network, log.wal, storage, {1, 1, 1});
    ASSERT_TRUE(log.wal.read(2).has_value());
    storage.bytes[(begins[1] + begins[2]) / 2] ^= std::byte{1};
    EXPECT_EQ(log.wal.read(2).error(), Errc::invalid);
    EXPECT_TRUE(log.wal.read(3).has_value());
  });
}

TEST(Wal, what_a_client_writes_is_taken_for_no_record) {
  in_world([](Network& network) {
    MemoryStorage donor;
    Opened other(network, donor);
    const auto of_donor = write(network, other.wal, donor, {1, 1, 1});
    // A whole record of another file, as the body of the last entry; then that is torn.
    const auto body = std::span(donor.bytes).subspan(of_donor[2], of_donor[3] - of_donor[2]);
    MemoryStorage storage;
    Opened first(network, storage);
    write(network, first.wal, storage, {1}, body);
    storage.bytes.pop_back();
    storage.bytes[wal_head_size] ^= std::byte{1};
    Opened again(network, storage);
    ASSERT_TRUE(again.recovered.has_value()) << again.why;
    EXPECT_EQ(again.wal.last(), 0U);
  });
}

TEST(Wal, an_entry_that_is_larger_than_this_replica_takes_is_refused_and_kept) {
  in_world([](Network& network) {
    MemoryStorage storage;
    Opened first(network, storage);
    write(network, first.wal, storage, {1});
    write(network, first.wal, storage, {1}, std::vector<std::byte>(5'000, std::byte{'a'}));
    const auto before = storage.bytes;
    for (const std::size_t body_max : {std::size_t{100}, std::size_t{4'999}}) {
      Opened small(network, storage, wal_cluster, body_max);
      ASSERT_FALSE(small.recovered.has_value()) << body_max;
      EXPECT_EQ(small.recovered.error(), Errc::invalid);
      EXPECT_NE(small.why.find("entry 2 of the log has a body of 5000 bytes"), std::string::npos)
          << small.why;
      EXPECT_EQ(storage.bytes, before);
      EXPECT_EQ(storage.cuts, 0);
    }
    EXPECT_EQ(Opened(network, storage, wal_cluster, 5'000).wal.last(), 2U);
    // Torn, it is a torn end, however little this replica takes.
    storage.bytes.resize(storage.bytes.size() - wal_alignment);
    Opened torn(network, storage, wal_cluster, 100);
    ASSERT_TRUE(torn.recovered.has_value()) << torn.why;
    EXPECT_EQ(torn.wal.last(), 1U);
  });
}

TEST(Wal, another_cluster_s_log_and_what_is_none_are_refused_untouched) {
  in_world([](Network& network) {
    MemoryStorage storage;
    Opened first(network, storage);
    write(network, first.wal, storage, {2});
    const auto before = storage.bytes;
    Opened stranger(network, storage, {8, 8});
    EXPECT_EQ(stranger.recovered.error(), Errc::invalid);
    EXPECT_NE(stranger.why.find("another cluster"), std::string::npos) << stranger.why;
    EXPECT_EQ(storage.bytes, before);
    MemoryStorage text;
    text.bytes.assign(1000, std::byte{'x'});
    Opened none(network, text);
    EXPECT_EQ(none.recovered.error(), Errc::invalid);
    EXPECT_NE(none.why.find("no log"), std::string::npos) << none.why;
    EXPECT_EQ(text.bytes.size(), 1000U);
  });
}

// As short as a head, or shorter: a key, or the note of somebody.
TEST(Wal, a_short_file_that_is_no_log_is_refused_untouched) {
  in_world([](Network& network) {
    for (const std::size_t size : {1, 7, 8, 10, 64}) {
      MemoryStorage text;
      text.bytes.assign(size, std::byte{'x'});
      const auto before = text.bytes;
      Opened none(network, text);
      ASSERT_FALSE(none.recovered.has_value()) << size;
      EXPECT_EQ(none.recovered.error(), Errc::invalid) << size;
      EXPECT_NE(none.why.find("this is no log of twinwire"), std::string::npos) << none.why;
      EXPECT_EQ(text.bytes, before) << size;
      EXPECT_EQ(text.cuts, 0) << size;
    }
  });
}

// Its first bytes alone would pass for what a crash may leave of a head.
TEST(Wal, a_short_file_that_begins_as_a_torn_head_and_is_none_is_refused_untouched) {
  in_world([](Network& network) {
    struct Foreign {
      std::string_view begin;
      std::size_t zeros;
      std::string_view rest;
    };
    for (const auto& [begin, zeros, rest] :
         {Foreign{"", 8, "precious"},
          {"t", 7, "something of mine"},
          {"twinlog\n\1", 0, "2"},
          {"", 50, "end"},
          {"", 8, "as long as a head, to the byte, and no head all the same"}}) {
      std::string foreign(begin);
      foreign.resize(begin.size() + zeros);
      foreign += rest;
      MemoryStorage storage;
      const auto bytes = std::as_bytes(std::span(foreign));
      storage.bytes.assign(bytes.begin(), bytes.end());
      const auto before = storage.bytes;
      Opened none(network, storage);
      ASSERT_FALSE(none.recovered.has_value()) << foreign;
      EXPECT_EQ(none.recovered.error(), Errc::invalid) << foreign;
      EXPECT_NE(none.why.find("this is no log of twinwire"), std::string::npos) << none.why;
      EXPECT_EQ(storage.bytes, before) << foreign;
      EXPECT_EQ(storage.cuts, 0) << foreign;
    }
    // And what a crash has left of another cluster's head is not for us to cut either.
    MemoryStorage storage;
    Opened first(network, storage);
    storage.bytes.resize(40);
    EXPECT_FALSE(Opened(network, storage, {8, 8}).recovered.has_value());
    EXPECT_EQ(storage.bytes.size(), 40U);
    EXPECT_TRUE(Opened(network, storage).recovered.has_value());
  });
}

// Of what a crash interrupted a file system may keep the length alone, or a part.
TEST(Wal, a_head_of_which_only_the_length_or_a_part_is_there_begins_a_new_log) {
  in_world([](Network& network) {
    for (const std::size_t lost : {0, 3, 8, 40}) {
      MemoryStorage storage;
      Opened first(network, storage);
      std::fill(storage.bytes.begin() + static_cast<std::ptrdiff_t>(lost), storage.bytes.end(),
                std::byte{});
      Opened again(network, storage);
      ASSERT_TRUE(again.recovered && again.recovered->fresh) << lost << ": " << again.why;
    }
  });
}

TEST(Wal, a_head_that_was_never_whole_begins_a_new_log) {
  in_world([](Network& network) {
    for (std::size_t left = 1; left < wal_head_size; ++left) {
      MemoryStorage storage;
      Opened first(network, storage);
      storage.bytes.resize(left);
      Opened again(network, storage);
      ASSERT_TRUE(again.recovered && again.recovered->fresh) << left;
      write(network, again.wal, storage, {1});
      ASSERT_EQ(Opened(network, storage).wal.last(), 1U);
    }
  });
}

}  // namespace
}  // namespace twinwire::log
