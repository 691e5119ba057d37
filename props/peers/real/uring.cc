// SPDX-License-Identifier: Apache-2.0
// The yardstick: io_uring as one writes it by hand for exactly this work.
//
// DEFER_TASKRUN and SINGLE_ISSUER, ring and sockets registered, one enter a turn that submits everything and waits.
// An echo is received by multishot into provided buffers, and sent from where it lies. A stream is received by one recv
// after another into one large buffer: by multishot into provided ones it took a tenth more processor time at messages
// of 1 KiB, and two fifths at 64 KiB, which lie across several of them.
#include <liburing.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <deque>

#include "props/peers/real/engines.h"
#include "transport/net/write_all.h"

namespace twinwire::peers {
namespace {

[[noreturn]] void fail_uring(const char* what, int error) {
  fail(std::string(what) + ": " + std::strerror(-error));
}

// Buffers that the kernel picks from.
class ProvidedBuffers {
 public:
  static constexpr std::uint16_t group = 0;

  ProvidedBuffers(io_uring& ring, unsigned count, std::size_t size)
      : count_(count), size_(size), memory_(count * size + 4096) {
    bytes_ = memory_.data() + (4096 - reinterpret_cast<std::uintptr_t>(memory_.data()) % 4096);
    std::memset(bytes_, 1, count * size);  // touched before anything is measured
    void* pages = nullptr;
    if (::posix_memalign(&pages, 4096, count * sizeof(io_uring_buf)) != 0) fail("no memory");
    buffers_ = static_cast<io_uring_buf_ring*>(pages);
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uintptr_t>(pages);
    registration.ring_entries = count;
    registration.bgid = group;
    if (const int error = ::io_uring_register_buf_ring(&ring, &registration, 0); error < 0)
      fail_uring("provided buffers", error);
    ::io_uring_buf_ring_init(buffers_);
    for (unsigned i = 0; i < count; ++i) give_back(static_cast<std::uint16_t>(i));
  }
  ProvidedBuffers(const ProvidedBuffers&) = delete;
  ProvidedBuffers& operator=(const ProvidedBuffers&) = delete;
  ~ProvidedBuffers() { std::free(buffers_); }

  void give_back(std::uint16_t id) noexcept {
    ::io_uring_buf_ring_add(buffers_, bytes_ + id * size_, static_cast<unsigned>(size_), id,
                            ::io_uring_buf_ring_mask(count_), 0);
    ::io_uring_buf_ring_advance(buffers_, 1);
  }
  std::byte* at(std::uint16_t id) noexcept { return bytes_ + id * size_; }

 private:
  unsigned count_;
  std::size_t size_;
  std::vector<std::byte> memory_;
  std::byte* bytes_;
  io_uring_buf_ring* buffers_;
};

class UringEngine {
 public:
  UringEngine(const std::vector<Socket>& sockets, Side& side, const RealCall& call)
      : side_(&side),
        multishot_(sockets.size() > 1 || call.work.echoes()),
        flat_(call.peer == "uring-flat"),
        waits_for_writes_(call.work.echoes() && call.work.size * call.work.depth <= small_echo) {
    // All that is outstanding on a connection comes in one buffer.
    const std::size_t buffer_size = std::clamp<std::size_t>(
        std::bit_ceil(call.work.size * call.work.depth), small_echo, 64 * 1024);
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL;
    parameters.cq_entries = 8192;
    if (const int error = ::io_uring_queue_init_params(1024, &ring_, &parameters); error < 0)
      fail_uring("io_uring", error);
    (void)::io_uring_register_ring_fd(&ring_);
    std::vector<int> files;
    files.reserve(sockets.size());
    for (const Socket& socket : sockets) files.push_back(socket.fd());
    if (::io_uring_register_files(&ring_, files.data(), static_cast<unsigned>(files.size())) < 0)
      fail("cannot register the sockets");
    // Few and small: the kernel takes them in turn, and their memory should stay in the processor's cache.
    if (multishot_)
      buffers_ = std::make_unique<ProvidedBuffers>(
          ring_, static_cast<unsigned>(std::bit_ceil(std::max<std::size_t>(sockets.size(), 8))),
          buffer_size);
    conns_.reserve(sockets.size());
    for (std::size_t c = 0; c < sockets.size(); ++c) {
      conns_.emplace_back(call.work.size, multishot_ ? 2 * buffer_size : 256 * 1024);
      receive(c);
    }
    live_ = conns_.size();
  }
  UringEngine(const UringEngine&) = delete;
  UringEngine& operator=(const UringEngine&) = delete;
  ~UringEngine() { ::io_uring_queue_exit(&ring_); }

  void run() {
    for (std::size_t c = 0; c < conns_.size(); ++c) {
      const Pieces pieces = side_->start(c);
      if (pieces.empty()) continue;
      if (conns_[c].sending)
        conns_[c].after = pieces;
      else
        write(c, pieces);
    }
    while (!side_->over() && live_ > 0) {
      // A write that finds room completes while it is submitted: something else is what this turn waits for.
      const unsigned completions = waits_for_writes_ ? 1 + writing_ : 1;
      count_system_call();
      const int entered = ::io_uring_submit_and_wait(&ring_, completions);
      if (entered < 0 && entered != -EINTR) fail_uring("io_uring_enter", entered);
      unsigned head = 0;
      unsigned seen = 0;
      io_uring_cqe* cqe = nullptr;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        complete(*cqe);
        ++seen;
      }
      ::io_uring_cq_advance(&ring_, seen);
    }
  }

 private:
  static constexpr std::size_t small_echo = 4096;
  static constexpr std::uint64_t receive_bit = 1;
  static constexpr int no_buffer = -1;

  struct Chunk {
    int buffer;
    std::size_t size;
  };
  struct Conn {
    Conn(std::size_t message_max, std::size_t room) : inbox(message_max, room) {}
    Inbox inbox;
    std::deque<Chunk> chunks;  // that came while a write was under way
    bool sending = false;
    int held = no_buffer;  // what is being written lies in it
    bool more_waits = false;
    bool receive_after = false;
    Pieces pieces;  // being written
    Pieces after;   // to be written then
    msghdr message{};
    std::vector<iovec> rest;
    std::vector<std::byte> flat;
    std::size_t left = 0;
  };

  io_uring_sqe& sqe() {
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      count_system_call();
      (void)::io_uring_submit(&ring_);
      sqe = ::io_uring_get_sqe(&ring_);
      if (sqe == nullptr) fail("the submission queue is full");
    }
    return *sqe;
  }
  static void address(io_uring_sqe& sqe, std::size_t c, std::uint64_t bit) {
    sqe.user_data = c << 1 | bit;
    sqe.flags |= IOSQE_FIXED_FILE;
  }

  void receive(std::size_t c) {
    Conn& conn = conns_[c];
    io_uring_sqe& entry = sqe();
    if (multishot_) {
      ::io_uring_prep_recv_multishot(&entry, static_cast<int>(c), nullptr, 0, 0);
      entry.flags |= IOSQE_BUFFER_SELECT;
      entry.buf_group = ProvidedBuffers::group;
    } else {
      const auto space = conn.inbox.space();
      ::io_uring_prep_recv(&entry, static_cast<int>(c), space.data(), space.size(), 0);
      if (!conn.more_waits) entry.ioprio |= IORING_RECVSEND_POLL_FIRST;
    }
    address(entry, c, receive_bit);
  }

  void write(std::size_t c, Pieces pieces) {
    Conn& conn = conns_[c];
    conn.sending = true;
    if (flat_) {
      conn.flat.clear();
      for (const iovec& piece : pieces) {
        const auto* bytes = static_cast<const std::byte*>(piece.iov_base);
        conn.flat.insert(conn.flat.end(), bytes, bytes + piece.iov_len);
      }
      conn.rest.assign(1, {conn.flat.data(), conn.flat.size()});
      pieces = conn.rest;
    }
    submit_write(c, pieces);
  }
  void submit_write(std::size_t c, Pieces pieces) {
    Conn& conn = conns_[c];
    conn.pieces = pieces;
    conn.left = 0;
    for (const iovec& piece : pieces) conn.left += piece.iov_len;
    io_uring_sqe& entry = sqe();
    constexpr int flags = MSG_NOSIGNAL | MSG_WAITALL;
    if (pieces.size() == 1) {
      ::io_uring_prep_send(&entry, static_cast<int>(c), pieces[0].iov_base, conn.left, flags);
    } else {
      conn.message.msg_iov = const_cast<iovec*>(pieces.data());
      conn.message.msg_iovlen = pieces.size();
      ::io_uring_prep_sendmsg(&entry, static_cast<int>(c), &conn.message, flags);
    }
    address(entry, c, 0);
    ++writing_;
  }

  void complete(const io_uring_cqe& cqe) {
    const std::size_t c = cqe.user_data >> 1;
    if ((cqe.user_data & receive_bit) == 0) return written(c, cqe.res);
    Conn& conn = conns_[c];
    if (cqe.res == -ENOBUFS) return receive(c);
    if (cqe.res < 0 && cqe.res != -ECONNRESET) fail_uring("receive", cqe.res);
    if (cqe.res <= 0) {
      --live_;
      return;
    }
    const auto size = static_cast<std::size_t>(cqe.res);
    if (!multishot_) {
      conn.more_waits = (cqe.flags & IORING_CQE_F_SOCK_NONEMPTY) != 0;
      conn.inbox.filled(size);
      const Taken taken = side_->take(c, conn.inbox.unread());
      conn.inbox.use(taken.used);
      if (taken.pieces.empty()) return receive(c);
      conn.receive_after = true;
      return write(c, taken.pieces);
    }
    const Chunk chunk{static_cast<int>(cqe.flags >> IORING_CQE_BUFFER_SHIFT), size};
    if (conn.sending)
      conn.chunks.push_back(chunk);
    else
      arrived(c, chunk);
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) receive(c);
  }

  void arrived(std::size_t c, Chunk chunk) {
    Conn& conn = conns_[c];
    const auto buffer = static_cast<std::uint16_t>(chunk.buffer);
    const std::span<const std::byte> bytes(buffers_->at(buffer), chunk.size);
    if (!conn.inbox.unread().empty()) {  // the rest of a frame
      conn.inbox.append(bytes);
      buffers_->give_back(buffer);
      const Taken taken = side_->take(c, conn.inbox.unread());
      conn.inbox.use(taken.used);
      if (!taken.pieces.empty()) write(c, taken.pieces);
      return;
    }
    const Taken taken = side_->take(c, bytes);
    if (taken.used < bytes.size()) conn.inbox.append(bytes.subspan(taken.used));
    if (taken.pieces.empty()) return buffers_->give_back(buffer);
    conn.held = chunk.buffer;
    write(c, taken.pieces);
  }

  void written(std::size_t c, int result) {
    Conn& conn = conns_[c];
    --writing_;
    if (result < 0) fail_uring("send", result);
    const auto n = static_cast<std::size_t>(result);
    if (n < conn.left) {  // MSG_WAITALL makes it rare, not impossible
      std::vector<iovec> rest(conn.pieces.begin(), conn.pieces.end());
      const auto left = advance(std::span(rest), n);
      conn.rest.assign(left.begin(), left.end());
      return submit_write(c, conn.rest);
    }
    conn.sending = false;
    if (conn.held != no_buffer)
      buffers_->give_back(static_cast<std::uint16_t>(std::exchange(conn.held, no_buffer)));
    Pieces next = std::exchange(conn.after, {});
    if (next.empty()) next = side_->sent(c);
    if (!next.empty()) return write(c, next);
    if (!multishot_) {
      if (std::exchange(conn.receive_after, false)) receive(c);
      return;
    }
    while (!conn.sending && !conn.chunks.empty()) {
      const Chunk chunk = conn.chunks.front();
      conn.chunks.pop_front();
      arrived(c, chunk);
    }
  }

  Side* side_;
  bool multishot_;
  bool flat_;              // a batch is copied into one buffer
  bool waits_for_writes_;  // those of an echo so small that they always find room
  unsigned writing_ = 0;   // writes under way
  io_uring ring_{};
  std::unique_ptr<ProvidedBuffers> buffers_;
  std::vector<Conn> conns_;
  std::size_t live_ = 0;
};

}  // namespace

void run_real_uring(const RealCall& call) { run_engine<UringEngine>(call); }

}  // namespace twinwire::peers
