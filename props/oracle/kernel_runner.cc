// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/kernel_runner.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <chrono>
#include <optional>
#include <thread>

#include "props/oracle/kernel_socket.h"
#include "props/oracle/progress.h"

namespace twinwire::oracle {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

class KernelRunner {
 public:
  KernelRunner(const Script& script, HeldWire* wire) : script_(script), wire_(wire) {
    address_ = wire != nullptr ? near_host
                               : loopback_places().at(script.ipv6 ? Place::loop6 : Place::loop4, 0);
  }

  Outcomes run() {
    Outcomes outcomes;
    (void)listen();
    for (const Step& each : script_.steps) {
      outcomes.push_back(step(each));
      while (let_waiting_go_on() && wire_ == nullptr)
        std::this_thread::sleep_for(microseconds(100));
    }
    listener_.reset();
    for (auto& sides : sockets_)
      for (auto& socket : sides)
        if (socket) socket->abort();
    settle();
    return outcomes;
  }

 private:
  // Somebody who waits: one who is called by poll(2) whenever there may be more.
  struct Waiting {
    bool active = false;
    Step rest;  // size: what is left to do
    Outcome so_far;
  };
  enum Way : unsigned { reading, writing };

  Outcome step(const Step& step) {
    switch (step.op) {
      case Op::listen: return listen();
      case Op::connect: return connect(step.connection);
      case Op::accept: return accept();
      case Op::hop: hop(); return {};
      case Op::settle: settle(); return {};
      case Op::close_listener:
        if (!listener_) return {};
        listener_.reset();
        return Outcome::of(Kind::ok);
      default: break;
    }
    std::optional<KernelSocket>& socket = sockets_[step.connection][step.side];
    if (!socket) return {};
    Waiting& reader = waiting_[step.connection][step.side][reading];
    Waiting& writer = waiting_[step.connection][step.side][writing];
    if (step.op == Op::await_read) return await(reader);
    if (step.op == Op::await_write) return await(writer);
    if (is_read(step.op) && reader.active) return {};
    if (is_write(step.op) && writer.active) return {};
    if (step.op == Op::close && (reader.active || writer.active)) return {};
    switch (step.op) {
      case Op::begin_read: return begin(reader, step);
      case Op::begin_write: return begin(writer, step);
      case Op::write:
      case Op::write_pieces: return write(*socket, step);
      case Op::read: return read(*socket, step, step.size, false);
      case Op::read_once: return read(*socket, step, step.size, true);
      case Op::drain: return drain(*socket, step);
      case Op::end: return socket->end();
      case Op::abort: socket->abort(); return Outcome::of(Kind::ok);
      default:
        socket->close(script_.seed % 2 == 0);
        socket.reset();
        return Outcome::of(Kind::ok);
    }
  }

  // --- Those who wait ------------------------------------------------------------------------------------------------

  Outcome begin(Waiting& waiting, const Step& step) {
    waiting = {true, step, Outcome::of(Kind::blocked)};
    return Outcome::of(Kind::ok);
  }

  Outcome await(Waiting& waiting) {
    if (!waiting.active) return {};
    waiting.active = false;
    Outcome& outcome = waiting.so_far;
    if (is_read(waiting.rest.op))
      outcome.complete = progress_.complete(waiting.rest.connection, waiting.rest.side);
    return outcome;
  }

  // True: somebody got further.
  bool let_waiting_go_on() {
    bool moved = false;
    for (auto& sides : waiting_)
      for (auto& ways : sides)
        for (Waiting& each : ways)
          if (each.active && each.so_far.kind == Kind::blocked) moved |= go_on(each);
    return moved;
  }

  bool go_on(Waiting& waiting) {
    KernelSocket& socket = *sockets_[waiting.rest.connection][waiting.rest.side];
    Outcome more = waiting.rest.op == Op::begin_read
                       ? read(socket, waiting.rest, waiting.rest.size, false)
                       : write(socket, waiting.rest);
    waiting.rest.size -= static_cast<std::uint32_t>(more.bytes);
    const bool moved = more.bytes > 0 || more.kind != Kind::blocked;
    more.bytes += waiting.so_far.bytes;
    more.intact &= waiting.so_far.intact;
    waiting.so_far = more;
    return moved;
  }

  // --- Pauses --------------------------------------------------------------------------------------------------------

  void hop() {
    if (wire_ != nullptr) wire_->hop();
    (void)let_waiting_go_on();
  }
  void settle() {
    do {
      if (wire_ != nullptr) {
        wire_->settle();
      } else {
        std::this_thread::sleep_for(
            microseconds(100));  // the kernel does it within the call, or soon after
      }
    } while (let_waiting_go_on());
  }
  // For bytes that are known to be on their way: a closed window is probed after 200 ms or more.
  void wait_for_bytes(const KernelSocket& socket) {
    for (int i = 0; i < 1500 && !socket.readable(); ++i) {
      std::this_thread::sleep_for(milliseconds(1));
      settle();
    }
  }

  // --- Calls ---------------------------------------------------------------------------------------------------------

  Outcome listen() {
    if (listener_) return {};
    KernelSocket socket(script_.ipv6, script_.send_buffer[1], script_.receive_buffer[1]);
    if (const int error = socket.listen(address_, script_.backlog))
      return Outcome::of(from_errno(error));
    address_ = socket.local();
    listener_ = std::move(socket);
    return Outcome::of(Kind::ok);
  }

  Outcome connect(std::size_t connection) {
    if (dialed_from_[connection] != 0) return {};  // once: the books are kept by connection
    KernelSocket socket(script_.ipv6, script_.send_buffer[0], script_.receive_buffer[0]);
    Address to = address_;
    if (wire_ != nullptr) to.ip = far_host.ip;
    int error = socket.connect(to);
    if (error == EINPROGRESS) {
      hop();
      hop();
      error = socket.connected(wire_ != nullptr ? 0 : 5);
    }
    if (error == EINPROGRESS) return Outcome::of(Kind::blocked);
    if (error != 0) return Outcome::of(from_errno(error));
    dialed_from_[connection] = socket.local().port;
    sockets_[connection][0] = std::move(socket);
    return Outcome::of(Kind::ok);
  }

  Outcome accept() {
    if (!listener_) return {};
    Address peer;
    std::optional<KernelSocket> accepted = listener_->accept(peer);
    if (!accepted)
      return errno == EAGAIN ? Outcome::of(Kind::blocked) : Outcome::of(from_errno(errno));
    for (std::size_t i = 0; i < connections_max; ++i) {
      if (dialed_from_[i] != peer.port) continue;
      sockets_[i][1] = std::move(accepted);
      return Outcome::of(Kind::ok, i);
    }
    return Outcome::of(Error{Errc::invalid, 0});
  }

  Outcome write(KernelSocket& socket, const Step& step) {
    const std::vector<std::byte> bytes = progress_.next(step.connection, step.side, step.size);
    std::uint64_t taken = 0;
    while (taken < step.size) {
      // In pieces on the first call; where that was short, what it left in one.
      std::vector<iovec> pieces;
      std::size_t at = taken;
      if (step.op == Op::write_pieces && taken == 0) {
        for (const std::uint32_t size : pieces_of(step.size)) {
          pieces.push_back({const_cast<std::byte*>(bytes.data()) + at, size});
          at += size;
        }
      } else {
        pieces.push_back({const_cast<std::byte*>(bytes.data()) + at, bytes.size() - at});
      }
      const auto n = socket.write(pieces);
      if (!n) return outcome_of(n.error(), taken);
      progress_.wrote(step.connection, step.side, *n);
      taken += *n;
    }
    return Outcome::of(Kind::ok, taken);
  }

  Outcome read(KernelSocket& socket, const Step& step, std::size_t size, bool once) {
    Outcome outcome = Outcome::of(Kind::ok);
    std::vector<std::byte> into(size);
    while (outcome.bytes < size) {
      const auto n = socket.read({into.data(), size - outcome.bytes});
      if (!n || *n == 0) {
        const bool intact = outcome.intact;
        outcome = n ? Outcome::of(Kind::end, outcome.bytes) : outcome_of(n.error(), outcome.bytes);
        outcome.intact = intact;
        break;
      }
      outcome.intact &= progress_.took(step.connection, step.side, {into.data(), *n});
      outcome.bytes += *n;
      if (once) break;
    }
    outcome.complete = progress_.complete(step.connection, step.side);
    return outcome;
  }

  Outcome drain(KernelSocket& socket, const Step& step) {
    std::uint64_t bytes = 0;
    bool intact = true;
    for (int quiet = 0;;) {
      Outcome outcome = read(socket, step, 16 * 1024, true);
      bytes += outcome.bytes;
      intact &= outcome.intact;
      if (outcome.kind == Kind::ok) {
        quiet = 0;
        continue;
      }
      if (outcome.kind == Kind::blocked && ++quiet <= 2) {
        settle();
        if (quiet == 2 && !outcome.complete) wait_for_bytes(socket);
        continue;
      }
      outcome.bytes = bytes;
      outcome.intact = intact;
      return outcome;
    }
  }

  static Outcome outcome_of(const Error& error, std::uint64_t bytes) {
    return error == Errc::timed_out ? Outcome::of(Kind::blocked, bytes) : Outcome::of(error, bytes);
  }

  const Script& script_;
  HeldWire* wire_;
  Address address_;
  Progress progress_;
  std::optional<KernelSocket> listener_;
  std::array<std::array<std::optional<KernelSocket>, 2>, connections_max> sockets_;
  std::array<std::uint16_t, connections_max> dialed_from_{};
  std::array<std::array<std::array<Waiting, 2>, 2>, connections_max> waiting_;
};

}  // namespace

Outcomes run_on_loopback(const Script& script) { return KernelRunner(script, nullptr).run(); }

Outcomes run_on_wire(const Script& script, HeldWire& wire) {
  return KernelRunner(script, &wire).run();
}

}  // namespace twinwire::oracle
