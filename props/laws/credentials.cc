// SPDX-License-Identifier: Apache-2.0
#include "props/laws/credentials.h"

#include "sim/entropy.h"
#include "transport/base/check.h"
#include "transport/quic/quic_self_signed.h"

namespace twinwire::laws {
namespace {

struct Minted {
  QuicCredentials server;
  QuicCredentials client;
};

const Minted& minted() {
  static const Minted once = [] {
    sim::SeededRandom random(0x7465737463657274ULL);  // the same bytes in every process
    const auto pem = mint_quic_self_signed(random, "localhost");
    TWINWIRE_CHECK(pem.has_value(), "no test certificate could be minted");
    auto server = QuicCredentials::from_pem(pem->server);
    auto client = QuicCredentials::from_pem(pem->client);
    TWINWIRE_CHECK(server && client, "the minted certificates cannot be used");
    return Minted{*server, *client};
  }();
  return once;
}

// The smallest windows within ngtcp2's safe envelope, so that they fill; and a first guess of the round trip that fits
// a World whose latency is 50 us.
void fit_world(QuicOptions& options) {
  options.initial_rtt = std::chrono::milliseconds(10);
  options.stream_window = 256 * 1024;
  options.connection_window = 512 * 1024;
  options.messages_window = 200;
  options.retry_from = 2;
}

}  // namespace

void prepare_listener(QuicOptions& options, bool simulated) {
  options.tls.credentials = minted().server;
  if (simulated) fit_world(options);
}

void prepare_dialer(QuicOptions& options, bool simulated) {
  options.tls.credentials = minted().client;
  if (simulated) fit_world(options);
}

}  // namespace twinwire::laws
