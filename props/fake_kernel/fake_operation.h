// SPDX-License-Identifier: Apache-2.0
// FakeOperation: one request that the fake kernel has taken and not finished. It reads and writes the memory that
// it was lent as late as it can, when it completes; what was lent is looked at then, so that who took it back too
// early shows.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "props/fake_kernel/fake_file.h"
#include "sim/world.h"

namespace twinwire::fake {

class FakeKernel;
class FakeRing;

class FakeOperation final : public sim::EventSource {
 public:
  enum class State : std::uint8_t {
    waiting,    // for its file
    due,        // it completes at an instant
    notifying,  // a zero-copy send: it is done, and its memory still lent
    over,
  };

  FakeOperation(FakeKernel& kernel, FakeRing& ring, FakeFile& file, const io_uring_sqe& request);

  void fire() override;

  bool is_send() const noexcept {
    return opcode == IORING_OP_SEND || opcode == IORING_OP_SENDMSG ||
           opcode == IORING_OP_SENDMSG_ZC;
  }
  Direction direction() const noexcept {
    return opcode == IORING_OP_RECV || opcode == IORING_OP_ACCEPT ? Direction::in : Direction::out;
  }
  const char* name() const noexcept;

  // Bytes to send: all of them, and the first `n` of them.
  std::size_t total() const noexcept;
  std::vector<std::byte> gather(std::size_t n) const;
  // What was lent is as it was when it was lent.
  bool is_untouched() const noexcept;

  FakeKernel* kernel;
  FakeRing* ring;
  FakeFile* file;
  int fd;
  unsigned opcode;
  std::uint64_t user_data;
  bool multishot = false;
  bool selects = false;  // a provided buffer
  bool dying = false;    // its cancel was told EALREADY
  std::uint16_t group = 0;
  State state = State::waiting;
  std::vector<iovec>
      pieces;  // a send's; as Linux does, copied when it is submitted: what they say is not
  std::span<std::byte> buffer;  // a receive's own
  sockaddr* address = nullptr;  // an accept's, for the kernel to write
  socklen_t* address_length = nullptr;
  Address target;  // a connect's

 private:
  std::uint64_t mark() const noexcept;

  std::uint64_t mark_ = 0;
};

// The answer to a cancel, on its way.
class LateAnswer final : public sim::EventSource {
 public:
  LateAnswer(FakeKernel& owner, FakeRing& on, std::uint64_t id, std::int32_t what)
      : kernel(&owner), ring(&on), user_data(id), result(what) {}
  void fire() override;

  FakeKernel* kernel;
  FakeRing* ring;
  std::uint64_t user_data;
  std::int32_t result;
};

// Marks memory as the kernel's, and looks whether the mark is still there.
void mark_as_lent(std::span<std::byte> memory) noexcept;
bool is_still_marked(std::span<const std::byte> memory) noexcept;

}  // namespace twinwire::fake
