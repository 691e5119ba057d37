// SPDX-License-Identifier: Apache-2.0
#include "props/fake_kernel/fake_operation.h"

#include <algorithm>
#include <cstring>

#include "props/fake_kernel/fake_kernel.h"
#include "real/socket_address.h"
#include "sim/run_hash.h"

namespace twinwire::fake {
namespace {

constexpr std::size_t marked_max = 32;
constexpr std::byte mark_byte{0xa7};

std::span<const std::byte> bytes_of(const iovec& piece) noexcept {
  return {static_cast<const std::byte*>(piece.iov_base), piece.iov_len};
}

}  // namespace

void mark_as_lent(std::span<std::byte> memory) noexcept {
  std::fill_n(memory.begin(), std::min(memory.size(), marked_max), mark_byte);
}

bool is_still_marked(std::span<const std::byte> memory) noexcept {
  const auto marked = memory.first(std::min(memory.size(), marked_max));
  return std::all_of(marked.begin(), marked.end(), [](std::byte b) { return b == mark_byte; });
}

FakeOperation::FakeOperation(FakeKernel& owner, FakeRing& on, FakeFile& of,
                             const io_uring_sqe& request)
    : kernel(&owner),
      ring(&on),
      file(&of),
      fd(request.fd),
      opcode(request.opcode),
      user_data(request.user_data),
      selects((request.flags & IOSQE_BUFFER_SELECT) != 0),
      group(request.buf_group) {
  switch (opcode) {
    case IORING_OP_SEND:
      pieces.push_back({reinterpret_cast<void*>(request.addr), request.len});
      break;
    case IORING_OP_SENDMSG:
    case IORING_OP_SENDMSG_ZC: {
      const auto* message = reinterpret_cast<const msghdr*>(request.addr);
      pieces.assign(message->msg_iov, message->msg_iov + message->msg_iovlen);
      break;
    }
    case IORING_OP_RECV:
      multishot = (request.ioprio & IORING_RECV_MULTISHOT) != 0;
      if (!selects) buffer = {reinterpret_cast<std::byte*>(request.addr), request.len};
      mark_as_lent(buffer);
      break;
    case IORING_OP_ACCEPT:
      multishot = (request.ioprio & IORING_ACCEPT_MULTISHOT) != 0;
      address = reinterpret_cast<sockaddr*>(request.addr);
      address_length = reinterpret_cast<socklen_t*>(request.addr2);
      break;
    case IORING_OP_CONNECT: {
      real::SocketAddress wanted;
      std::memcpy(&wanted.v6, reinterpret_cast<const void*>(request.addr),
                  std::min<std::size_t>(request.off, sizeof wanted.v6));
      target = wanted.address();
      break;
    }
    default: break;
  }
  mark_ = mark();
}

void FakeOperation::fire() { kernel->on_due(*this); }
void LateAnswer::fire() { kernel->on_answer(*this); }

const char* FakeOperation::name() const noexcept {
  switch (opcode) {
    case IORING_OP_SEND: return "send";
    case IORING_OP_SENDMSG: return "sendmsg";
    case IORING_OP_SENDMSG_ZC: return "sendmsg without a copy";
    case IORING_OP_RECV: return multishot ? "receive that goes on" : "receive";
    case IORING_OP_ACCEPT: return multishot ? "accept that goes on" : "accept";
    case IORING_OP_CONNECT: return "connect";
    default: return "operation";
  }
}

std::size_t FakeOperation::total() const noexcept {
  std::size_t sum = 0;
  for (const iovec& piece : pieces) sum += piece.iov_len;
  return sum;
}

std::vector<std::byte> FakeOperation::gather(std::size_t n) const {
  std::vector<std::byte> bytes;
  bytes.reserve(n);
  for (const iovec& piece : pieces) {
    const auto part = bytes_of(piece).first(std::min(piece.iov_len, n - bytes.size()));
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
  return bytes;
}

std::uint64_t FakeOperation::mark() const noexcept {
  std::uint64_t sum = 0;
  for (const iovec& piece : pieces) sum = mix(sum, sim::digest(bytes_of(piece)));
  return sum;
}

bool FakeOperation::is_untouched() const noexcept {
  return mark_ == mark() && (selects || is_still_marked(buffer));
}

}  // namespace twinwire::fake
