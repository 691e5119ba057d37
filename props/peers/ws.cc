// SPDX-License-Identifier: Apache-2.0
// The peers of ws and wss: Boost.Beast's WebSocket stream, blocking, over a TCP socket or over TLS by GnuTLS.
//
// Beast has no batches: a message is a write. A client masks, as ours does.
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>

#include "props/peers/tls_stream.h"

namespace twinwire::peers {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

// A synchronous stream of Asio over TlsStream.
class TlsLayer {
 public:
  using executor_type = asio::io_context::executor_type;

  TlsLayer(asio::io_context& context, const Call& call)
      : executor_(context.get_executor()), stream_(call) {}
  executor_type get_executor() const noexcept { return executor_; }

  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, boost::system::error_code& error) {
    for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers);
         ++it) {
      const asio::mutable_buffer buffer = *it;
      if (buffer.size() == 0) continue;
      const std::size_t n = stream_.read({static_cast<std::byte*>(buffer.data()), buffer.size()});
      if (n == 0) error = asio::error::eof;
      return n;
    }
    return 0;
  }
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    boost::system::error_code error;
    const std::size_t n = read_some(buffers, error);
    if (error) throw boost::system::system_error(error);
    return n;
  }
  // All of it, corked: head and payload in one record where they fit.
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, boost::system::error_code&) {
    std::size_t total = 0;
    const std::size_t all = boost::beast::buffer_bytes(buffers);
    if (all < 16 * 1024) stream_.cork();
    for (auto it = asio::buffer_sequence_begin(buffers); it != asio::buffer_sequence_end(buffers);
         ++it) {
      const asio::const_buffer buffer = *it;
      stream_.write(buffer.data(), buffer.size());
      total += buffer.size();
    }
    if (all < 16 * 1024) stream_.uncork();
    return total;
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers) {
    boost::system::error_code error;
    return write_some(buffers, error);
  }
  void bye() { stream_.bye(); }

 private:
  executor_type executor_;
  TlsStream stream_;
};

// Found by Beast through their arguments.
void teardown(boost::beast::role_type, TlsLayer& layer, boost::system::error_code& error) {
  layer.bye();
  error = {};
}

template <class Stream>
class WsPeer {
 public:
  template <class... Arguments>
  WsPeer(const Call& call, Arguments&&... arguments)
      : ws_(std::forward<Arguments>(arguments)...), serves_(call.serves) {
    ws_.auto_fragment(false);
    ws_.binary(true);
    ws_.read_message_max(std::size_t{64} << 20);
    // Room to mask a message in one piece. The default of 4 KiB makes several writes of a larger one.
    ws_.write_buffer_bytes(std::max<std::size_t>(4096, call.work.size + 64));
    if (serves_)
      ws_.accept();
    else
      ws_.handshake("127.0.0.1", "/");
  }

  void send(std::span<const iovec> batch) {
    for (const iovec& message : batch)
      ws_.write(asio::const_buffer(message.iov_base, message.iov_len));
  }
  bool receive(Receiver& receiver) {
    for (;;) {
      boost::system::error_code error;
      const std::size_t size = ws_.read(buffer_, error);
      if (error == websocket::error::closed) return false;
      if (error) fail("read: " + error.message());
      const bool done = receiver.take({static_cast<const std::byte*>(buffer_.data().data()), size});
      buffer_.consume(size);
      if (done) return true;
    }
  }
  void end() {
    if (!serves_) ws_.close(websocket::close_code::normal);
  }

 private:
  websocket::stream<Stream> ws_;
  boost::beast::flat_buffer buffer_;
  bool serves_;
};

}  // namespace

void run_ws(const Call& call) {
  asio::io_context context;
  Socket socket = connection(call);
  asio::ip::tcp::socket adopted(context, asio::ip::tcp::v4(), socket.release());
  run(WsPeer<asio::ip::tcp::socket>(call, std::move(adopted)), call);
}

void run_wss(const Call& call) {
  asio::io_context context;
  run(WsPeer<TlsLayer>(call, context, call), call);
}

}  // namespace twinwire::peers
