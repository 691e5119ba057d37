// SPDX-License-Identifier: Apache-2.0
// Sockets that do not block, and epoll: writev a batch, read into one buffer, level-triggered.
//
// A connection is read once a turn; a read that did not fill its buffer has found all there was. What a full socket did
// not take waits for EPOLLOUT, and nothing is read meanwhile.
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "props/peers/real/engines.h"
#include "transport/net/write_all.h"

namespace twinwire::peers {
namespace {

constexpr std::size_t pieces_max = 1024;  // IOV_MAX

class EpollEngine {
 public:
  EpollEngine(const std::vector<Socket>& sockets, Side& side, const RealCall& call)
      : side_(&side),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)),
        each_alone_(call.work.kind == RealKind::singles) {
    if (epoll_.fd() < 0) fail_errno("epoll_create1");
    conns_.reserve(sockets.size());
    for (std::size_t c = 0; c < sockets.size(); ++c) {
      int on = 1;
      if (::ioctl(sockets[c].fd(), FIONBIO, &on) != 0) fail_errno("FIONBIO");
      conns_.emplace_back(sockets[c].fd(), call.work.size,
                          sockets.size() > 1 ? 16 * 1024 : 256 * 1024);
      watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
    live_ = conns_.size();
  }

  void run() {
    for (std::size_t c = 0; c < conns_.size(); ++c) write(c, side_->start(c));
    std::array<epoll_event, 256> events;
    while (!side_->over() && live_ > 0) {
      const int count = ::epoll_wait(epoll_.fd(), events.data(), events.size(), -1);
      if (count < 0 && errno != EINTR) fail_errno("epoll_wait");
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (!conns_[event.data.u64].rest.empty())
          resume(event.data.u64);
        else
          read(event.data.u64);
      }
    }
  }

 private:
  struct Conn {
    Conn(int socket, std::size_t message_max, std::size_t room)
        : fd(socket), inbox(message_max, room) {}
    int fd;
    Inbox inbox;
    std::vector<iovec> pieces;
    std::span<iovec> rest;  // not written yet
  };

  void watch(std::size_t c, int what, std::uint32_t events) {
    epoll_event event{.events = events, .data = {.u64 = c}};
    if (::epoll_ctl(epoll_.fd(), what, conns_[c].fd, &event) != 0) fail_errno("epoll_ctl");
  }

  void read(std::size_t c) {
    Conn& conn = conns_[c];
    const auto space = conn.inbox.space();
    const ssize_t n = ::read(conn.fd, space.data(), space.size());
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0 && errno != ECONNRESET) fail_errno("read");
    if (n <= 0) {
      watch(c, EPOLL_CTL_DEL, 0);
      --live_;
      return;
    }
    conn.inbox.filled(static_cast<std::size_t>(n));
    const Taken taken = side_->take(c, conn.inbox.unread());
    conn.inbox.use(taken.used);
    write(c, taken.pieces);
  }

  // And all that the side wants written after it.
  void write(std::size_t c, Pieces pieces) {
    Conn& conn = conns_[c];
    while (!pieces.empty()) {
      conn.pieces.assign(pieces.begin(), pieces.end());  // a short write changes them
      conn.rest = conn.pieces;
      if (!flush(conn)) return watch(c, EPOLL_CTL_MOD, EPOLLOUT);
      pieces = side_->sent(c);
    }
  }
  void resume(std::size_t c) {
    if (!flush(conns_[c])) return;
    watch(c, EPOLL_CTL_MOD, EPOLLIN);
    write(c, side_->sent(c));
  }
  // False: the socket is full.
  bool flush(Conn& conn) const {
    while (!conn.rest.empty()) {
      const std::size_t count = each_alone_ ? 1 : std::min(conn.rest.size(), pieces_max);
      const ssize_t n = count == 1 ? ::write(conn.fd, conn.rest[0].iov_base, conn.rest[0].iov_len)
                                   : ::writev(conn.fd, conn.rest.data(), static_cast<int>(count));
      if (n < 0 && errno == EAGAIN) return false;
      if (n < 0) fail_errno("write");
      conn.rest = advance(conn.rest, static_cast<std::size_t>(n));
    }
    return true;
  }

  Side* side_;
  Socket epoll_;
  bool each_alone_;  // one message to a call
  std::vector<Conn> conns_;
  std::size_t live_ = 0;
};

}  // namespace

void run_real_epoll(const RealCall& call) { run_engine<EpollEngine>(call); }

}  // namespace twinwire::peers
