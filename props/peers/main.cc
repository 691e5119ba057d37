// SPDX-License-Identifier: Apache-2.0
// twinwire-peers: other people's libraries doing the work of `twinwire bench transports`, which starts it:
//
//   twinwire-peers serve PEER SIZE BATCH            prints "port N", serves one connection
//   twinwire-peers load PEER SIZE BATCH NS PORT     prints what was measured
//   twinwire-peers version                          prints what it is linked with
//
// and of `twinwire bench real` (props/peers/real/):
//
//   twinwire-peers real-serve PEER KIND SIZE BATCH CONNECTIONS DEPTH
//   twinwire-peers real-load PEER KIND SIZE BATCH CONNECTIONS DEPTH NS PORT
//   twinwire-peers real-list                        prints a line for each: name, kinds of work, what it is
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>

#include <algorithm>
#include <boost/version.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>

#include "props/peers/peer.h"
#include "props/peers/real/engines.h"

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

int run_real_peer(const RealCall& call) {
  for (const RealPeer& peer : real_peers) {
    if (call.peer != peer.name) continue;
    peer.run(call);
    return 0;
  }
  return 2;
}

// False: no such call.
bool parse_real_call(std::span<char*> words, RealCall& call) {
  call.serves = words.size() == 7 && std::strcmp(words[0], "real-serve") == 0;
  if (!call.serves && (words.size() != 9 || std::strcmp(words[0], "real-load") != 0)) return false;
  call.peer = words[1];
  const auto* kind = std::ranges::find(real_kind_names, words[2]);
  if (kind == std::end(real_kind_names)) return false;
  call.work = {.kind = static_cast<RealKind>(kind - real_kind_names),
               .size = number(words[3]),
               .batch = number(words[4]),
               .connections = number(words[5]),
               .depth = number(words[6])};
  if (!call.serves) {
    call.work.time_ns = number(words[7]);
    call.port = static_cast<std::uint16_t>(number(words[8]));
  }
  const RealWork& work = call.work;
  return work.size >= header_size && work.batch > 0 && work.connections > 0 && work.depth > 0;
}

// What `run` throws, said as one sentence.
int guarded(bool serves, const std::string& peer, const std::function<int()>& run) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run();
  } catch (const Miscounted& damage) {
    std::fprintf(stderr, "twinwire-peers: %s\n", damage.what());
    return 1;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "twinwire-peers: %s %s: %s\n", serves ? "serving" : "loading",
                 peer.c_str(), failure.what());
    return 6;
  }
}

int peers_main(int argc, char** argv) {
  if (argc == 2 && std::strcmp(argv[1], "version") == 0) {
    std::printf("Boost %d.%d, GnuTLS %s, ngtcp2 %s\n", BOOST_VERSION / 100000,
                BOOST_VERSION / 100 % 1000, gnutls_check_version(nullptr),
                ngtcp2_version(0)->version_str);
    return 0;
  }
  if (argc == 2 && std::strcmp(argv[1], "real-list") == 0) {
    for (const RealPeer& peer : real_peers)
      std::printf("%s\t%s\t%s\n", peer.name, peer.kinds, peer.what);
    return 0;
  }
  if (argc > 1 && std::strncmp(argv[1], "real-", 5) == 0) {
    RealCall call;
    if (!parse_real_call({argv + 1, argv + argc}, call)) return 2;
    return guarded(call.serves, call.peer, [&] { return run_real_peer(call); });
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
  return guarded(call.serves, call.peer, [&] { return run_peer(call); });
}

}  // namespace
}  // namespace twinwire::peers

int main(int argc, char** argv) { return twinwire::peers::peers_main(argc, argv); }
