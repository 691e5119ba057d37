// SPDX-License-Identifier: Apache-2.0
#include "real/ring_datagram.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>

#include "real/datagram_control.h"
#include "real/ring_core.h"
#include "real/socket_address.h"
#include "real/socket_option.h"
#include "transport/base/check.h"

namespace twinwire::real {
namespace {

constexpr std::size_t messages_max = 16;  // to one system call
constexpr std::size_t segments_max = 64;  // UDP_MAX_SEGMENTS of older kernels
constexpr std::size_t segmented_bytes_max = 65'000;
constexpr std::uint32_t sends_before_yield = 16;

// What sendmsg(2) says of a destination that this socket cannot have: port 0, a source that is not ours, IPv6 on a
// socket of IPv4.
Error error_of_send(int error) noexcept {
  if (error == EINVAL || error == EAFNOSUPPORT) return {Errc::unreachable, error};
  return from_errno(error);
}

}  // namespace

void RingDatagram::set_options(int fd, bool v4) noexcept {
  // PROBE: never fragment, and believe no ICMP about the path's MTU, which anybody can forge.
  (void)set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  (void)set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
  if (v4) {
    (void)set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
  } else {
    (void)set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    (void)set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    (void)set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  }
  (void)set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
}

RingDatagram::RingDatagram(RingCore& core, DescriptorRef socket, const Address& local) noexcept
    : core_(&core), socket_(std::move(socket)), local_(local) {}

RingDatagram::~RingDatagram() { socket_->abort(); }

Result<void> RingDatagram::wait_for(Descriptor& socket, Direction direction, unsigned events,
                                    Deadline deadline, const char* waiting_for) {
  io_uring_sqe request{};
  ::io_uring_prep_poll_add(&request, socket.fd(), events);
  const Completion completion = socket.perform(direction, request, deadline, waiting_for);
  if (socket.aborted()) return Errc::canceled;
  if (completion.result < 0) return error_of(completion);
  return {};
}

RingDatagram::Cursor RingDatagram::next_piece(std::span<const Datagram> datagrams, Cursor at,
                                              std::span<const std::byte>& piece) const noexcept {
  const Datagram& datagram = datagrams[at.datagram];
  const std::size_t left = datagram.bytes.size() - at.offset;
  std::size_t size = left;
  if (datagram.segment_size != 0) {
    const std::size_t segments =
        std::clamp<std::size_t>(segmented_bytes_max / datagram.segment_size, 1, segments_max);
    size = std::min(left, datagram.segment_size * (kernel_segments_ ? segments : 1));
  }
  piece = datagram.bytes.subspan(at.offset, size);
  return size == left ? Cursor{at.datagram + 1, 0} : Cursor{at.datagram, at.offset + size};
}

Result<std::size_t> RingDatagram::send(std::span<const Datagram> datagrams, Deadline deadline) {
  TWINWIRE_CHECK(!datagrams.empty(), "a send hands over at least one datagram");
  const DescriptorRef socket = socket_;
  Scheduler& scheduler = core_->scheduler();
  if (const auto refused = scheduler.refuses(deadline)) return *refused;
  // A send that has room does not wait; every so often others get their turn all the same.
  if (++sends_in_a_row_ >= sends_before_yield) {
    sends_in_a_row_ = 0;
    scheduler.yield();
    if (socket->aborted()) return Errc::canceled;
  }

  Cursor done;
  bool in_doubt = false;  // whether the kernel's cutting was to blame
  while (done.datagram < datagrams.size()) {
    std::array<mmsghdr, messages_max> messages;
    std::array<iovec, messages_max> pieces;
    std::array<SocketAddress, messages_max> remotes;
    std::array<DatagramControl, messages_max> controls;
    std::array<Cursor, messages_max> after;
    std::size_t count = 0;
    for (Cursor at = done; count < messages_max && at.datagram < datagrams.size(); ++count) {
      const Datagram& datagram = datagrams[at.datagram];
      std::span<const std::byte> piece;
      at = after[count] = next_piece(datagrams, at, piece);
      pieces[count] = {const_cast<std::byte*>(piece.data()), piece.size()};
      remotes[count] = SocketAddress(datagram.remote);
      msghdr& header = messages[count].msg_hdr;
      header = {};
      header.msg_name = &remotes[count].any;
      header.msg_namelen = remotes[count].length;
      header.msg_iov = &pieces[count];
      header.msg_iovlen = 1;
      const bool cut = datagram.segment_size != 0 && piece.size() > datagram.segment_size;
      write_control(header, controls[count], datagram, cut ? datagram.segment_size : 0,
                    !local_.is_v4());
    }
    const int sent =
        core_->kernel().send_datagrams(socket->fd(), messages.data(), static_cast<unsigned>(count));
    if (sent > 0) {
      in_doubt = false;
      done = after[static_cast<std::size_t>(sent) - 1];
      core_->count().datagrams_sent += static_cast<std::uint64_t>(sent);
      continue;
    }
    const int error = -sent;
    if (error == EINTR) continue;
    const bool cut =
        messages[0].msg_hdr.msg_controllen != 0 && datagrams[done.datagram].segment_size != 0;
    if (kernel_segments_ && cut && (error == EIO || error == EINVAL || error == EOPNOTSUPP)) {
      kernel_segments_ = false;
      in_doubt = true;
      continue;
    }
    // It was not: one address that cannot be had must not cost all others the kernel's cutting.
    if (in_doubt && error != EAGAIN) kernel_segments_ = true;
    // What was taken whole is reported; the error comes back with the next call if it stays.
    if (done.datagram > 0 && done.offset == 0) return done.datagram;
    if (error != EAGAIN) return error_of_send(error);
    auto ready = wait_for(*socket.operator->(), Direction::out, POLLOUT, deadline,
                          "room to send a datagram");
    if (!ready) return ready.error();
  }
  return datagrams.size();
}

ReceivedDatagram RingDatagram::describe(const mmsghdr& message, Slice bytes) const noexcept {
  ReceivedDatagram datagram;
  datagram.remote = static_cast<const SocketAddress*>(message.msg_hdr.msg_name)->address();
  datagram.local = local_;
  read_control(message.msg_hdr, datagram);
  // One segment alone is a datagram like any other.
  if (datagram.segment_size >= bytes.size()) datagram.segment_size = 0;
  datagram.bytes = std::move(bytes);
  return datagram;
}

Result<DatagramBatch> RingDatagram::receive(Deadline deadline) {
  const DescriptorRef socket = socket_;
  RingCore& core = *core_;
  for (;;) {
    auto ready = wait_for(*socket.operator->(), Direction::in, POLLIN, deadline, "a datagram");
    if (!ready) return ready.error();

    std::array<mmsghdr, messages_max> messages;
    std::array<iovec, messages_max> rooms;
    std::array<SocketAddress, messages_max> remotes;
    std::array<DatagramControl, messages_max> controls;
    std::array<Slice, messages_max> buffers;
    std::size_t count = 0;
    for (; count < messages_max; ++count) {
      Block* block = core.receive_buffers().allocate();
      if (block == nullptr) break;
      buffers[count] = Slice(block, block->data, block->capacity);
      rooms[count] = {block->data, block->capacity};
      remotes[count] = SocketAddress();
      msghdr& header = messages[count].msg_hdr;
      header = {};
      header.msg_name = &remotes[count];
      header.msg_namelen = remotes[count].length;
      header.msg_iov = &rooms[count];
      header.msg_iovlen = 1;
      header.msg_control = controls[count].bytes;
      header.msg_controllen = sizeof controls[count].bytes;
    }
    if (count == 0) return Errc::no_resources;
    const int received = ::recvmmsg(socket->fd(), messages.data(), static_cast<unsigned>(count),
                                    MSG_DONTWAIT, nullptr);
    if (received < 0) {
      // Readiness without a datagram: its checksum was wrong.
      if (errno == EAGAIN || errno == EINTR) continue;
      return from_errno(errno);
    }
    core.count().datagrams_received += static_cast<std::uint64_t>(received);
    try {
      DatagramBatch batch;
      batch.reserve(static_cast<std::size_t>(received));
      for (std::size_t i = 0; i < static_cast<std::size_t>(received); ++i)
        batch.push_back(describe(messages[i], buffers[i].take_front(messages[i].msg_len)));
      return batch;
    } catch (const std::bad_alloc&) {
      return Errc::no_resources;  // these are lost, as datagrams may be
    }
  }
}

}  // namespace twinwire::real
