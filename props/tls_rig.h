// SPDX-License-Identifier: Apache-2.0
// For the tests of TLS: a client and a server in the World whose handshake was tried, over taps.
#pragma once

#include "props/laws/tap.h"
#include "props/laws/test_credentials.h"
#include "props/sim_rig.h"
#include "transport/tls/tls_stream.h"

namespace twinwire::sim {

inline TlsConfig tls_server_config() {
  const auto& certificates = laws::test_certificates();
  TlsConfig config;
  config.credentials = *TlsCredentials::load(
      {.identities = {certificates.server}, .authorities = certificates.authority.certificates});
  return config;
}

inline TlsConfig tls_client_config() {
  TlsConfig config;
  config.credentials =
      *TlsCredentials::load({.authorities = laws::test_certificates().authority.certificates});
  config.server_name = laws::test_server_name;
  return config;
}

struct TlsRig {
  World& world;
  SimNetwork& client_node;
  SimNetwork& server_node;
  std::unique_ptr<TlsStream> client;  // null where the handshake failed
  std::unique_ptr<TlsStream> server;
  Error client_error;
  Error server_error;
  laws::StreamRecord& client_record;
  laws::StreamRecord& server_record;

  Deadline in(Duration d) const { return {world.now() + d}; }
  void sleep(Duration d) const { (void)world.scheduler().sleep_for(d); }
};

template <class F>
RunReport run_tls_rig(const WorldOptions& options, const TlsConfig& client_config,
                      const TlsConfig& server_config, F&& body) {
  return run_rig(options, {}, {}, [&](Rig& raw) {
    laws::Judge judge;
    laws::TapNetwork client_tap(raw.client_node, judge);
    laws::TapNetwork server_tap(raw.server_node, judge);
    Result<std::unique_ptr<TlsStream>> client = Errc::canceled;
    Result<std::unique_ptr<TlsStream>> server = Errc::canceled;
    run_scope(raw.world.scheduler(), [&](Scope& both) {
      both.spawn("client", [&] {
        client = tls_connect(client_tap, client_tap.tap(std::move(raw.client)), client_config,
                             raw.in(10s));
      });
      both.spawn("server", [&] {
        server = tls_accept(server_tap, server_tap.tap(std::move(raw.server)), server_config,
                            raw.in(10s));
      });
    });
    const auto error = [](const auto& result) { return result ? Error{} : result.error(); };
    TlsRig rig{raw.world,
               raw.client_node,
               raw.server_node,
               client ? std::move(*client) : nullptr,
               server ? std::move(*server) : nullptr,
               error(client),
               error(server),
               *client_tap.records().front(),
               *server_tap.records().front()};
    body(rig);
    EXPECT_FALSE(judge.verdict().has_value()) << judge.verdict()->law << judge.verdict()->detail;
  });
}

template <class F>
RunReport run_tls_rig(F&& body) {
  return run_tls_rig({}, tls_client_config(), tls_server_config(), std::forward<F>(body));
}

}  // namespace twinwire::sim
