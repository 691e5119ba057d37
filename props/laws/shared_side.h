// SPDX-License-Identifier: Apache-2.0
// SharedSide: one end of a connection whose writer many fibers share, each sending by plan; and what each of them is
// told, held against the laws.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "props/laws/env.h"
#include "props/laws/ledger.h"
#include "props/laws/tap.h"
#include "transport/shared/shared_writer.h"

namespace twinwire::laws {

struct SenderPlan {
  struct Call {
    std::size_t body = 0;
    Duration pause{0};     // before it
    Duration patience{0};  // its deadline; 0: none at all
  };
  std::vector<Call> calls;
  Duration stop_after{0};  // told to stop then; 0: not at all
};

struct SharedPlan {
  std::vector<SenderPlan> senders;
  SharedWriterOptions options;
  Duration read_pause{0};  // after each message
  enum class End : std::uint8_t { close_after, close_early, drop } end = End::close_after;
  Duration close_at{0};  // early
};

inline constexpr Duration shared_grace = std::chrono::seconds(5);

// What is told to a sender, and what it may be told. Apart from the transport's types: shared_checks.cc.
class SharedChecks {
 public:
  SharedChecks(Env& env, Network& network, std::string label, std::shared_ptr<StreamRecord> record,
               Ledger& out, const SharedWriterOptions& options)
      : env_(&env),
        network_(&network),
        label_(std::move(label)),
        key_(Env::key_of(label_)),
        record_(std::move(record)),
        accepted_before_(record_->accepted),
        out_(&out),
        options_(options) {}

  // `number`: of the call, in the ledger. `stopped_at`: when its fiber was told to stop, if it was.
  void told(std::size_t number, const Result<void>& result, const Message& message,
            const std::byte* bytes, TimePoint begun, Deadline deadline,
            std::optional<TimePoint> stopped_at);
  void close_begins() { calls_before_close_ = out_->calls(); }
  void closed(const Result<void>& result, Deadline deadline);

  Judge& judge() noexcept { return env_->judge(); }
  const std::string& label() const noexcept { return label_; }
  std::shared_ptr<StreamRecord> record() const noexcept { return record_; }

 private:
  Duration slack() const noexcept {
    return env_->simulated() ? Duration(0) : Duration(std::chrono::seconds(2));
  }

  Env* env_;
  Network* network_;
  std::string label_;
  std::uint64_t key_;
  std::shared_ptr<StreamRecord> record_;
  std::uint64_t accepted_before_;  // by the handshake
  Ledger* out_;
  SharedWriterOptions options_;
  std::optional<std::size_t> calls_before_close_;
  std::optional<Error> first_failure_;
  TimePoint failed_at_;
};

template <MessageReader Reader, MessageWriter Writer>
class SharedSide {
 public:
  SharedSide(Env& env, Network& network, Reader reader, Writer writer, const SharedPlan& plan,
             SharedChecks checks, Ledger& in)
      : env_(&env),
        network_(&network),
        reader_(std::move(reader)),
        writer_(std::in_place, network.scheduler(), std::move(writer), plan.options),
        plan_(&plan),
        checks_(std::move(checks)),
        in_(&in),
        senders_done_(network.scheduler()),
        reading_over_(network.scheduler()) {}

  // Reads, and sends in as many fibers as the plan has; `end` says when this side is to close, or drops.
  template <class F>
  void run(Ledger& out, F&& wait_for_end) {
    run_scope(scheduler(), [&](Scope& scope) {
      const FiberHandle reading = scope.spawn(checks_.label() + ".read", [&] { read_all(); });
      run_scope(scheduler(), [&](Scope& senders) {
        for (std::size_t i = 0; i < plan_->senders.size(); ++i) spawn_sender(senders, out, i);
        if (plan_->end == SharedPlan::End::close_early)
          senders.spawn(checks_.label() + ".close", [&] {
            (void)scheduler().sleep_for(plan_->close_at);
            close();
          });
      });
      senders_done_.set();
      if (plan_->end == SharedPlan::End::close_after && wait_for_end(*this)) close();
      if (!closed_ok_) {
        writer_.reset();  // drops the connection, where that has not happened
        scheduler().cancel(reading);
      }
    });
  }

  Event& senders_done() noexcept { return senders_done_; }
  Event& reading_over() noexcept { return reading_over_; }
  const std::optional<Error>& read_end() const noexcept { return read_end_; }
  bool closed_ok() const noexcept { return closed_ok_; }
  bool close_began() const noexcept { return close_began_; }
  bool read_end_before_own_close() const noexcept { return read_end_before_own_close_; }

 private:
  Scheduler& scheduler() { return network_->scheduler(); }

  void spawn_sender(Scope& scope, Ledger& out, std::size_t i) {
    const SenderPlan& plan = plan_->senders[i];
    stopped_.resize(plan_->senders.size());
    const FiberHandle sender =
        scope.spawn(checks_.label() + ".send" + std::to_string(i), [&, i] { send_all(out, i); });
    if (plan.stop_after.count() == 0) return;
    scope.spawn(checks_.label() + ".stop" + std::to_string(i), [&, i, sender] {
      (void)scheduler().sleep_for(plan_->senders[i].stop_after);
      stopped_[i] = network_->clock().now();
      scheduler().cancel(sender);
    });
  }

  void send_all(Ledger& out, std::size_t i) {
    for (const SenderPlan::Call& call : plan_->senders[i].calls) {
      if (call.pause.count() != 0 && !scheduler().sleep_for(call.pause)) return;
      auto made = out.make(network_->buffers(), call.body);
      if (!made) continue;
      const std::size_t number = out.calls() - 1;
      const std::byte* const bytes = made->bytes().data();
      const Deadline deadline =
          call.patience.count() != 0 ? network_->clock().in(call.patience) : Deadline::never();
      Message message = std::move(*made);
      const TimePoint begun = network_->clock().now();
      const Result<void> result = writer_->send(message, deadline);
      checks_.told(number, result, message, bytes, begun, deadline, stopped_[i]);
      if (!result && result.error() != Errc::timed_out && result.error() != Errc::no_resources)
        return;
    }
  }

  void close() {
    checks_.close_begins();
    close_began_ = true;
    const Deadline deadline = network_->clock().in(shared_grace);
    env_->tell(checks_.label(), [] { return "begins to close"; });
    const Result<void> result = writer_->close(shared_grace);
    closed_ok_ = result.has_value();
    checks_.closed(result, deadline);
  }

  void read_all() {
    for (;;) {
      auto message = reader_.read_message(default_max_message, Deadline::never());
      if (message) {
        in_->yielded(*message);
        if (plan_->read_pause.count() != 0) (void)scheduler().sleep_for(plan_->read_pause);
        continue;
      }
      if (message.error() == Errc::no_resources &&
          scheduler().sleep_for(std::chrono::milliseconds(1)))
        continue;
      read_end_ = message.error();
      read_end_before_own_close_ = !close_began_;
      break;
    }
    reading_over_.set();
  }

  Env* env_;
  Network* network_;
  Reader reader_;
  std::optional<SharedWriter<Writer>> writer_;
  const SharedPlan* plan_;
  SharedChecks checks_;
  Ledger* in_;
  Event senders_done_;
  Event reading_over_;
  std::vector<std::optional<TimePoint>> stopped_;
  std::optional<Error> read_end_;
  bool close_began_ = false;
  bool closed_ok_ = false;
  bool read_end_before_own_close_ = false;
};

}  // namespace twinwire::laws
