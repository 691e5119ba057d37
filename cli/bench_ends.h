// SPDX-License-Identifier: Apache-2.0
// The two ends of `bench transports`, over any transport and network: the work is in props/peers/work.h.
#pragma once

#include <vector>

#include "cli/exit_code.h"
#include "props/peers/work.h"
#include "transport/seam.h"

namespace twinwire::cli {

inline constexpr Duration bench_grace = std::chrono::seconds(2);

template <class R>
void require_result(const R& result, const char* what) {
  if (!result)
    throw Failure(ExitCode::environment, std::string(what) + ": " + to_string(result.error()));
}

// The server of one connection, until its peer says good-bye.
template <Transport T>
void serve_bench(Network& network, typename T::Listener& listener) {
  auto accepted = listener.accept(Deadline::never());
  require_result(accepted, "nobody connected");
  auto [reader, writer] = split(std::move(accepted->first));
  peers::Receiver receiver;
  Batch batch(1);
  for (;;) {
    auto message = reader.read_message(default_max_message, Deadline::never());
    if (!message && message.error() == Errc::closed) break;
    require_result(message, "the connection was lost");
    if (!receiver.take(message->bytes())) continue;
    auto answer = MutableMessage::create(network.buffers(), peers::answer_command,
                                         peers::answer_size - header_size);
    require_result(answer, "no memory for the answer");
    receiver.answer(answer->bytes().first<peers::answer_size>());
    batch.push(std::move(*answer).freeze());
    require_result(writer.send_batch(batch, Deadline::never()), "the answer was not taken");
  }
  (void)writer.close(bench_grace);
}

// Its client. `wall` and `processor` are clocks, in nanoseconds.
template <Transport T>
peers::Report load_bench(Network& network, const Address& server,
                         const typename T::Options& options, const peers::Work& work, auto&& wall,
                         auto&& processor) {
  auto conn = T::dial(network, server, options, network.clock().in(std::chrono::seconds(10)));
  require_result(conn, "cannot connect");
  auto [reader, writer] = split(std::move(*conn));
  // Prepared once, sent again and again: a batch takes a reference to each.
  std::vector<Message> messages;
  std::vector<std::uint64_t> last;
  for (std::size_t i = 0; i < work.batch; ++i) {
    auto message =
        MutableMessage::create(network.buffers(), peers::data_command, work.size - header_size);
    require_result(message, "no memory for the messages");
    peers::write_message(message->bytes(), peers::data_command, i);
    last.push_back(load<std::uint64_t>(message->bytes().data() + work.size - 8));
    messages.push_back(std::move(*message).freeze());
  }
  Batch batch(work.batch);
  const peers::Report report = peers::drive(
      work, last,
      [&] {
        for (const Message& message : messages) batch.push(message);
        require_result(writer.send_batch(batch, Deadline::never()), "a batch was not taken");
      },
      [&] {
        auto question = MutableMessage::create(network.buffers(), peers::ask_command, 0);
        require_result(question, "no memory for the question");
        batch.push(std::move(*question).freeze());
        require_result(writer.send_batch(batch, Deadline::never()), "the question was not taken");
        auto answer = reader.read_message(default_max_message, Deadline::never());
        require_result(answer, "no answer came");
        peers::Receiver receiver;
        (void)receiver.take(answer->bytes());
        return receiver.totals();
      },
      wall, processor);
  (void)writer.close(bench_grace);
  return report;
}

}  // namespace twinwire::cli
