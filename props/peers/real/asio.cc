// SPDX-License-Identifier: Apache-2.0
// Boost.Asio with callbacks: async_write of a buffer sequence, async_read_some into one buffer.
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <unistd.h>

#include "props/peers/real/asio_pieces.h"
#include "props/peers/real/engines.h"

namespace twinwire::peers {
namespace {

using boost::system::error_code;

class AsioEngine {
 public:
  AsioEngine(const std::vector<Socket>& sockets, Side& side, const RealCall& call)
      : side_(&side), context_(1) {
    conns_.reserve(sockets.size());
    for (const Socket& socket : sockets)
      conns_.push_back(std::make_unique<Conn>(adopt(context_, socket), call.work.size,
                                              sockets.size() > 1 ? 16 * 1024 : 256 * 1024));
    live_ = conns_.size();
    for (std::size_t c = 0; c < conns_.size(); ++c) read(c);
  }

  void run() {
    for (std::size_t c = 0; c < conns_.size(); ++c) write(c, side_->start(c), false);
    while (!side_->over() && live_ > 0) context_.run_one();
  }

 private:
  struct Conn {
    Conn(asio::ip::tcp::socket s, std::size_t message_max, std::size_t room)
        : socket(std::move(s)), inbox(message_max, room) {}
    asio::ip::tcp::socket socket;
    Inbox inbox;
    Pieces after;  // to be written once the present write is done
    bool writing = false;
    bool reads_after = false;  // and then to be read
  };

  void read(std::size_t c) {
    Conn& conn = *conns_[c];
    const auto space = conn.inbox.space();
    conn.socket.async_read_some(
        asio::buffer(space.data(), space.size()), [this, c](error_code error, std::size_t n) {
          if (!error) return arrived(c, n);
          if (error != asio::error::eof && error != asio::error::connection_reset)
            fail("read: " + error.message());
          --live_;
        });
  }
  void arrived(std::size_t c, std::size_t n) {
    Conn& conn = *conns_[c];
    conn.inbox.filled(n);
    const Taken taken = side_->take(c, conn.inbox.unread());
    conn.inbox.use(taken.used);
    if (taken.pieces.empty())
      read(c);
    else
      write(c, taken.pieces, true);
  }

  // `reads`: and then reads on.
  void write(std::size_t c, Pieces pieces, bool reads) {
    if (pieces.empty()) return;
    Conn& conn = *conns_[c];
    if (reads) conn.reads_after = true;
    if (conn.writing) {
      conn.after = pieces;
      return;
    }
    conn.writing = true;
    asio::async_write(conn.socket, AsioPieces(pieces), [this, c](error_code error, std::size_t) {
      if (error) fail("write: " + error.message());
      written(c);
    });
  }
  void written(std::size_t c) {
    Conn& conn = *conns_[c];
    conn.writing = false;
    Pieces next = std::exchange(conn.after, {});
    if (next.empty()) next = side_->sent(c);
    if (next.empty() && std::exchange(conn.reads_after, false)) return read(c);
    write(c, next, false);
  }

  Side* side_;
  asio::io_context context_;
  std::vector<std::unique_ptr<Conn>> conns_;
  std::size_t live_ = 0;
};

}  // namespace

void run_real_asio(const RealCall& call) { run_engine<AsioEngine>(call); }

}  // namespace twinwire::peers
