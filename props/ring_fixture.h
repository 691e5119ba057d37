// SPDX-License-Identifier: Apache-2.0
// What the tests of the Ring share: a ring, a network on it, a main fiber; and that nothing is left over afterwards.
#pragma once

#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "real/probe.h"
#include "real/ring.h"
#include "real/ring_network.h"
#include "transport/fiber/scope.h"

namespace twinwire::real {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

inline const Address loopback = Address::v4(127, 0, 0, 1, 0);

inline std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* directory = ::opendir("/proc/self/fd");
  while (::readdir(directory) != nullptr) ++count;
  ::closedir(directory);
  return count;
}

class RingTest : public ::testing::Test {
 protected:
  // A test that hangs dies here, with its name on the last line.
  RingTest() { ::alarm(120); }
  ~RingTest() override { ::alarm(0); }

  // Runs body(network, scope) in a fiber until all fibers have ended, and returns what the ring counted.
  template <class F>
  Counters run(const RingOptions& options, F&& body) {
    const std::size_t descriptors = open_descriptors();
    Counters counters;
    {
      auto ring = Ring::create(options);
      if (!ring) {
        ADD_FAILURE() << explain_no_ring(ring.error());
        return counters;
      }
      ring_ = ring->get();
      RingNetwork network(*ring_);
      Scope root(ring_->scheduler());
      root.spawn("main", [&] {
        run_scope(ring_->scheduler(), [&](Scope& scope) { body(network, scope); });
      });
      EXPECT_EQ(ring_->scheduler().run(), Scheduler::Outcome::finished);
      root.rethrow_failure();
      ring_->core().settle();
      EXPECT_EQ(ring_->core().operations().in_flight(), 0u);
      EXPECT_EQ(ring_->core().receive_buffers().lent(), 0u);
      EXPECT_EQ(ring_->core().small_receive_buffers().lent(), 0u);
      counters = ring_->counters();
      ring_ = nullptr;
    }
    EXPECT_EQ(open_descriptors(), descriptors) << "descriptors leaked";
    return counters;
  }

  // For use inside run().
  Ring& ring() { return *ring_; }
  Deadline in(Duration d) { return ring_->clock().in(d); }
  Deadline soon() { return in(seconds(20)); }  // what must not take that long

  struct Pair {
    std::unique_ptr<ByteStream> near;
    std::unique_ptr<ByteStream> far;
  };
  // Two ends of one connection: `near` dialed, `far` was accepted.
  Pair connect(RingNetwork& network, const StreamOptions& stream = {}) {
    ListenOptions options;
    options.stream = stream;
    auto acceptor = network.listen(loopback, options);
    EXPECT_TRUE(acceptor.has_value());
    auto near = network.dial((*acceptor)->local(), stream, soon());
    EXPECT_TRUE(near.has_value());
    auto far = (*acceptor)->accept(soon());
    EXPECT_TRUE(far.has_value());
    return {std::move(*near), std::move(*far)};
  }

  // Byte `i` of a stream whose every byte is known.
  static std::byte byte_at(std::size_t i) {
    return static_cast<std::byte>((i * 0x9e3779b97f4a7c15ULL) >> 56);
  }
  static std::vector<std::byte> pattern(std::size_t size, std::size_t from = 0) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = byte_at(from + i);
    return bytes;
  }

  // Writes everything, resuming short writes.
  static Result<void> write_all(ByteStream& stream, std::span<const std::byte> bytes,
                                Deadline deadline) {
    while (!bytes.empty()) {
      const iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
      auto n = stream.write({&piece, 1}, deadline);
      if (!n) return n.error();
      bytes = bytes.subspan(*n);
    }
    return {};
  }
  // Reads `size` bytes, or to the end of the stream.
  static Result<std::vector<std::byte>> read_up_to(ByteStream& stream, std::size_t size,
                                                   Deadline deadline) {
    std::vector<std::byte> bytes;
    while (bytes.size() < size) {
      auto slice = stream.read(deadline);
      if (!slice) return slice.error();
      if (slice->empty()) break;
      bytes.insert(bytes.end(), slice->data(), slice->data() + slice->size());
    }
    return bytes;
  }

 private:
  Ring* ring_ = nullptr;
};

}  // namespace twinwire::real
