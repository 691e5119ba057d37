// SPDX-License-Identifier: Apache-2.0
// BusClient: a client of a bus, over any transport: it sends requests by the bare message seam, and holds what it reads
// against the book.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "props/laws/bus_book.h"
#include "props/laws/env.h"
#include "transport/seam.h"

namespace twinwire::laws {

template <Transport T>
class BusClient {
 public:
  BusClient(Env& env, BusBook& book, std::string name)
      : env_(&env),
        book_(&book),
        network_(&env.node(name)),
        name_(std::move(name)),
        session(book.begin(name_)) {}

  // Connects, and sends `ask`: from then on the bus can tell who it is.
  bool connect(const Address& address, Duration patience, BusAsk ask = BusAsk::nothing) {
    auto options = env_->dial_options<T>();
    if constexpr (requires { options.messages_window; }) options.messages_window = 16;
    const Deadline deadline = network_->clock().in(patience);
    auto conn = T::dial(*network_, address, options, deadline);
    if (!conn) return false;
    auto [reader, writer] = split(std::move(*conn));
    reader_.emplace(std::move(reader));
    writer_.emplace(std::move(writer));
    return send(ask, 100, patience);
  }

  bool send(BusAsk ask, std::size_t body_max, Duration patience) {
    auto made = book_->make(network_->buffers(), Command::request, session, body_max, ask);
    if (!made) return false;
    Batch batch(1);
    batch.push(std::move(*made));
    book_->queued(session);  // it may arrive before send_batch has returned
    return writer_->send_batch(batch, network_->clock().in(patience)).has_value();
  }

  // Reads until the connection ends, or the time is over.
  void read(Deadline deadline) {
    while (!end) {
      auto message = reader_->read_message(default_max_message, deadline);
      if (message) {
        book_->heard(hearing_, *message);
        ++replies;
        continue;
      }
      if (message.error() == Errc::timed_out) return;
      if (message.error() == Errc::no_resources &&
          network_->scheduler().sleep_for(std::chrono::milliseconds(1)))
        continue;
      end = message.error();
      ended_at = network_->clock().now();
    }
  }

  // Of a node with so many shards, each of which may send to it.
  void hears(std::size_t shards) { hearing_.sessions_max = shards; }

  bool close(Duration grace) { return writer_->close(grace).has_value(); }

 private:
  Env* env_;
  BusBook* book_;
  Network* network_;
  std::string name_;
  std::optional<typename T::Conn::Reader> reader_;
  std::optional<typename T::Conn::Writer> writer_;
  BusBook::Hearing hearing_;

 public:
  const BusBook::Session session;
  std::uint64_t replies = 0;
  std::optional<Error> end;
  TimePoint ended_at;
};

}  // namespace twinwire::laws
