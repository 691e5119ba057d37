// SPDX-License-Identifier: Apache-2.0
// Boost.Asio with stackful coroutines: one for each connection, reads and writes in straight lines.
//
// A client has others that write what it begins with: a stream as a whole.
#define BOOST_ASIO_DISABLE_BOOST_COROUTINE  // Boost.Context alone, as Asio recommends today
#include <boost/asio/spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "props/peers/real/asio_pieces.h"
#include "props/peers/real/engines.h"

namespace twinwire::peers {
namespace {

using boost::system::error_code;

class SpawnEngine {
 public:
  SpawnEngine(const std::vector<Socket>& sockets, Side& side, const RealCall& call)
      : side_(&side), context_(1) {
    conns_.reserve(sockets.size());
    for (const Socket& socket : sockets)
      conns_.push_back(std::make_unique<Conn>(adopt(context_, socket), call.work.size,
                                              sockets.size() > 1 ? 16 * 1024 : 256 * 1024));
    live_ = conns_.size();
    for (std::size_t c = 0; c < conns_.size(); ++c)
      asio::spawn(
          context_, [this, c](const asio::yield_context& yield) { read_all(c, yield); }, rethrow);
  }

  void run() {
    for (std::size_t c = 0; c < conns_.size(); ++c) {
      const Pieces first = side_->start(c);
      if (first.empty()) continue;
      asio::spawn(
          context_,
          [this, c, first](const asio::yield_context& yield) {
            for (Pieces next = first; !next.empty(); next = side_->sent(c)) write(c, next, yield);
          },
          rethrow);
    }
    while (!side_->over() && live_ > 0) context_.run_one();
  }

 private:
  struct Conn {
    Conn(asio::ip::tcp::socket s, std::size_t message_max, std::size_t room)
        : socket(std::move(s)),
          inbox(message_max, room),
          written(socket.get_executor(), asio::steady_timer::time_point::max()) {}
    asio::ip::tcp::socket socket;
    Inbox inbox;
    asio::steady_timer written;  // never runs out: canceled for who waits for it
    bool writing = false;
    bool awaited = false;
  };
  static void rethrow(const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  }

  void read_all(std::size_t c, const asio::yield_context& yield) {
    Conn& conn = *conns_[c];
    for (;;) {
      const auto space = conn.inbox.space();
      error_code error;
      const std::size_t n =
          conn.socket.async_read_some(asio::buffer(space.data(), space.size()), yield[error]);
      if (error && error != asio::error::eof && error != asio::error::connection_reset)
        fail("read: " + error.message());
      if (error) break;
      conn.inbox.filled(n);
      const Taken taken = side_->take(c, conn.inbox.unread());
      conn.inbox.use(taken.used);
      write(c, taken.pieces, yield);
    }
    --live_;
  }
  // And all that the side wants written after it; behind what another coroutine writes.
  void write(std::size_t c, Pieces pieces, const asio::yield_context& yield) {
    if (pieces.empty()) return;
    Conn& conn = *conns_[c];
    error_code canceled;
    while (conn.writing) {
      conn.awaited = true;
      conn.written.async_wait(yield[canceled]);
      conn.awaited = false;
    }
    conn.writing = true;
    for (; !pieces.empty(); pieces = side_->sent(c))
      asio::async_write(conn.socket, AsioPieces(pieces), yield);
    conn.writing = false;
    if (conn.awaited) conn.written.cancel();
  }

  Side* side_;
  asio::io_context context_;
  std::vector<std::unique_ptr<Conn>> conns_;
  std::size_t live_ = 0;
};

}  // namespace

void run_real_spawn(const RealCall& call) { run_engine<SpawnEngine>(call); }

}  // namespace twinwire::peers
