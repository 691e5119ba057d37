// SPDX-License-Identifier: Apache-2.0
// impostors: servers and clients that cannot show who they are. Each is refused in the handshake, costs the listener
// its own connection only, and an honest peer is served afterwards. QUIC has one version of TLS, so none can be
// in disagreement there.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "props/laws/env.h"
#include "props/laws/limit_faults.h"
#include "props/laws/test_credentials.h"
#include "sim/fault_plan.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct Impostors {
  static constexpr std::string_view name = "impostors";
  static constexpr std::string_view summary =
      "wrong, expired and missing certificates, wrong protocols; each is refused";

  // A connection that the network kills proves nothing of who was refused.
  static void limit_faults(sim::FaultPlan& plan) { keep_connections(plan); }

  template <class T>
  static constexpr bool runs_over = requires(typename T::Options options) { options.tls; };

  template <Transport T>
  static void run(Env& env) {
    Run<T> run(env);
    for (const Case which : all_cases)
      if ((which != Case::no_common_version || !over_datagrams<T>) && is_tried(env, which))
        run.refused(which);
    if (env.shape("honest_client", 1) != 0) run.served();
  }

 private:
  // Each can be left out where the others do not matter.
  template <class Which>
  static bool is_tried(Env& env, Which which) {
    return !env.shaping() ||
           env.shape("case" + std::to_string(static_cast<std::size_t>(which)), 1) != 0;
  }

  enum class Case : std::uint8_t {
    stranger,
    expired,
    not_yet,
    other_name,
    no_trust,
    no_common_alpn,
    no_common_version,
    no_client_certificate,
    strange_client,
  };
  static constexpr std::array all_cases = {Case::stranger,          Case::expired,
                                           Case::not_yet,           Case::other_name,
                                           Case::no_trust,          Case::no_common_alpn,
                                           Case::no_common_version, Case::no_client_certificate,
                                           Case::strange_client};
  static constexpr std::array<std::string_view, all_cases.size()> case_names = {
      "a certificate of a stranger",
      "an expired certificate",
      "a certificate not yet good",
      "another's certificate",
      "no trusted authority",
      "no common protocol",
      "no common version",
      "no client certificate",
      "a client's certificate of a stranger"};

  template <Transport T>
  class Run {
   public:
    explicit Run(Env& env)
        : env_(&env), server_(&env.node("server")), client_(&env.node("client")) {}

    void refused(Case which) {
      auto listening = env_->listen_options<T>();
      auto dialing = env_->dial_options<T>();
      dialing.tls.sessions = nullptr;
      spoil(which, listening.tls, dialing.tls);
      // Under TLS 1.3 a client is done before its certificate has been looked at: it learns from its first read.
      const bool client_is_wrong =
          which == Case::no_client_certificate || which == Case::strange_client;
      talk(listening, dialing, [&](Result<typename T::Conn>& conn, std::size_t accepted) {
        const std::string_view what = case_names[static_cast<std::size_t>(which)];
        env_->tell("client", [&] {
          return "tries it with " + std::string(what) + ": the dial " +
                 (conn ? "succeeds" : "fails: " + to_string(conn.error()));
        });
        if (!client_is_wrong)
          env_->judge().check(!conn && conn.error() == Error{Errc::handshake}, "identity", [&] {
            return std::string(what) + ": the dial " +
                   (conn ? "succeeded" : "failed with " + to_string(conn.error()));
          });
        env_->judge().check(accepted == 0, "identity",
                            std::string(what) + ": the listener accepted the connection");
        if (!conn) return;
        auto [reader, writer] = split(std::move(*conn));
        auto message = reader.read_message(default_max_message, client_->clock().in(patience));
        env_->judge().check(!message && message.error() == Error{Errc::broken}, "identity", [&] {
          return std::string(what) + ": the client's reader ended with " +
                 (message ? "a message" : to_string(message.error()));
        });
      });
    }

    void served() {
      talk(env_->listen_options<T>(), env_->dial_options<T>(),
           [&](Result<typename T::Conn>& conn, std::size_t) {
             env_->judge().check(conn.has_value(), "identity",
                                 "an honest client was refused after the others");
           });
    }

   private:
    static constexpr Duration patience = std::chrono::seconds(60);

    static void spoil(Case which, TlsConfig& listener, TlsConfig& dialer) {
      const TestCertificates& known = test_certificates();
      const auto load = [&](const TlsIdentity& identity) {
        return TlsCredentials::load(
                   {.identities = {identity}, .authorities = known.authority.certificates})
            .value_or(nullptr);
      };
      listener.require_client_certificate = false;
      switch (which) {
        case Case::stranger: listener.credentials = load(known.by_stranger); break;
        case Case::expired: listener.credentials = load(known.expired); break;
        case Case::not_yet: listener.credentials = load(known.not_yet); break;
        case Case::other_name: listener.credentials = load(known.other_name); break;
        case Case::no_trust: dialer.credentials = TlsCredentials::load({}).value_or(nullptr); break;
        case Case::no_common_alpn:
          listener.alpn = {"one"};
          dialer.alpn = {"two", "three"};
          break;
        case Case::no_common_version:
          listener.versions = TlsVersions::only_13;
          dialer.versions = TlsVersions::only_12;
          break;
        case Case::no_client_certificate:
        case Case::strange_client:
          listener.require_client_certificate = true;
          dialer.credentials = which == Case::strange_client ? load(known.by_stranger)
                                                             : test_credentials().client->share();
          break;
      }
    }

    template <class Options, class F>
    void talk(const Options& listening, const Options& dialing, F&& judge) {
      Scheduler& scheduler = server_->scheduler();
      run_scope(scheduler, [&](Scope& background) {
        auto listener = T::listen(*server_, background, env_->bind_address("server"), listening);
        if (!env_->listens(listener)) return;
        std::vector<typename T::Conn>
            accepted;  // kept: a connection dropped at once would look like one refused
        run_scope(scheduler, [&](Scope& ends) {
          const FiberHandle accepting = ends.spawn("server", [&] {
            while (auto conn = listener->accept(Deadline::never()))
              accepted.push_back(std::move(conn->first));
          });
          auto conn = T::dial(*client_, listener->local(), dialing, client_->clock().in(patience));
          (void)scheduler.sleep_for(std::chrono::seconds(5));
          judge(conn, accepted.size());
          scheduler.cancel(accepting);
        });
        background.cancel();
      });
    }

    Env* env_;
    Network* server_;
    Network* client_;
  };
};

}  // namespace twinwire::laws
