// SPDX-License-Identifier: Apache-2.0
// load --bus: many clients of a replicated log, each with one request under way, which is sent again until it is
// answered: so every request that is acknowledged was applied once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cli/bus_tally.h"
#include "cli/child.h"
#include "cli/exit_code.h"
#include "cli/histogram.h"
#include "transport/log/client.h"

namespace twinwire::cli {

struct BusLoadOptions {
  std::uint64_t connections = 4;
  std::uint64_t messages = 0;  // over all connections
  std::size_t size = header_size + 256;
  Duration time = Duration::zero();  // stop sending after it; zero: never
  Duration patience{};               // without an answer
  Duration answer_limit = std::chrono::seconds(2);
  std::uint64_t first_client = 0;  // the label of the first; the others' follow
  bool keep_answers = false;
  std::function<std::string(const Error&)> explain_dial;  // a sentence for a person
};

// What one client was told.
struct BusLoadResult {
  struct Told {
    log::Op op = 0;
    std::uint64_t applied = 0;
    std::uint64_t sum = 0;
  };
  std::uint64_t acknowledged = 0;  // requests 1 to this one
  bool in_doubt = false;           // whether the next one was applied
  log::ClientCounters counters;
  std::string problem;  // empty: everything that was sent was acknowledged
  bool damaged = false;
  std::vector<Told> told;  // the answers to those that were acknowledged, if they are kept
};

// Of all of them, while they run.
struct BusLoadState {
  bool stop = false;
  std::uint64_t acknowledged = 0;
  Histogram latency;
  std::vector<BusLoadResult> results;
};

template <Transport T>
class BusLoadClient {
 public:
  BusLoadClient(Network& network, const Address& primary, const typename T::Options& dialing,
                const BusLoadOptions& options, std::uint64_t number, std::uint64_t messages,
                BusLoadState& state)
      : network_(&network),
        options_(&options),
        label_(options.first_client + number),
        messages_(messages),
        state_(&state),
        result_(&state.results[number]),
        client_(network, primary, dialing, limits_of(options)),
        body_(options.size - header_size) {}

  void run() {
    const TimePoint start = real_now();
    std::uint64_t applied = 0;
    while (result_->acknowledged < messages_ && !state_->stop) {
      const TimePoint asked = real_now();
      if (options_->time != Duration::zero() && asked - start >= options_->time) break;
      store(body_.data(), label_);
      store(body_.data() + 8, result_->acknowledged + 1);
      const auto answer = client_.submit(body_, network_->clock().in(options_->patience));
      if (!answer) {
        stopped_by(answer.error());
        break;
      }
      // The tally grows with each request of ours.
      const std::uint64_t tally =
          answer->body().size() == 16 ? load<std::uint64_t>(answer->body().data()) : 0;
      if (tally <= applied) {
        result_->damaged = true;
        result_->problem = "the answer to request " + std::to_string(result_->acknowledged + 1) +
                           " is that of an earlier one";
        break;
      }
      applied = tally;
      if (options_->keep_answers)
        result_->told.push_back(
            {answer->op, tally, load<std::uint64_t>(answer->body().data() + 8)});
      ++result_->acknowledged;
      ++state_->acknowledged;
      state_->latency.add(static_cast<std::uint64_t>((real_now() - asked).count()));
    }
    result_->counters = client_.counters();
    client_.close(std::chrono::seconds(1));
  }

 private:
  static log::ClientOptions limits_of(const BusLoadOptions& options) {
    log::ClientOptions limits;
    limits.answer_limit = options.answer_limit;
    limits.retry_every = std::chrono::milliseconds(50);
    return limits;
  }
  void stopped_by(Error error) {
    result_->in_doubt = client_.in_doubt();
    result_->problem =
        error == Errc::timed_out ? "no answer in time, however often it was asked" + last_failure()
        : error == Errc::unreachable ? "that is a backup: ask the primary"
        : error == Errc::too_large
            ? "the log takes no request of this --size: its --body-max is smaller"
        : error == Errc::refused ? "the log has forgotten this client: too many others came"
                                 : to_string(error);
    result_->problem +=
        ", after " + std::to_string(result_->acknowledged) + " acknowledged requests";
  }

  std::string last_failure() const {
    const auto& failure = client_.last_failure();
    if (!failure) return "";
    if (failure->connecting)
      return " (" +
             (options_->explain_dial ? options_->explain_dial(failure->why)
                                     : "cannot connect: " + to_string(failure->why)) +
             ")";
    if (failure->why == Errc::timed_out)
      return " (connected, and nothing heard: without a majority of the replicas nobody is "
             "answered)";
    return " (the connection was lost, for a reason that the replica's own output may tell: " +
           to_string(failure->why) + ")";
  }

  Network* network_;
  const BusLoadOptions* options_;
  std::uint64_t label_;
  std::uint64_t messages_;
  BusLoadState* state_;
  BusLoadResult* result_;
  log::Client<T> client_;
  std::vector<std::byte> body_;
};

// Runs all of them, in fibers, to their end.
template <Transport T>
void run_bus_clients(Network& network, const Address& primary, const typename T::Options& dialing,
                     const BusLoadOptions& options, BusLoadState& state) {
  state.results.resize(options.connections);
  std::vector<std::unique_ptr<BusLoadClient<T>>> clients;
  clients.reserve(options.connections);
  run_scope(network.scheduler(), [&](Scope& scope) {
    for (std::uint64_t i = 0; i < options.connections; ++i) {
      const std::uint64_t share = options.messages / options.connections +
                                  (i < options.messages % options.connections ? 1 : 0);
      clients.push_back(
          std::make_unique<BusLoadClient<T>>(network, primary, dialing, options, i, share, state));
      scope.spawn("client", [client = clients.back().get()] { client->run(); });
    }
  });
}

// Prints what came of it; the exit code.
ExitCode print_bus_load(const BusLoadState& state, Duration took);

}  // namespace twinwire::cli
