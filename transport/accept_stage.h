// SPDX-License-Identifier: Apache-2.0
// AcceptStage: turns a network's accepted streams into connections whose handshake is done, concurrently and bounded.
//
// Solves two problems: a handshake inside the accept loop lets one mute peer block everybody, and handshakes without a
// bound let mute peers use up memory. Each handshake runs in a fiber of its own, bounded in time; when too many are
// unfinished the oldest makes room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "transport/fiber/scope.h"
#include "transport/fiber/wait_queue.h"
#include "transport/handshake_terms.h"
#include "transport/net/network.h"

namespace twinwire {

struct AcceptOptions {
  Duration handshake_timeout = std::chrono::seconds(10);
  std::size_t handshakes_max = 1024;  // unfinished at one time
  // While descriptors are out, one that has had so long makes room: else mute peers, as many as there are descriptors,
  // keep everybody out for the whole of the time-out, and those behind them in the backlog for as long again.
  Duration handshake_when_short = std::chrono::seconds(1);
  std::size_t ready_max =
      128;  // finished and not yet accepted; beyond it the network's backlog fills

  // For the log: called once for each newcomer that is turned away while the listener lives, with the cause in words:
  // "certificate expired", "handshake timed out", "evicted by newer handshakes". So often as handshakes_failed counts,
  // and for newcomers for whom there was no memory. Peers choose how often: whoever prints must bound it.
  // Requires   It does not suspend, throw or destroy the listener. `why` is lent for the call.
  std::function<void(const Address& peer, std::string_view why)> on_refused;
};

struct AcceptCounters {
  std::uint64_t accepted = 0;           // streams that the network handed over
  std::uint64_t handshakes_failed = 0;  // timed-out and evicted ones included
  std::uint64_t handshakes_evicted = 0;
  std::uint64_t errors = 0;  // that accept() reported or coalesced
};

// For AcceptOptions::on_refused, where a handshake had no words of its own.
std::string_view refusal_words(Errc code) noexcept;

// The part that does not depend on the connection's type: accept_stage.cc.
class AcceptLoop {
 public:
  // Takes over a stream: makes it ready, or drops it. Runs in a fiber of its own where `handshakes` is true.
  class Sink {
   public:
    // Errors     whatever failed the handshake; the stream is gone
    virtual Result<void> handshake(std::unique_ptr<ByteStream> stream, HandshakeTerms terms) = 0;
    virtual std::size_t ready() const noexcept = 0;
    // What a handshake's fiber holds: it may outlive the stage and the accept fiber by its last step.
    virtual std::shared_ptr<Sink> keep_alive() noexcept = 0;

   protected:
    ~Sink() = default;
  };

  AcceptLoop(Network& network, Scope& background, const AcceptOptions& options, Sink& sink,
             bool handshakes) noexcept;

  // The body of the accept fiber; owns the acceptor. Ends when canceled.
  void run(std::unique_ptr<Acceptor> acceptor);
  // Tells the accept fiber and every handshake to stop.
  void cancel() noexcept;
  void set_fiber(FiberHandle fiber) noexcept { fiber_ = fiber; }

  // An error for accept() to report, at most one waiting at a time.
  std::optional<Error> take_error() noexcept { return std::exchange(error_, std::nullopt); }
  bool has_error() const noexcept { return error_.has_value(); }

  // Nobody accepts any more: the background scope was canceled.
  bool ended() const noexcept { return ended_; }

  WaitQueue arrivals;  // fibers inside accept()
  WaitQueue room;      // the loop, while ready_max connections wait
  AcceptCounters counters;

 private:
  void accept_all(Acceptor& acceptor);
  Result<void> pause_after(const Error& error);
  void report(Error error) noexcept;
  void start_handshake(std::unique_ptr<ByteStream> stream);
  // Whether it succeeded. `evicted`: set once it has to make room.
  bool run_handshake(std::unique_ptr<ByteStream> stream, const bool& evicted);
  void refused(const Address& peer, const Error& error, std::string_view why,
               bool evicted) noexcept;
  // Leaves alone who began after `latest`, and the newest `kept`. False where nobody had to go.
  bool evict_oldest(TimePoint latest, std::size_t kept) noexcept;
  Duration make_room() noexcept;

  struct Unfinished {
    FiberHandle fiber;
    std::shared_ptr<bool> evicted;
    TimePoint began;
  };

  Network* network_;
  Scope* background_;
  AcceptOptions options_;
  Sink* sink_;
  bool handshakes_;
  FiberHandle fiber_;
  std::deque<Unfinished> unfinished_;  // oldest first; ended ones are skipped
  std::size_t unfinished_count_ = 0;
  std::optional<Error> error_;
  std::uint32_t errors_in_a_row_ = 0;
  Duration backoff_{0};
  bool ended_ = false;
  bool abandoned_ = false;  // the listener is gone
};

template <class Conn>
class AcceptStage {
 public:
  // Makes a connection of a stream, or says why not. It may suspend, within the deadline. It takes HandshakeTerms, or a
  // Deadline where it has no words for its errors.
  using Handshake = std::function<Result<Conn>(std::unique_ptr<ByteStream>, HandshakeTerms)>;

  // Starts accepting in fibers of `background`, which must be joined only after this stage is gone or the scope
  // canceled. `concurrent`: run each handshake in a fiber of its own; false where it never suspends.
  // Errors     no_resources
  static Result<AcceptStage> start(Network& network, Scope& background,
                                   std::unique_ptr<Acceptor> acceptor, const AcceptOptions& options,
                                   bool concurrent, Handshake handshake) {
    AcceptStage stage;
    stage.local_ = acceptor->local();
    try {
      stage.state_ =
          std::make_shared<State>(network, background, options, concurrent, std::move(handshake));
    } catch (const std::bad_alloc&) {
      return Errc::no_resources;
    }
    auto fiber = background.try_spawn(
        "accept", [state = stage.state_, acceptor = std::move(acceptor)]() mutable {
          state->loop.run(std::move(acceptor));
        });
    if (!fiber) return fiber.error();
    stage.state_->loop.set_fiber(*fiber);
    return stage;
  }

  AcceptStage(AcceptStage&&) noexcept = default;
  AcceptStage& operator=(AcceptStage&&) noexcept = default;
  // Stops listening and abandons unfinished handshakes; connections that were ready are dropped. Does not suspend: the
  // port is free once the background fibers have run.
  ~AcceptStage() {
    if (state_ == nullptr) return;
    state_->loop.cancel();
    state_->ready_connections.clear();
  }

  Result<std::pair<Conn, Address>> accept(Deadline deadline) {
    State& state = *state_;
    Scheduler& scheduler = state.network->scheduler();
    for (;;) {
      // What is ready comes first, also for a fiber that was canceled on its way here: the wake it was given is used
      // up.
      if (!state.ready_connections.empty()) {
        auto next = std::move(state.ready_connections.front());
        state.ready_connections.pop_front();
        state.loop.room.wake_one(scheduler);
        return next;
      }
      if (auto error = state.loop.take_error()) return *error;
      if (scheduler.cancel_pending()) return Errc::canceled;
      if (state.loop.ended()) return Errc::shutting_down;
      const Wake wake = state.loop.arrivals.wait(scheduler, deadline, "a connection to accept");
      if (wake != Wake::ready && state.ready_connections.empty() && !state.loop.has_error())
        return to_errc(wake);
    }
  }

  const Address& local() const noexcept { return local_; }
  const AcceptCounters& counters() const noexcept { return state_->loop.counters; }

 private:
  AcceptStage() noexcept = default;

  struct State final : AcceptLoop::Sink, std::enable_shared_from_this<State> {
    State(Network& n, Scope& background, const AcceptOptions& options, bool concurrent, Handshake h)
        : network(&n), make(std::move(h)), loop(n, background, options, *this, concurrent) {}

    Result<void> handshake(std::unique_ptr<ByteStream> stream, HandshakeTerms terms) override {
      const Address peer = stream->peer();
      auto conn = make(std::move(stream), terms);
      if (!conn) return conn.error();
      try {
        ready_connections.emplace_back(std::move(*conn), peer);
      } catch (const std::bad_alloc&) {
        return Errc::no_resources;
      }
      loop.arrivals.wake_one(network->scheduler());
      return {};
    }
    std::size_t ready() const noexcept override { return ready_connections.size(); }
    std::shared_ptr<AcceptLoop::Sink> keep_alive() noexcept override {
      return this->shared_from_this();
    }

    Network* network;
    Handshake make;
    AcceptLoop loop;
    std::deque<std::pair<Conn, Address>> ready_connections;
  };

  std::shared_ptr<State> state_;
  Address local_;
};

}  // namespace twinwire
