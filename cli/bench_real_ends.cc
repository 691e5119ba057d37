// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_real_ends.h"

#include <optional>
#include <vector>

#include "cli/bench_ends.h"
#include "cli/bench_processes.h"
#include "transport/shared/shared_writer.h"
#include "transport/tcp/tcp.h"

namespace twinwire::cli {
namespace {

using peers::RealKind;
using peers::RealReport;
using peers::RealTotals;
using peers::RealWork;
using peers::Totals;

constexpr Deadline never = Deadline::never();

std::uint64_t calls_of(real::Ring& ring) {
  const real::Counters& counters = ring.counters();
  return counters.enters + counters.direct_writes;
}

ConnOptions real_options(std::size_t coalesce_below) {
  ConnOptions options;
  options.coalesce_below = coalesce_below;
  options.stream.congestion = bench_congestion;
  return options;
}

// --- The server ----------------------------------------------------------------------------------------------------

class RealServer {
 public:
  RealServer(real::Ring& ring, Network& network, const RealWork& work)
      : ring_(&ring), network_(&network), work_(work), totals_(work.connections) {}

  void serve(FramedConn conn, std::size_t c) {
    auto [reader, writer] = split(std::move(conn));
    Batch batch(batch_messages_max);
    for (;;) {
      const auto read = reader.read_batch(batch, default_max_message, never);
      if (!read && read.error() == Errc::closed) break;
      require_result(read, "the connection was lost");
      bool asked = false;
      for (const Message& message : batch.messages()) asked = take(c, message) || asked;
      if (asked || !work_.echoes()) batch.clear();
      if (asked) batch.push(answer());
      // What came together goes back together.
      require_result(writer.send_batch(batch, never), "an echo was not taken");
    }
    (void)writer.close(bench_grace);
  }

 private:
  // Yes: it is the question, which comes after everything else.
  bool take(std::size_t c, const Message& message) {
    if (message.header().command() != peers::data_command) return true;
    Totals& totals = totals_[c];
    if (work_.kind == RealKind::singles)
      peers::add_unordered(totals, message.bytes());
    else
      totals.add(message.bytes().data(), message.size());
    return false;
  }
  Message answer() {
    RealTotals totals;
    for (Totals& each : totals_) {
      totals.add_connection(each);
      each = {};
    }
    const std::uint64_t processor = peers::processor_ns();
    const std::uint64_t calls = calls_of(*ring_);
    totals.processor_ns = processor - std::exchange(processor_, processor);
    totals.calls = calls - std::exchange(calls_, calls);
    auto answer = MutableMessage::create(network_->buffers(), peers::answer_command, sizeof totals);
    require_result(answer, "no memory for the answer");
    peers::write_real_answer(answer->bytes().first<peers::real_answer_size>(), totals);
    return std::move(*answer).freeze();
  }

  real::Ring* ring_;
  Network* network_;
  RealWork work_;
  std::vector<Totals> totals_;
  std::uint64_t processor_ = 0;
  std::uint64_t calls_ = 0;
};

// --- The client ----------------------------------------------------------------------------------------------------

// Many fibers' one writer, each of which sends one message to a call.
using SinglesWriter = SharedWriter<FramedWriter>;

class RealClient {
 public:
  RealClient(real::Ring& ring, Network& network, const RealWork& work, std::size_t coalesce_below)
      : ring_(&ring), network_(&network), work_(work), coalesce_below_(coalesce_below) {
    const std::size_t count = work.echoes() ? work.depth : work.batch;
    messages_.reserve(count);
    last_.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      auto message =
          MutableMessage::create(network.buffers(), peers::data_command, work.size - header_size);
      require_result(message, "no memory for the messages");
      peers::write_message(message->bytes(), peers::data_command, i);
      last_.push_back(load<std::uint64_t>(message->bytes().data() + work.size - 8));
      messages_.push_back(std::move(*message).freeze());
    }
    ends_.reserve(work.connections);
  }

  void dial(const Address& server) {
    for (std::size_t c = 0; c < work_.connections; ++c) {
      auto conn = Tcp::dial(*network_, server, real_options(coalesce_below_),
                            network_->clock().in(std::chrono::seconds(10)));
      require_result(conn, "cannot connect");
      auto [reader, writer] = split(std::move(*conn));
      ends_.emplace_back(std::move(reader), std::move(writer));
    }
    if (work_.kind == RealKind::singles)
      singles_.emplace(network_->scheduler(), std::move(ends_[0].writer));
  }

  RealReport measure() {
    RealReport report;
    peers::RealMeter meter;
    for (const std::uint64_t time : {work_.time_ns / 10, work_.time_ns}) {
      round_trips_.clear();
      for (End& end : ends_) {
        end.sent = end.received = {};
        end.next = 0;
      }
      meter.begin(calls_of(*ring_));
      until_ = meter.began() + time;
      if (work_.kind == RealKind::stream)
        stream(ends_[0]);
      else if (work_.kind == RealKind::singles)
        singles(ends_[0]);
      else
        run_scope(network_->scheduler(), [&](Scope& scope) {
          for (End& end : ends_) scope.spawn("echo", [&] { echo(end); });
        });
      const RealTotals counted = ask(ends_[0]);
      RealTotals sent;
      for (const End& end : ends_) {
        sent.add_connection(end.sent);
        if (work_.echoes() && !end.received.same_messages(end.sent)) throw peers::Miscounted();
      }
      report = meter.end(sent, counted, calls_of(*ring_));
    }
    report.p50_ns = round_trips_.percentile(50);
    report.p99_ns = round_trips_.percentile(99);
    return report;
  }

  void close() {
    if (singles_)
      (void)singles_->close(bench_grace);
    else
      for (End& end : ends_) (void)end.writer.close(bench_grace);
  }

 private:
  struct End {
    End(FramedReader r, FramedWriter w) : reader(std::move(r)), writer(std::move(w)) {}
    FramedReader reader;
    FramedWriter writer;
    Batch batch{batch_messages_max};
    Totals sent;
    Totals received;
    std::size_t next = 0;  // of the prepared messages
  };

  // The next `count` of the prepared messages, in one batch.
  void send(End& end, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      end.batch.push(messages_[end.next]);
      ++end.sent.messages;
      end.sent.bytes += work_.size;
      end.sent.sum = end.sent.sum * 0x9e3779b97f4a7c15ULL + last_[end.next] + work_.size;
      if (++end.next == messages_.size()) end.next = 0;
    }
    require_result(end.writer.send_batch(end.batch, never), "a batch was not taken");
  }

  void stream(End& end) {
    do {
      send(end, messages_.size());
    } while (peers::wall_ns() < until_);
  }

  void singles(End& end) {
    run_scope(network_->scheduler(), [&](Scope& scope) {
      for (const Message& message : messages_)
        scope.spawn("single", [&] {
          do {
            require_result(singles_->send(Message(message), never), "a message was not taken");
            peers::add_unordered(end.sent, message.bytes());
          } while (peers::wall_ns() < until_);
        });
    });
  }

  void echo(End& end) {
    std::uint64_t asked_at = peers::wall_ns();
    send(end, work_.depth);
    for (std::size_t outstanding = work_.depth; outstanding > 0;) {
      require_result(end.reader.read_batch(end.batch, default_max_message, never),
                     "an echo did not come");
      const std::size_t count = end.batch.size();
      for (const Message& message : end.batch.messages())
        end.received.add(message.bytes().data(), message.size());
      end.batch.clear();
      outstanding -= count;
      const std::uint64_t now = peers::wall_ns();
      if (work_.kind == RealKind::ping_pong) {
        round_trips_.add(now - asked_at);
        asked_at = now;
      }
      if (now >= until_) continue;
      send(end, count);
      outstanding += count;
    }
  }

  RealTotals ask(End& end) {
    auto question = MutableMessage::create(network_->buffers(), peers::ask_command, 0);
    require_result(question, "no memory for the question");
    if (singles_) {
      require_result(singles_->send(std::move(*question).freeze(), never),
                     "the question was not taken");
    } else {
      end.batch.push(std::move(*question).freeze());
      require_result(end.writer.send_batch(end.batch, never), "the question was not taken");
    }
    auto answer = end.reader.read_message(default_max_message, never);
    require_result(answer, "no answer came");
    return peers::read_real_answer(answer->bytes());
  }

  real::Ring* ring_;
  Network* network_;
  RealWork work_;
  std::size_t coalesce_below_;
  std::vector<Message> messages_;  // prepared once, sent again and again: a batch takes a reference
  std::vector<std::uint64_t> last_;
  std::vector<End> ends_;
  std::optional<SinglesWriter> singles_;  // has the writer of the one end
  std::uint64_t until_ = 0;
  peers::RoundTrips round_trips_;
};

}  // namespace

void serve_real(real::Ring& ring, Network& network, Scope& background, const RealWork& work,
                const std::function<void(std::uint16_t port)>& listening) {
  auto listener = Tcp::listen(network, background, Address::v4(127, 0, 0, 1, 0), real_options(0));
  require_result(listener, "cannot listen");
  listening(listener->local().port);
  RealServer server(ring, network, work);
  run_scope(network.scheduler(), [&](Scope& scope) {
    for (std::size_t c = 0; c < work.connections; ++c) {
      auto accepted = listener->accept(never);
      require_result(accepted, "nobody connected");
      scope.spawn("serve", [&server, c, conn = std::move(accepted->first)]() mutable {
        server.serve(std::move(conn), c);
      });
    }
  });
}

RealReport load_real(real::Ring& ring, Network& network, std::uint16_t port, const RealWork& work,
                     std::size_t coalesce_below) {
  RealClient client(ring, network, work, coalesce_below);
  client.dial(Address::v4(127, 0, 0, 1, port));
  const RealReport report = client.measure();
  client.close();
  return report;
}

}  // namespace twinwire::cli
