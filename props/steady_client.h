// SPDX-License-Identifier: Apache-2.0
// SteadyClient: an honest client of `serve`, in a thread of its own. It is there before the trouble begins, exchanges a
// message every few milliseconds all the while, and says good-bye when it is told to: then the sums must agree.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "cli/load_protocol.h"
#include "cli/ring.h"
#include "cli/run_spec.h"
#include "cli/tls_options.h"
#include "cli/with_transport.h"
#include "real/ring_network.h"
#include "transport/seam.h"

namespace twinwire::props {

class SteadyClient {
 public:
  static constexpr Duration patience = std::chrono::seconds(20);
  static constexpr std::size_t message_size = 1000;

  // Returns once its first message has come back, or something has gone wrong.
  SteadyClient(const std::string& transport, const Address& server, const cli::TlsOptionsText& tls)
      : thread_([this, transport, server, tls] {
          cli::with_transport(cli::transport_named(transport),
                              [&]<class T>() { run<T>(server, cli::dial_options<T>(tls)); });
          begun_ = true;
          begun_.notify_all();
        }) {
    begun_.wait(false);
  }
  SteadyClient(const SteadyClient&) = delete;
  SteadyClient& operator=(const SteadyClient&) = delete;
  ~SteadyClient() { stop(); }

  // Says good-bye. What went wrong, in words; empty where every message came back, and both ends counted the same.
  const std::string& stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return problem_;
  }
  // After stop(). How many came back, and the slowest.
  std::uint64_t messages() const { return exchanged_.messages; }
  Duration slowest() const { return slowest_; }

 private:
  template <Transport T>
  void run(const Address& server, const typename T::Options& options) {
    const auto ring = cli::open_ring();
    real::RingNetwork network(*ring);
    Scope root(ring->scheduler());
    root.spawn("steady", [&] {
      if (auto done = exchange<T>(network, server, options); !done)
        problem_ =
            to_string(done.error()) + " after " + std::to_string(exchanged_.messages) + " messages";
    });
    (void)ring->scheduler().run();
    root.rethrow_failure();
  }

  template <Transport T>
  Result<void> exchange(Network& network, const Address& server,
                        const typename T::Options& options) {
    const auto soon = [&] { return network.clock().in(patience); };
    auto conn = T::dial(network, server, options, soon());
    if (!conn) return conn.error();
    auto [reader, writer] = split(std::move(*conn));
    Batch batch(1);
    const auto call = [&](Result<Message> question) -> Result<Message> {
      if (!question) return question.error();
      const TimePoint asked = network.clock().now();
      batch.push(std::move(*question));
      if (auto sent = writer.send_batch(batch, soon()); !sent) return sent.error();
      auto answer = reader.read_message(default_max_message, soon());
      slowest_ = std::max(slowest_, network.clock().now() - asked);
      return answer;
    };
    do {
      auto echo =
          call(cli::make_request(network.buffers(), exchanged_.messages, message_size, false));
      if (!echo) return echo.error();
      if (!cli::is_request(*echo, exchanged_.messages)) return Errc::invalid;
      ++exchanged_.messages;
      begun_ = true;
      begun_.notify_all();
      (void)network.scheduler().sleep_for(std::chrono::milliseconds(5));
    } while (!stop_);
    auto pong = call(cli::make_ping(network.buffers()));
    if (!pong) return pong.error();
    cli::LoadTotals by_server;
    if (!cli::read_pong(*pong, by_server) || by_server.messages != exchanged_.messages ||
        by_server.bytes != exchanged_.messages * message_size)
      return Errc::invalid;
    return writer.close(patience);
  }

  std::atomic<bool> begun_ = false;
  std::atomic<bool> stop_ = false;
  std::string problem_;  // the thread's, until it has ended; so are those below
  cli::LoadTotals exchanged_;
  Duration slowest_{0};
  std::thread thread_;
};

}  // namespace twinwire::props
