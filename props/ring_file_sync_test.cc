// SPDX-License-Identifier: Apache-2.0
// What FileStorage asks of the kernel: which syncs, and when; what it makes of writes that are short, and of a sync or
// a read that fails. A kernel in between looks at what is submitted, and changes it.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <ranges>
#include <string>
#include <utility>
#include <vector>

#include "props/cli_process.h"
#include "props/kernel_in_between.h"
#include "props/ring_fixture.h"
#include "real/file_storage.h"

namespace {

int folders_synced = 0;

}  // namespace

// In place of the C library's, for all of this executable: only folders are synced by it.
extern "C" int fsync(int fd) {
  ++folders_synced;
  return ::fdatasync(fd);
}

namespace twinwire::real {
namespace {

// Operations of a file, in the order in which they were handed in.
class FileKernel final : public KernelInBetween {
 public:
  int poll(io_uring& ring) noexcept override {
    look(ring);
    return KernelInBetween::poll(ring);
  }
  int wait(io_uring& ring, Duration timeout) noexcept override {
    look(ring);
    return KernelInBetween::wait(ring, timeout);
  }

  // "w" a write, "r" a read, "d" a sync of the data, "s" one of all.
  std::string seen;
  std::function<void(io_uring_sqe&)> change;

 private:
  void look(io_uring& ring) noexcept {
    for_each_request(ring, [&](io_uring_sqe& request) {
      switch (request.opcode) {
        case IORING_OP_WRITEV: seen += 'w'; break;
        case IORING_OP_READ: seen += 'r'; break;
        case IORING_OP_FSYNC:
          seen += request.fsync_flags == IORING_FSYNC_DATASYNC ? 'd' : 's';
          break;
        default: return;
      }
      if (change) change(request);
    });
  }
};

class RingFileSync : public RingTest {
 protected:
  // Calls body(storage) with a file that has 1,000 bytes, and nothing seen of it yet.
  void with_file(const std::function<void(FileStorage&)>& body) {
    RingOptions options;
    options.kernel = &kernel_;
    run(options, [&](RingNetwork&, Scope&) {
      std::string why;
      auto storage = FileStorage::open(ring(), path(), why);
      ASSERT_TRUE(storage.has_value()) << why;
      ASSERT_TRUE(append(**storage, 1'000).has_value());
      kernel_.seen.clear();
      body(**storage);
      kernel_.change = nullptr;
    });
  }
  std::string path() const { return (folder_.path() / "a.log").string(); }
  static Result<void> append(FileStorage& storage, std::size_t size) {
    const std::vector<std::byte> bytes(size, std::byte{7});
    const std::array pieces{std::span<const std::byte>(bytes)};
    return storage.append(pieces);
  }

  FileKernel kernel_;
  props::TemporaryFolder folder_;
};

TEST_F(RingFileSync, a_sync_is_one_of_the_data_and_comes_behind_the_write) {
  with_file([&](FileStorage& storage) {
    ASSERT_TRUE(append(storage, 100).has_value());
    EXPECT_EQ(kernel_.seen, "w") << "an append alone promises nothing";
    ASSERT_TRUE(storage.sync().has_value());
    EXPECT_EQ(kernel_.seen, "wd");
  });
}

TEST_F(RingFileSync, settling_reads_writes_and_syncs) {
  with_file([&](FileStorage& storage) {
    ASSERT_TRUE(storage.settle(500).has_value());
    EXPECT_EQ(kernel_.seen, "rws");
  });
}

TEST_F(RingFileSync, a_cut_is_synced) {
  with_file([&](FileStorage& storage) {
    ASSERT_TRUE(storage.truncate(10).has_value());
    EXPECT_EQ(kernel_.seen, "s");
    EXPECT_EQ(std::filesystem::file_size(path()), 10U);
  });
}

TEST_F(RingFileSync, the_name_of_a_new_file_is_synced_and_no_other) {
  folders_synced = 0;
  with_file([](FileStorage&) {});
  EXPECT_EQ(folders_synced, 1);
  with_file([](FileStorage&) {});
  EXPECT_EQ(folders_synced, 1) << "it was there already";
}

TEST_F(RingFileSync, what_a_write_did_not_take_is_written_again_from_there) {
  with_file([&](FileStorage& storage) {
    std::vector<std::byte> first(300);
    std::vector<std::byte> second(500);
    for (std::size_t i = 0; i < second.size(); ++i) second[i] = static_cast<std::byte>(3 * i);
    std::ranges::copy(second | std::views::take(300), first.begin());
    // Each takes 100 bytes of one piece alone.
    iovec part{};
    kernel_.change = [&](io_uring_sqe& request) {
      if (request.opcode != IORING_OP_WRITEV) return;
      part = *reinterpret_cast<const iovec*>(request.addr);
      part.iov_len = std::min<std::size_t>(part.iov_len, 100);
      request.addr = reinterpret_cast<std::uint64_t>(&part);
      request.len = 1;
    };
    const std::array<std::span<const std::byte>, 2> pieces{first, second};
    ASSERT_TRUE(storage.append(pieces).has_value());
    EXPECT_EQ(kernel_.seen, "wwwwwwww");
    EXPECT_EQ(storage.size(), 1'800U);
    std::vector<std::byte> got(800);
    ASSERT_TRUE(storage.read(1'000, got).has_value());
    EXPECT_TRUE(std::equal(first.begin(), first.end(), got.begin()));
    EXPECT_TRUE(std::equal(second.begin(), second.end(), got.begin() + 300));
  });
}

TEST_F(RingFileSync, what_a_read_did_not_bring_is_read_from_there) {
  with_file([&](FileStorage& storage) {
    std::vector<std::byte> bytes(500);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(3 * i);
    const std::array pieces{std::span<const std::byte>(bytes)};
    ASSERT_TRUE(storage.append(pieces).has_value());
    kernel_.seen.clear();
    kernel_.change = [](io_uring_sqe& request) { request.len = std::min(request.len, 200U); };
    std::vector<std::byte> got(500);
    ASSERT_TRUE(storage.read(1'000, got).has_value());
    EXPECT_EQ(kernel_.seen, "rrr");
    EXPECT_EQ(got, bytes);
  });
}

TEST_F(RingFileSync, a_write_that_takes_nothing_is_a_full_disk) {
  with_file([&](FileStorage& storage) {
    kernel_.change = [](io_uring_sqe& request) { request.len = 0; };
    EXPECT_FALSE(append(storage, 10).has_value());
    EXPECT_NE(storage.problem().find("ENOSPC"), std::string::npos) << storage.problem();
    EXPECT_EQ(storage.size(), 1'000U);
  });
}

TEST_F(RingFileSync, an_operation_that_fails_is_told_with_its_cause) {
  for (const auto& [opcode, work] :
       {std::pair<int, std::function<Result<void>(FileStorage&)>>{
            IORING_OP_FSYNC, [](FileStorage& storage) { return storage.sync(); }},
        {IORING_OP_FSYNC, [](FileStorage& storage) { return storage.truncate(10); }},
        {IORING_OP_WRITEV, [](FileStorage& storage) { return append(storage, 10); }},
        {IORING_OP_READ, [](FileStorage& storage) { return storage.settle(0); }}})
    with_file([&](FileStorage& storage) {
      kernel_.change = [code = opcode](io_uring_sqe& request) {
        if (request.opcode == code) request.fd = -1;
      };
      EXPECT_FALSE(work(storage).has_value()) << opcode;
      EXPECT_NE(storage.problem().find(path()), std::string::npos) << storage.problem();
      EXPECT_NE(storage.problem().find("EBADF"), std::string::npos) << storage.problem();
    });
}

}  // namespace
}  // namespace twinwire::real
