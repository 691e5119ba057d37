// SPDX-License-Identifier: Apache-2.0
// LoadClient: one connection of `load`: sends numbered, sealed requests and verifies every echo.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/child.h"
#include "cli/histogram.h"
#include "cli/load_protocol.h"
#include "transport/fiber/wait_queue.h"
#include "transport/seam.h"

namespace twinwire::cli {

struct LoadOptions {
  std::uint64_t connections = 4;
  std::uint64_t messages = 500'000;  // over all connections
  std::size_t size = header_size;    // of a message, header included
  std::size_t batch = 64;            // messages in one send_batch
  std::size_t in_flight = 4;         // batches that may be unanswered
  bool one_way = false;
  Duration time = Duration::zero();              // stop sending after it; zero: never
  Duration patience = std::chrono::seconds(10);  // without an answer
  bool stop = false;                             // told to: nothing more is sent
};

struct LoadResult {
  LoadTotals echoed;  // verified here; one-way: by the server
  Histogram latency;
  std::string problem;  // empty: everything that was sent came back, or arrived, verified
  bool damaged = false;
  bool cut_short = false;  // told to stop before everything was sent
};

template <Transport T>
class LoadClient {
 public:
  LoadClient(Network& network, const LoadOptions& options, const typename T::Options& dialing,
             std::uint64_t messages, LoadResult& result)
      : network_(&network),
        options_(&options),
        dialing_(&dialing),
        messages_(messages),
        result_(&result),
        room_(network.scheduler()),
        sent_at_(options.batch * (options.in_flight + 1)) {}

  // `cannot_connect`: from an Error to the sentence for a person.
  template <class Explain>
  void run(const Address& server, Explain&& cannot_connect) {
    auto conn = T::dial(*network_, server, *dialing_, network_->clock().in(options_->patience));
    if (!conn) {
      result_->problem = cannot_connect(conn.error());
      return;
    }
    auto [reader, writer] = split(std::move(*conn));
    run_scope(network_->scheduler(), [&](Scope& scope) {
      const FiberHandle sender = scope.spawn("sender", [&] { send_all(writer); });
      receive_all(reader);
      failed_ = !result_->problem.empty();
      if (failed_) network_->scheduler().cancel(sender);
    });
    if (result_->problem.empty())
      if (auto closed = writer.close(options_->patience); !closed)
        result_->problem =
            "the server did not end the connection in order: " + to_string(closed.error());
  }

 private:
  using Reader = typename T::Conn::Reader;
  using Writer = typename T::Conn::Writer;

  Deadline patience() { return network_->clock().in(options_->patience); }

  void send_all(Writer& writer) {
    send_until_done(writer);
    all_sent_ = true;
  }

  void send_until_done(Writer& writer) {
    const TimePoint start = real_now();
    Batch batch(options_->batch);
    while (sent_ < messages_) {
      if (options_->time != Duration::zero() && real_now() - start >= options_->time) break;
      if (options_->stop) {
        result_->cut_short = true;
        break;
      }
      if (!options_->one_way && !wait_for_room()) return;
      const std::int64_t now = real_now().ns;
      for (std::size_t i = 0; i < options_->batch && sent_ < messages_; ++i, ++sent_) {
        auto message = make_request(network_->buffers(), sent_, options_->size, options_->one_way);
        if (!message) return stop_sending("no memory for another message", message.error());
        sent_at_[sent_ % sent_at_.size()] = now;
        batch.push(std::move(*message));
      }
      if (auto sent = writer.send_batch(batch, patience()); !sent)
        return stop_sending("the server took no more messages", sent.error());
    }
    auto ping = make_ping(network_->buffers());
    if (!ping) return stop_sending("no memory for the good-bye", ping.error());
    batch.push(std::move(*ping));
    if (auto sent = writer.send_batch(batch, patience()); !sent)
      stop_sending("the server took no good-bye", sent.error());
  }
  // The reader wakes with an error, since a failed batch drops the connection; it reports what was said first.
  void stop_sending(const char* what, Error error) {
    if (result_->problem.empty()) result_->problem = std::string(what) + ": " + to_string(error);
  }

  bool wait_for_room() {
    while (sent_ - result_->echoed.messages > options_->batch * (options_->in_flight - 1)) {
      room_.reset();
      if (!room_.wait(Deadline::never(), "echoes")) return false;
    }
    return true;
  }

  void receive_all(Reader& reader) {
    LoadTotals& echoed = result_->echoed;
    for (;;) {
      // One-way there is nothing to read until everything was sent; the sender's own deadline watches meanwhile.
      const bool may_be_silent = options_->one_way && !all_sent_;
      auto message = reader.read_message(default_max_message, patience());
      if (!message && message.error() == Errc::timed_out && may_be_silent) continue;
      if (!message) return lost(message.error());
      LoadTotals by_server;
      if (read_pong(*message, by_server)) return finish(by_server);
      if (options_->one_way || !is_request(*message, echoed.messages)) {
        result_->damaged = true;
        result_->problem = "echo " + std::to_string(echoed.messages) + " is damaged or out of turn";
        return;
      }
      const std::int64_t took = real_now().ns - sent_at_[echoed.messages % sent_at_.size()];
      result_->latency.add(static_cast<std::uint64_t>(took));
      ++echoed.messages;
      echoed.bytes += message->size();
      room_.set();
    }
  }

  void lost(Error error) {
    if (!result_->problem.empty()) return;
    result_->problem = std::string(error == Errc::timed_out  ? "no answer from the server"
                                   : error == Errc::canceled ? "given up"
                                                             : "the server ended the connection") +
                       " after " + std::to_string(result_->echoed.messages) + " echoes of " +
                       std::to_string(sent_) + " messages sent: " + to_string(error);
  }

  void finish(const LoadTotals& by_server) {
    if (options_->one_way) result_->echoed = by_server;
    if (by_server.messages == sent_ && by_server.bytes == sent_ * options_->size &&
        result_->echoed.messages == sent_)
      return;
    result_->damaged = true;
    result_->problem = "the server verified " + std::to_string(by_server.messages) +
                       " messages of " + std::to_string(sent_) + " that were sent";
  }

  Network* network_;
  const LoadOptions* options_;
  const typename T::Options* dialing_;
  std::uint64_t messages_;
  LoadResult* result_;
  Event room_;
  std::vector<std::int64_t> sent_at_;  // by number, for those that are in flight
  std::uint64_t sent_ = 0;
  bool all_sent_ = false;
  bool failed_ = false;
};

}  // namespace twinwire::cli
