// SPDX-License-Identifier: Apache-2.0
// EchoClient: what `bench shards` and `bench bus` load their servers with: connections on each of which so many
// messages are under way, there and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "cli/bench_ends.h"
#include "cli/bench_processes.h"
#include "props/peers/real/real_work.h"
#include "transport/tcp/tcp.h"

namespace twinwire::cli {

struct EchoWork {
  std::size_t connections;  // over all clients
  std::size_t depth;        // messages under way on each
  std::size_t size;
  std::uint64_t time_ns;
};

inline ConnOptions echo_options() {
  ConnOptions options;
  options.stream.congestion = bench_congestion;
  return options;
}

class EchoClient {
 public:
  EchoClient(Network& network, const EchoWork& work) : network_(&network), work_(work) {
    for (std::size_t i = 0; i < work.depth; ++i) {
      auto message =
          MutableMessage::create(network.buffers(), peers::data_command, work.size - header_size);
      require_result(message, "no memory for the messages");
      peers::write_message(message->bytes(), peers::data_command, i);
      messages_.push_back(std::move(*message).freeze());
    }
  }

  void dial(std::uint16_t port, std::size_t connections) {
    for (std::size_t c = 0; c < connections; ++c) {
      auto conn = Tcp::dial(*network_, Address::v4(127, 0, 0, 1, port), echo_options(),
                            network_->clock().in(std::chrono::seconds(10)));
      require_result(conn, "cannot connect");
      auto [reader, writer] = split(std::move(*conn));
      ends_.push_back({std::move(reader), std::move(writer)});
    }
  }

  // Echoes for the time of the work, after a third of it that is not counted.
  std::uint64_t run() {
    measured_from_ = peers::wall_ns() + work_.time_ns / 3;
    until_ = measured_from_ + work_.time_ns;
    run_scope(network_->scheduler(), [&](Scope& scope) {
      for (End& end : ends_) scope.spawn("echo", [&] { echo(end); });
    });
    for (End& end : ends_) (void)end.writer.close(bench_grace);
    return counted_;
  }

 private:
  struct End {
    FramedReader reader;
    FramedWriter writer;
  };

  void echo(End& end) {
    Batch batch(work_.depth);
    peers::Totals sent;
    peers::Totals received;
    for (;;) {
      for (const Message& message : messages_) {
        batch.push(message);
        sent.add(message.bytes().data(), message.size());
      }
      require_result(end.writer.send_batch(batch, Deadline::never()), "a batch was not taken");
      while (batch.size() < work_.depth)
        require_result(end.reader.read_batch(batch, default_max_message, Deadline::never()),
                       "an echo did not come");
      for (const Message& message : batch.messages())
        received.add(message.bytes().data(), message.size());
      batch.clear();
      const std::uint64_t now = peers::wall_ns();
      if (now >= until_) break;
      if (now >= measured_from_) counted_ += work_.depth;
    }
    if (!received.same_messages(sent)) throw peers::Miscounted();
  }

  Network* network_;
  EchoWork work_;
  std::vector<Message> messages_;
  std::vector<End> ends_;
  std::uint64_t measured_from_ = 0;
  std::uint64_t until_ = 0;
  std::uint64_t counted_ = 0;
};

// Serves so many connections with so many shards, the ith on the ith processor, and says "port N" first.
using ServeEcho = void (*)(std::uint32_t shards, std::size_t connections, int out);

// One shard and its client on one processor against `count` with a processor each: measures in turn, and prints.
void print_echo_shards(std::uint32_t count, unsigned rounds, const std::vector<int>& cores,
                       const EchoWork& work, ServeEcho serve);

}  // namespace twinwire::cli
