// SPDX-License-Identifier: Apache-2.0
// What every peer has in common: how it is called, blocking sockets, and frames found in a buffer.
//
// A peer is a connection with three calls, written as a competent user of its library would:
//
//   send(pieces)       the messages of one batch, in as few calls as the library allows
//   receive(receiver)  hands over what arrives until receiver.take() says true: then true; false: the peer has ended
//   end()              the graceful end
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "props/peers/work.h"

namespace twinwire::peers {

struct Call {
  bool serves = false;
  std::string peer;
  Work work;
  std::uint16_t port = 0;  // of the server; a server takes any, and prints it
};

// Each serves one connection, or is the client of one and prints its report. They throw where anything fails.
void run_tcp(const Call& call);
void run_tls(const Call& call);
void run_ws(const Call& call);
void run_wss(const Call& call);
void run_quic(const Call& call);

[[noreturn]] inline void fail(const std::string& what) { throw std::runtime_error(what); }
[[noreturn]] void fail_errno(const char* what);

// --- Blocking TCP sockets ------------------------------------------------------------------------------------------

class Socket {
 public:
  explicit Socket(int fd) noexcept : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  ~Socket();
  int fd() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

  void write_all(std::span<iovec> pieces) const;
  std::size_t read(std::span<std::byte> into) const;  // 0: the end

 private:
  int fd_;
};

// The connection of a call: of a server the first that comes, after its port was printed.
Socket connection(const Call& call);
void print_port(std::uint16_t port);

// --- Frames back to back, found where they lie ---------------------------------------------------------------------

class Framer {
 public:
  explicit Framer(std::size_t message_max);
  // Where the next bytes go; there is always room for some.
  std::span<std::byte> space();
  void filled(std::size_t n) noexcept { end_ += n; }
  // True: the receiver has what it was waiting for.
  bool take(Receiver& receiver) {
    while (end_ - begin_ >= header_size) {
      const std::byte* frame = bytes_ + begin_;
      const std::size_t size = HeaderView(frame).size();
      if (size < header_size || size > message_max_) fail("no frame");
      if (end_ - begin_ < size) break;
      begin_ += size;
      if (receiver.take({frame, size})) return true;
    }
    if (begin_ == end_) begin_ = end_ = 0;
    return false;
  }

 private:
  std::size_t message_max_;
  std::vector<std::byte> memory_;
  std::byte* bytes_;  // page-aligned
  std::size_t capacity_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

// --- Both roles, over any peer -------------------------------------------------------------------------------------

template <class P>
void serve(P& peer) {
  Receiver receiver;
  std::array<std::byte, answer_size> answer;
  while (peer.receive(receiver)) {
    receiver.answer(answer);
    iovec piece{answer.data(), answer.size()};
    peer.send({&piece, 1});
  }
  peer.end();
}

template <class P>
void load(P& peer, const Work& work) {
  // The batch: prepared once, sent from where it lies again and again.
  std::vector<std::byte> memory(work.size * work.batch);
  std::vector<iovec> batch;
  std::vector<std::uint64_t> last;
  for (std::size_t i = 0; i < work.batch; ++i) {
    const std::span message(memory.data() + i * work.size, work.size);
    write_message(message, data_command, i);
    batch.push_back({message.data(), message.size()});
    last.push_back(twinwire::load<std::uint64_t>(message.data() + message.size() - 8));
  }
  std::array<std::byte, header_size> question;
  write_message(question, ask_command, 0);

  const Report report = drive(
      work, last, [&] { peer.send(batch); },
      [&] {
        iovec piece{question.data(), question.size()};
        peer.send({&piece, 1});
        Receiver receiver;
        if (!peer.receive(receiver)) fail("the server ended before it answered");
        return receiver.totals();
      },
      [] { return clock_ns(CLOCK_MONOTONIC); }, [] { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); });
  peer.end();
  std::printf(report_format, report.messages, report.bytes, report.wall_ns, report.processor_ns);
}

template <class P>
void run(P&& peer, const Call& call) {
  if (call.serves)
    serve(peer);
  else
    load(peer, call.work);
}

}  // namespace twinwire::peers
