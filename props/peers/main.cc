// SPDX-License-Identifier: Apache-2.0
// twinwire-peers: other people's libraries doing the work of `twinwire bench transports`, which starts it:
//
//   twinwire-peers serve PEER SIZE BATCH            prints "port N", serves one connection
//   twinwire-peers load PEER SIZE BATCH NS PORT     prints what was measured
//   twinwire-peers version                          prints what it is linked with
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>

#include <boost/version.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "props/peers/peer.h"

namespace twinwire::peers {
namespace {

std::uint64_t number(const char* text) { return std::strtoull(text, nullptr, 10); }

int run_peer(const Call& call) {
  if (call.work.size < header_size || call.work.batch == 0) return 2;
  constexpr struct {
    const char* name;
    void (*run)(const Call&);
  } peers[] = {{"tcp", &run_tcp},
               {"tls", &run_tls},
               {"ws", &run_ws},
               {"wss", &run_wss},
               {"quic", &run_quic}};
  for (const auto& peer : peers) {
    if (call.peer != peer.name) continue;
    peer.run(call);
    return 0;
  }
  return 2;
}

int peers_main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "version") == 0) {
    std::printf("Boost %d.%d, GnuTLS %s, ngtcp2 %s\n", BOOST_VERSION / 100000,
                BOOST_VERSION / 100 % 1000, gnutls_check_version(nullptr),
                ngtcp2_version(0)->version_str);
    return 0;
  }
  Call call;
  call.serves = argc == 5 && std::strcmp(argv[1], "serve") == 0;
  if (!call.serves && (argc != 7 || std::strcmp(argv[1], "load") != 0)) {
    std::fprintf(stderr, "twinwire-peers: started by `twinwire bench transports`\n");
    return 2;
  }
  call.peer = argv[2];
  call.work.size = number(argv[3]);
  call.work.batch = number(argv[4]);
  if (!call.serves) {
    call.work.time_ns = number(argv[5]);
    call.port = static_cast<std::uint16_t>(number(argv[6]));
  }
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run_peer(call);
  } catch (const Miscounted& damage) {
    std::fprintf(stderr, "twinwire-peers: %s\n", damage.what());
    return 1;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "twinwire-peers: %s %s: %s\n", call.serves ? "serving" : "loading",
                 call.peer.c_str(), failure.what());
    return 6;
  }
}

}  // namespace
}  // namespace twinwire::peers

int main(int argc, char** argv) { return twinwire::peers::peers_main(argc, argv); }
