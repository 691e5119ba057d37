// SPDX-License-Identifier: Apache-2.0
// The replicated log over real sockets and files: the scenario `log` on the Ring, and FileStorage: what is written is
// found again, a torn end is cut, a file has one owner, and a disk that takes no more is told in a sentence.
// ctest: slow no_tsan
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <utility>

#include "props/cli_process.h"
#include "props/laws/run_on_ring.h"
#include "props/ring_fixture.h"
#include "real/file_storage.h"
#include "transport/log/wal.h"

namespace {

// What another process does just before we get the lock. Once.
std::function<void()> before_the_lock;

}  // namespace

// In place of the C library's, for all of this executable.
extern "C" int flock(int fd, int operation) noexcept {
  if (before_the_lock) std::exchange(before_the_lock, nullptr)();
  return static_cast<int>(::syscall(SYS_flock, fd, operation));
}

namespace twinwire::real {
namespace {

class RingLog : public testing::TestWithParam<std::size_t> {};

TEST_P(RingLog, keeps_the_laws_over_loopback) {
  const laws::Registry registry = laws::built_in_scenarios();
  auto ring = Ring::create({});
  ASSERT_TRUE(ring.has_value()) << explain_no_ring(ring.error());
  const std::uint64_t seed = 1 + GetParam();
  const auto verdict = laws::run_on_ring(*registry.find("log"), GetParam(), seed, {}, **ring);
  EXPECT_EQ(verdict.law, "") << "seed " << seed << ": " << verdict.detail;
}

INSTANTIATE_TEST_SUITE_P(Transports, RingLog, testing::Range<std::size_t>(0, laws::transport_count),
                         [](const auto& instance) {
                           return std::string(laws::transport_names()[instance.param]);
                         });

class FileStorageTest : public RingTest {
 protected:
  using Storage = std::unique_ptr<FileStorage>;

  Storage open() {
    auto storage = FileStorage::open(ring(), path(), why_);
    EXPECT_TRUE(storage.has_value()) << why_;
    return storage ? std::move(*storage) : nullptr;
  }
  std::string path() const { return (folder_.path() / "a.log").string(); }
  static std::vector<std::byte> some(std::size_t size, int seed) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(seed + 7 * i);
    return bytes;
  }
  static Result<void> append(FileStorage& storage, std::span<const std::byte> bytes) {
    const std::array pieces{bytes};
    return storage.append(pieces);
  }

  props::TemporaryFolder folder_;
  std::string why_;
};

TEST_F(FileStorageTest, what_was_appended_is_read_and_found_again) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto storage = open();
    const auto first = some(100, 1);
    const auto second = some(1'000'000, 2);
    const std::array<std::span<const std::byte>, 2> pieces{first, second};
    ASSERT_TRUE(storage->append(pieces).has_value());
    ASSERT_TRUE(storage->sync().has_value());
    EXPECT_EQ(storage->size(), 1'000'100U);
    // Several fibers read at a time, while another one appends.
    run_scope(network.scheduler(), [&](Scope& scope) {
      for (std::size_t at = 0; at < 1'000'000; at += 100'000)
        scope.spawn("reader", [&, at] {
          std::vector<std::byte> got(100'000);
          ASSERT_TRUE(storage->read(100 + at, got).has_value());
          EXPECT_TRUE(
              std::equal(got.begin(), got.end(), second.begin() + static_cast<std::ptrdiff_t>(at)));
        });
      ASSERT_TRUE(append(*storage, some(50'000, 3)).has_value());
    });
    ASSERT_TRUE(storage->settle(100).has_value());
    ASSERT_TRUE(storage->truncate(1'000'100).has_value());
    storage.reset();
    storage = open();
    ASSERT_TRUE(storage != nullptr);
    EXPECT_EQ(storage->size(), 1'000'100U);
    std::vector<std::byte> got(1'000'000);
    ASSERT_TRUE(storage->read(100, got).has_value());
    EXPECT_EQ(got, second);
  });
}

TEST_F(FileStorageTest, has_one_owner) {
  run({}, [&](RingNetwork&, Scope&) {
    const auto storage = open();
    const auto second = FileStorage::open(ring(), path(), why_);
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error(), Errc::backpressure);
    EXPECT_NE(why_.find("another process has it open"), std::string::npos) << why_;
  });
}

// The kernel's own threads sync, and may let go of the file later than they say that they are through. A second
// descriptor stands in for them.
TEST_F(FileStorageTest, is_free_as_soon_as_its_owner_is_gone) {
  run({}, [&](RingNetwork&, Scope&) {
    auto storage = open();
    int second = -1;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code error;
      if (std::filesystem::read_symlink(entry.path(), error) == path())
        second = ::dup(std::stoi(entry.path().filename().string()));
    }
    ASSERT_GE(second, 0);
    storage.reset();
    storage = open();
    EXPECT_TRUE(storage != nullptr);
    ::close(second);
  });
}

// Between our open and our lock the owner before may write on, and end.
TEST_F(FileStorageTest, sees_all_that_the_owner_before_has_written) {
  run({}, [&](RingNetwork&, Scope&) {
    auto before = open();
    ASSERT_TRUE(append(*before, some(100, 1)).has_value());
    before.reset();
    before_the_lock = [&] { std::ofstream(path(), std::ios::app) << std::string(50, 'x'); };
    const auto after = open();
    ASSERT_TRUE(after != nullptr);
    EXPECT_FALSE(before_the_lock) << "the lock is not taken by flock()";
    EXPECT_EQ(after->size(), 150U);
  });
}

TEST_F(FileStorageTest, what_cannot_be_opened_is_a_sentence) {
  run({}, [&](RingNetwork&, Scope&) {
    for (const auto& [path, words] :
         {std::pair<std::string, std::string>{"/dev/full", "is no regular file"},
          {"/nowhere/a.log", "cannot be opened: No such file or directory"},
          {folder_.path().string(), "cannot be opened: Is a directory"}}) {
      const auto storage = FileStorage::open(ring(), path, why_);
      ASSERT_FALSE(storage.has_value()) << path;
      EXPECT_NE(why_.find(words), std::string::npos) << why_;
    }
  });
}

// A limit on the size of files stands in for a disk that is full: the write is short, and then fails.
TEST_F(FileStorageTest, a_disk_that_takes_no_more_loses_nothing_that_was_synced) {
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{100'000, before.rlim_max};
  run({}, [&](RingNetwork& network, Scope&) {
    auto storage = open();
    const log::WalOptions options{{1, 1}, 200'000};
    std::uint64_t parent = 0;
    const auto entry = [&](log::Op op, std::size_t size) {
      auto made = log::make_prepare(network.buffers(),
                                    {.cluster = {1, 1}, .op = op, .parent = parent}, some(size, 9));
      parent = log::Fields(*made).checksum();
      return std::move(*made);
    };
    {
      log::Wal wal(*storage, network.buffers(), network.scheduler(), options);
      ASSERT_TRUE(wal.recover(network.random(), [](const std::byte*) {}, why_).has_value());
      const std::array<Message, 1> fits{entry(1, 50'000)};
      ASSERT_TRUE(wal.append(fits).has_value());
      ASSERT_TRUE(wal.sync().has_value());
      ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
      const std::array<Message, 1> too_large{entry(2, 90'000)};
      EXPECT_FALSE(wal.append(too_large).has_value());
      EXPECT_NE(wal.problem().find("cannot be written: "), std::string::npos) << wal.problem();
      EXPECT_NE(wal.problem().find("EFBIG"), std::string::npos) << wal.problem();
      EXPECT_FALSE(wal.sync().has_value()) << "a log that has failed goes on";
      EXPECT_EQ(wal.synced(), 1U);
    }
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    storage.reset();
    storage = open();
    EXPECT_GT(storage->size(), 60'000U);  // of the second entry there is a part
    log::Wal again(*storage, network.buffers(), network.scheduler(), options);
    const auto recovered = again.recover(network.random(), [](const std::byte*) {}, why_);
    ASSERT_TRUE(recovered.has_value()) << why_;
    EXPECT_EQ(recovered->last, 1U);
    EXPECT_GT(recovered->bytes_cut, 0U);
  });
}

}  // namespace
}  // namespace twinwire::real
