// SPDX-License-Identifier: Apache-2.0
// What the two ends of `bench real` do, whatever library moves their bytes. A peer is an engine that gives its side the
// bytes of a connection, and writes what the side wants written:
//
//   run():  for each connection c: write(c, side.start(c))
//           bytes came:            [used, pieces] = side.take(c, bytes); keep what was not used; write(c, pieces)
//           pieces were written:   write(c, side.sent(c))
//           until side.over(), or every connection has ended
//
// One write at a time on a connection, and no bytes are given to take() before it is done: the pieces may lie in them.
#pragma once

#include <sys/uio.h>

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "props/peers/peer.h"
#include "props/peers/real/real_work.h"

namespace twinwire::peers {

using Pieces = std::span<const iovec>;

struct Taken {
  std::size_t used = 0;  // bytes of whole frames
  Pieces pieces;
};

class Side {
 public:
  virtual ~Side() = default;
  virtual Pieces start(std::size_t) { return {}; }
  virtual Taken take(std::size_t c, std::span<const std::byte> bytes) = 0;
  virtual Pieces sent(std::size_t) { return {}; }
  virtual bool over() const { return false; }
};

// Counts, and echoes where the work says so; answers questions.
class ServingSide final : public Side {
 public:
  explicit ServingSide(const RealWork& work) : work_(work), ends_(work.connections) {}
  Taken take(std::size_t c, std::span<const std::byte> bytes) override;

 private:
  struct End {
    Totals totals;
    std::array<iovec, 2> pieces;
  };
  void answer();

  RealWork work_;
  std::vector<End> ends_;
  std::array<std::byte, real_answer_size> answer_;
  std::uint64_t processor_ = 0;
  std::uint64_t calls_ = 0;
};

// Sends, counts what comes back, asks.
class LoadingSide final : public Side {
 public:
  explicit LoadingSide(const RealWork& work);

  // `run()` is the engine's.
  template <class Run>
  RealReport measure(Run&& run) {
    RealReport report;
    for (const std::uint64_t time : {work_.time_ns / 10, work_.time_ns}) {
      begin(time);
      run();
      asking_ = true;
      run();
      report = end();
    }
    return report;
  }

  Pieces start(std::size_t c) override;
  Taken take(std::size_t c, std::span<const std::byte> bytes) override;
  Pieces sent(std::size_t c) override;
  bool over() const override { return asking_ ? answered_ : drained_ == ends_.size(); }

 private:
  struct End {
    Totals sent;
    Totals received;
    std::size_t outstanding = 0;
    std::size_t next = 0;  // message of the prepared ones
  };
  void begin(std::uint64_t time);
  RealReport end();
  Pieces more(End& end, std::size_t count);

  RealWork work_;
  std::vector<std::byte> memory_;
  std::vector<iovec> messages_;  // the prepared ones, twice: any run of them is contiguous
  std::vector<std::uint64_t> last_;
  std::array<std::byte, header_size> question_;
  iovec question_piece_;
  std::vector<End> ends_;
  std::size_t drained_ = 0;
  bool asking_ = false;
  bool answered_ = false;
  RealTotals counted_;
  RealMeter meter_;
  std::uint64_t until_ = 0;
  std::uint64_t asked_at_ = 0;
  RoundTrips round_trips_;
};

// The bytes of one connection that are not used up yet, in one page-aligned buffer.
class Inbox {
 public:
  explicit Inbox(std::size_t message_max, std::size_t room = 256 * 1024);
  // Where the next bytes go; there is always room for some. Moves what is unread.
  std::span<std::byte> space();
  void filled(std::size_t n) noexcept { end_ += n; }
  void append(std::span<const std::byte> bytes);
  std::span<const std::byte> unread() const noexcept { return {bytes_ + begin_, end_ - begin_}; }
  void use(std::size_t n) noexcept {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
  }

 private:
  std::size_t message_max_;
  std::vector<std::byte> memory_;
  std::byte* bytes_;  // page-aligned
  std::size_t capacity_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

struct RealCall {
  bool serves = false;
  std::string peer;
  RealWork work;
  std::uint16_t port = 0;
};

// As many as the work has, connected, with the options that are the same for all. A server prints its port first.
std::vector<Socket> real_connections(const RealCall& call);
void print_real_report(const RealReport& report);

// Engine(sockets, side, call) and its run(), for either end.
template <class Engine>
void run_engine(const RealCall& call) {
  const std::vector<Socket> sockets = real_connections(call);
  if (call.serves) {
    ServingSide side(call.work);
    Engine(sockets, side, call).run();
  } else {
    LoadingSide side(call.work);
    Engine engine(sockets, side, call);
    print_real_report(side.measure([&] { engine.run(); }));
  }
}

// --- System calls --------------------------------------------------------------------------------------------------

// That this process has made to move bytes or to wait: through libc, or told by who makes them himself.
std::uint64_t system_calls() noexcept;
void count_system_call() noexcept;

}  // namespace twinwire::peers
