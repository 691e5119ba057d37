// SPDX-License-Identifier: Apache-2.0
// What the two peers of Boost.Asio have in common: pieces as a buffer sequence, and sockets taken over.
#pragma once

#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <iterator>

#include "props/peers/real/side.h"

namespace twinwire::peers {

namespace asio = boost::asio;

// A ConstBufferSequence that borrows: Asio copies it, and a vector would be copied with its memory.
class AsioPieces {
 public:
  class const_iterator {
   public:
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = asio::const_buffer;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = asio::const_buffer;

    const_iterator() = default;
    explicit const_iterator(const iovec* at) noexcept : at_(at) {}
    asio::const_buffer operator*() const noexcept { return {at_->iov_base, at_->iov_len}; }
    const_iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    const_iterator operator++(int) noexcept { return const_iterator(at_++); }
    const_iterator& operator--() noexcept {
      --at_;
      return *this;
    }
    const_iterator operator--(int) noexcept { return const_iterator(at_--); }
    friend bool operator==(const_iterator, const_iterator) noexcept = default;

   private:
    const iovec* at_ = nullptr;
  };
  using value_type = asio::const_buffer;

  explicit AsioPieces(Pieces pieces) noexcept : pieces_(pieces) {}
  const_iterator begin() const noexcept { return const_iterator(pieces_.data()); }
  const_iterator end() const noexcept { return const_iterator(pieces_.data() + pieces_.size()); }

 private:
  Pieces pieces_;
};

// A descriptor of its own for the same socket: Asio closes what it is given.
inline asio::ip::tcp::socket adopt(asio::io_context& context, const Socket& socket) {
  return {context, asio::ip::tcp::v4(), ::dup(socket.fd())};
}

}  // namespace twinwire::peers
