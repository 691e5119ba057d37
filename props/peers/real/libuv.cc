// SPDX-License-Identifier: Apache-2.0
// libuv: uv_try_write of many buffers, uv_write of what that left, uv_read_start into one buffer a connection.
//
// By uv_write alone each write would cost an epoll_ctl more, and a turn of the loop. While one waits, nothing is read.
#include <unistd.h>
#include <uv.h>

#include "props/peers/real/engines.h"
#include "transport/net/write_all.h"

namespace twinwire::peers {
namespace {

void check_uv(int result, const char* what) {
  if (result < 0) fail(std::string(what) + ": " + ::uv_strerror(result));
}

class UvEngine {
 public:
  UvEngine(const std::vector<Socket>& sockets, Side& side, const RealCall& call) : side_(&side) {
    check_uv(::uv_loop_init(&loop_), "uv_loop_init");
    conns_.reserve(sockets.size());
    for (const Socket& socket : sockets) {
      auto conn =
          std::make_unique<Conn>(call.work.size, sockets.size() > 1 ? 16 * 1024 : 256 * 1024);
      conn->engine = this;
      conn->index = conns_.size();
      check_uv(::uv_tcp_init(&loop_, &conn->tcp), "uv_tcp_init");
      check_uv(::uv_tcp_open(&conn->tcp, ::dup(socket.fd())), "uv_tcp_open");
      conn->tcp.data = conn.get();
      read(*conn);
      conns_.push_back(std::move(conn));
    }
    live_ = conns_.size();
  }
  UvEngine(const UvEngine&) = delete;
  UvEngine& operator=(const UvEngine&) = delete;
  ~UvEngine() {
    for (const auto& conn : conns_) ::uv_close(reinterpret_cast<uv_handle_t*>(&conn->tcp), nullptr);
    ::uv_run(&loop_, UV_RUN_DEFAULT);
    (void)::uv_loop_close(&loop_);
  }

  void run() {
    for (const auto& conn : conns_) write(*conn, side_->start(conn->index));
    while (!side_->over() && live_ > 0) ::uv_run(&loop_, UV_RUN_ONCE);
  }

 private:
  struct Conn {
    Conn(std::size_t message_max, std::size_t room) : inbox(message_max, room) {}
    UvEngine* engine = nullptr;
    std::size_t index = 0;
    uv_tcp_t tcp{};
    Inbox inbox;
    std::vector<std::unique_ptr<uv_write_t>> requests;  // that are free
    std::vector<iovec> pieces;
    bool reading = false;
    bool ended = false;
  };

  static void read(Conn& conn) {
    check_uv(::uv_read_start(
                 reinterpret_cast<uv_stream_t*>(&conn.tcp),
                 [](uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
                   const auto space = static_cast<Conn*>(handle->data)->inbox.space();
                   *buffer = ::uv_buf_init(reinterpret_cast<char*>(space.data()),
                                           static_cast<unsigned>(space.size()));
                 },
                 [](uv_stream_t* stream, ssize_t n, const uv_buf_t*) {
                   Conn& arrived = *static_cast<Conn*>(stream->data);
                   if (n != 0) arrived.engine->arrived(arrived, n);
                 }),
             "uv_read_start");
    conn.reading = true;
  }
  static void stop(Conn& conn) {
    (void)::uv_read_stop(reinterpret_cast<uv_stream_t*>(&conn.tcp));
    conn.reading = false;
  }

  void arrived(Conn& conn, ssize_t n) {
    if (n < 0) {
      if (n != UV_EOF && n != UV_ECONNRESET) check_uv(static_cast<int>(n), "read");
      stop(conn);
      conn.ended = true;
      --live_;
      return;
    }
    conn.inbox.filled(static_cast<std::size_t>(n));
    const Taken taken = side_->take(conn.index, conn.inbox.unread());
    conn.inbox.use(taken.used);
    if (!taken.pieces.empty()) write(conn, taken.pieces);
  }

  // And all that the side wants written after it.
  void write(Conn& conn, Pieces pieces) {
    static_assert(sizeof(uv_buf_t) == sizeof(iovec));  // on Unix the same by design
    auto* stream = reinterpret_cast<uv_stream_t*>(&conn.tcp);
    while (!pieces.empty()) {
      std::size_t total = 0;
      for (const iovec& piece : pieces) total += piece.iov_len;
      const int tried = ::uv_try_write(stream, reinterpret_cast<const uv_buf_t*>(pieces.data()),
                                       static_cast<unsigned>(pieces.size()));
      if (tried != UV_EAGAIN) check_uv(tried, "write");
      const std::size_t n = tried < 0 ? 0 : static_cast<std::size_t>(tried);
      if (n < total) return write_rest(conn, pieces, n);
      pieces = side_->sent(conn.index);
    }
  }
  void write_rest(Conn& conn, Pieces pieces, std::size_t written) {
    conn.pieces.assign(pieces.begin(), pieces.end());
    const auto rest = advance(std::span(conn.pieces), written);
    if (conn.requests.empty()) conn.requests.push_back(std::make_unique<uv_write_t>());
    uv_write_t* request = conn.requests.back().release();
    conn.requests.pop_back();
    request->data = &conn;
    check_uv(::uv_write(request, reinterpret_cast<uv_stream_t*>(&conn.tcp),
                        reinterpret_cast<const uv_buf_t*>(rest.data()),
                        static_cast<unsigned>(rest.size()),
                        [](uv_write_t* done, int status) {
                          check_uv(status, "write");
                          Conn& waited = *static_cast<Conn*>(done->data);
                          waited.requests.emplace_back(done);
                          waited.engine->written(waited);
                        }),
             "uv_write");
    if (conn.reading) stop(conn);
  }
  void written(Conn& conn) {
    write(conn, side_->sent(conn.index));
    const auto* stream = reinterpret_cast<uv_stream_t*>(&conn.tcp);
    if (!conn.reading && !conn.ended && ::uv_stream_get_write_queue_size(stream) == 0) read(conn);
  }

  Side* side_;
  uv_loop_t loop_{};
  std::vector<std::unique_ptr<Conn>> conns_;
  std::size_t live_ = 0;
};

}  // namespace

void run_real_libuv(const RealCall& call) { run_engine<UvEngine>(call); }

}  // namespace twinwire::peers
