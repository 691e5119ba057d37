// SPDX-License-Identifier: Apache-2.0
// serve: the other end of `load`, over real sockets. Echoes what it gets, and verifies it.
#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <list>
#include <memory>

#include "cli/load_protocol.h"
#include "cli/refusal_log.h"
#include "cli/ring.h"
#include "cli/run_spec.h"
#include "cli/text.h"
#include "cli/tls_options.h"
#include "cli/verbs.h"
#include "cli/with_transport.h"
#include "real/ring_network.h"
#include "real/signal_wait.h"

namespace twinwire::cli {
namespace {

struct ServeArguments {
  std::string listen = "127.0.0.1:4000";
  std::string transport = "tcp";
  std::string handshake_timeout = "10s";
  TlsOptionsText tls;
};

constexpr std::size_t echo_batch = 256;
constexpr Duration close_grace = std::chrono::seconds(2);
constexpr Duration between_complaints = std::chrono::seconds(1);  // about what lasts

struct Totals {
  std::uint64_t clean = 0;    // said good-bye after their last message
  std::uint64_t stopped = 0;  // were there when we stopped
  std::uint64_t broken = 0;   // died, were cut off, or sent damaged bytes
  std::uint64_t damaged = 0;
  std::uint64_t refused = 0;  // in the handshake: never a connection
  LoadTotals verified;
};

// One connection, from the server's point of view.
template <Transport T>
class Session {
 public:
  Session(Network& network, Totals& totals, const bool& stopping, typename T::Conn&& conn,
          const Address& peer)
      : Session(network, totals, stopping, split(std::move(conn)), peer) {}

  void run() {
    const Result<void> ended = serve();
    totals_->verified.messages += verified_.messages;
    totals_->verified.bytes += verified_.bytes;
    if (said_ping_ && !damaged_ && !ended && ended.error() == Errc::closed) {
      (void)writer_.close(close_grace);
      ++totals_->clean;
    } else if (*stopping_ && !damaged_ && !send_failed_) {
      const CancelShield shield(network_->scheduler());
      (void)writer_.close(close_grace);
      ++totals_->stopped;
    } else {
      ++totals_->broken;
      totals_->damaged += damaged_ ? 1 : 0;
      const std::string why =
          damaged_                     ? "it sent a message that is damaged or out of turn"
          : send_failed_ && *stopping_ ? "it took no more answers when it was time to stop"
          : !ended && ended.error() == Errc::invalid
              ? "it sent what is no frame, or one that is too large"
              : "it ended without a good-bye (" + to_string(ended.error()) + ")";
      std::fprintf(stderr, "twinwire: connection from %s lost after %s messages: %s\n",
                   to_string(peer_).c_str(), with_commas(verified_.messages).c_str(), why.c_str());
    }
  }
  // Ends a read that waits for the peer; whatever is being sent is sent.
  void stop() noexcept {
    if (reading_ != nullptr) network_->scheduler().interrupt(*reading_);
  }

 private:
  Session(Network& network, Totals& totals, const bool& stopping,
          std::pair<typename T::Conn::Reader, typename T::Conn::Writer> halves, const Address& peer)
      : network_(&network),
        totals_(&totals),
        stopping_(&stopping),
        peer_(peer),
        reader_(std::move(halves.first)),
        writer_(std::move(halves.second)),
        answers_(echo_batch) {}

  Result<void> serve() {
    for (;;) {
      if (*stopping_) return Errc::canceled;
      reading_ = &network_->scheduler().current();
      auto message = reader_.read_message(default_max_message, Deadline::never());
      reading_ = nullptr;
      // Then everything that has arrived with it, so that the answers leave as one batch.
      while (message) {
        if (auto taken = take(std::move(*message)); !taken) return taken;
        if (answers_.size() == echo_batch) break;
        message = reader_.read_message(default_max_message, {network_->clock().now()});
      }
      if (auto sent = writer_.send_batch(answers_, Deadline::never()); !sent) {
        send_failed_ = true;
        return sent;
      }
      if (!message && message.error() != Errc::timed_out) return message.error();
    }
  }

  Result<void> take(Message message) {
    if (is_ping(message)) {
      said_ping_ = true;
      auto pong = make_pong(network_->buffers(), verified_);
      if (!pong) return pong.error();
      answers_.push(std::move(*pong));
      return {};
    }
    if (said_ping_ || !is_request(message, verified_.messages)) {
      damaged_ = true;
      return Errc::invalid;
    }
    ++verified_.messages;
    verified_.bytes += message.size();
    if (!is_one_way(message)) answers_.push(std::move(message));
    return {};
  }

  Network* network_;
  Totals* totals_;
  const bool* stopping_;
  Address peer_;
  typename T::Conn::Reader reader_;
  typename T::Conn::Writer writer_;
  Batch answers_;
  LoadTotals verified_;
  Fiber* reading_ = nullptr;
  bool said_ping_ = false;
  bool damaged_ = false;
  bool send_failed_ = false;
};

template <Transport T>
void accept_all(Network& network, typename T::Listener& listener, Scope& sessions_scope,
                std::list<Session<T>*>& sessions, Totals& totals, const bool& stopping) {
  TimePoint quiet_until{INT64_MIN};
  for (;;) {
    auto accepted = listener.accept(Deadline::never());
    if (!accepted &&
        (accepted.error() == Errc::canceled || accepted.error() == Errc::shutting_down))
      return;
    if (!accepted) {
      const TimePoint now = network.clock().now();
      if (now < quiet_until) continue;  // descriptors are still out
      quiet_until = now + between_complaints;
      std::fprintf(stderr, "twinwire: a connection was not accepted: %s\n",
                   to_string(accepted.error()).c_str());
      continue;
    }
    auto session = std::make_shared<Session<T>>(network, totals, stopping,
                                                std::move(accepted->first), accepted->second);
    (void)sessions_scope.try_spawn("session", [&sessions, session] {
      const auto at = sessions.insert(sessions.end(), session.get());
      session->run();
      sessions.erase(at);
    });
  }
}

// In a fiber. Returns the sentence why it could not listen, or nothing once a signal has ended it.
template <Transport T>
std::string serve_until_signal(real::Ring& ring, Network& network, const Address& address,
                               typename T::Options options, Totals& totals) {
  auto signals = real::SignalWait::create(ring, {SIGINT, SIGTERM});
  if (!signals) return "cannot wait for signals: " + to_string(signals.error());
  std::string problem;
  bool stopping = false;
  bool over = false;  // every session has ended; read by a fiber that may outlive the scope below
  run_scope(network.scheduler(), [&](Scope& background) {
    const auto refusals = std::make_shared<RefusalLog>(background);
    options.accept.on_refused = [refusals](const Address& peer, std::string_view why) {
      refusals->note(peer, why);
    };
    auto listener = T::listen(network, background, address, options);
    if (!listener) {
      problem =
          "cannot listen on " + to_string(address) + ": " +
          (listener.error().os_errno == EADDRINUSE ? "another process listens there (EADDRINUSE); "
                                                     "stop it, or choose another port (0: any)"
                                                   : to_string(listener.error()));
      return;
    }
    std::printf("serving %s on %s\n", std::string(T::name).c_str(),
                to_string(listener->local()).c_str());
    std::fflush(stdout);
    std::list<Session<T>*> sessions;
    FiberHandle hurry;
    run_scope(network.scheduler(), [&](Scope& scope) {
      const FiberHandle acceptor = scope.spawn(
          "accept", [&] { accept_all<T>(network, *listener, scope, sessions, totals, stopping); });
      (void)signals->wait(Deadline::never());
      stopping = true;
      network.scheduler().cancel(acceptor);
      for (Session<T>* session : sessions) session->stop();
      // A peer that reads nothing must not keep us: after the grace, or a second signal, what it has not taken is lost.
      hurry = background.spawn("hurry", [&] {
        const auto told = signals->wait(network.clock().in(close_grace));
        if (!over && (told || told.error() == Errc::timed_out)) scope.cancel();
      });
    });
    over = true;
    network.scheduler().cancel(hurry);
    background.cancel();
    refusals->flush();
    totals.refused = refusals->total();
  });
  return problem;
}

void print_totals(const Totals& totals) {
  const std::uint64_t count = totals.clean + totals.stopped + totals.broken;
  std::printf("served     %s connections: %s ended well, %s were stopped, %s broke\n",
              with_commas(count).c_str(), with_commas(totals.clean).c_str(),
              with_commas(totals.stopped).c_str(), with_commas(totals.broken).c_str());
  if (totals.refused != 0)
    std::printf("refused    %s newcomers\n", with_commas(totals.refused).c_str());
  std::printf("received   %s messages, %s bytes; %s\n",
              with_commas(totals.verified.messages).c_str(),
              with_commas(totals.verified.bytes).c_str(),
              totals.damaged == 0 ? "sums verified" : "some were damaged");
}

ExitCode serve(const ServeArguments& options) {
  const std::size_t transport = transport_named(options.transport);
  const auto address = parse_address(options.listen);
  if (!address)
    bad_usage("'" + options.listen + "' is no address; write 127.0.0.1:4000 or [::1]:4000");
  const auto handshake_timeout = parse_duration(options.handshake_timeout);
  if (!handshake_timeout || *handshake_timeout <= Duration::zero())
    bad_usage("'" + options.handshake_timeout + "' is no duration; write 10s or 500ms");
  const auto ring = open_ring();
  real::RingNetwork network(*ring);
  Totals totals;
  std::string problem;
  with_transport(transport, [&]<class T>() {
    auto listening = listen_options<T>(options.tls, network);
    // Whoever never sends a message is no connection, and costs nobody a place.
    listening.accept_after_first_message = true;
    listening.first_message_max = default_max_message;
    listening.accept.handshake_timeout = *handshake_timeout;
    // All of a `load`'s connections may be on their way at one time: honest ones, not to be evicted by each other.
    listening.accept.handshakes_max = 2 * connections_max;
    Scope root(ring->scheduler());
    root.spawn("serve", [&] {
      problem = serve_until_signal<T>(*ring, network, *address, listening, totals);
    });
    (void)ring->scheduler().run();
    root.rethrow_failure();
  });
  if (!problem.empty()) throw Failure(ExitCode::environment, problem);
  print_totals(totals);
  if (totals.damaged != 0) return ExitCode::law_broken;
  return totals.broken == 0 ? ExitCode::pass : ExitCode::environment;
}

}  // namespace

void add_serve(CLI::App& app, const Tool&, ExitCode& code) {
  auto* verb = app.add_subcommand("serve", "echoes and verifies what `load` sends, until Ctrl-C");
  auto options = std::make_shared<ServeArguments>();
  verb->add_option("--listen", options->listen, "address and port; port 0: any that is free")
      ->capture_default_str();
  verb->add_option("--transport", options->transport, "over which transport")
      ->capture_default_str();
  verb->add_option("--handshake-timeout", options->handshake_timeout,
                   "how long a newcomer may take until its first message is whole")
      ->capture_default_str();
  add_tls_listener_options(*verb, options->tls);
  verb->callback([&code, options] { code = serve(*options); });
}

}  // namespace twinwire::cli
