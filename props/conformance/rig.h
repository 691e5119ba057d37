// SPDX-License-Identifier: Apache-2.0
// A connected pair of a transport's ends, tapped, in whichever world: what every conformance case starts from.
#pragma once

#include <string>
#include <utility>

#include "props/laws/env.h"
#include "props/laws/registry.h"
#include "props/laws/tap.h"
#include "props/laws/traits.h"
#include "props/laws/witness.h"
#include "transport/seam.h"

namespace twinwire::props {

using laws::Env;

// One end: its halves and what its network saw.
template <Transport T>
struct End {
  typename T::Reader reader;
  typename T::Writer writer;
  Network* network;
  laws::StreamRecord* record;

  Deadline in(Duration d) const { return network->clock().in(d); }
};

// Whether the connection was reset, as far as its byte stream shows; of datagrams the peer's reader tells.
template <Transport T>
bool dropped(const End<T>& end) {
  return end.record->aborted || end.record->datagrams;
}

struct RigOptions {
  std::size_t send_buffer = 0;
  std::size_t receive_buffer = 0;
};

// Connects a client to a server and runs `body(client, server)`, each an End<T>, in one fiber; what it does at the same
// time it spawns. A case that cannot even connect fails.
template <Transport T, class Body>
void with_pair(Env& env, const RigOptions& rig, Body&& body) {
  laws::TapNetwork server(env.node("server"), env.judge());
  laws::TapNetwork client(env.node("client"), env.judge());
  Scheduler& scheduler = server.scheduler();
  run_scope(scheduler, [&](Scope& background) {
    typename T::Options options = env.listen_options<T>();
    options.stream.send_buffer = rig.send_buffer;
    options.stream.receive_buffer = rig.receive_buffer;
    typename T::Options dialing = env.dial_options<T>();
    dialing.stream = options.stream;
    auto listener = T::listen(server, background, env.bind_address("server"), options);
    if (!env.judge().check(listener.has_value(), "conformance", "cannot listen")) return;
    auto conn =
        T::dial(client, listener->local(), dialing, client.clock().in(std::chrono::seconds(5)));
    auto accepted = listener->accept(server.clock().in(std::chrono::seconds(5)));
    if (env.judge().check(conn.has_value() && accepted.has_value(), "conformance",
                          "cannot connect")) {
      auto near = split(std::move(*conn));
      auto far = split(std::move(accepted->first));
      End<T> client_end{std::move(near.first), std::move(near.second), &client,
                        client.records().front().get()};
      End<T> server_end{std::move(far.first), std::move(far.second), &server,
                        server.record_of(accepted->second).get()};
      client_end.record->pieces = laws::pieces_of<T>(true);
      server_end.record->pieces = laws::pieces_of<T>(false);
      body(client_end, server_end);
    }
    background.cancel();
  });
}

inline void push(Env& env, laws::Witness& witness, Network& network, Batch& batch,
                 std::size_t count, std::size_t body) {
  for (std::size_t i = 0; i < count; ++i) {
    auto message = witness.make(network.buffers(), body);
    if (env.judge().check(message.has_value(), "conformance", "no memory for a message"))
      batch.push(std::move(*message));
  }
}

// Records a failed expectation; the text says which.
inline bool expect(Env& env, bool ok, std::string_view what) {
  return env.judge().check(ok, "conformance", std::string(what));
}

inline constexpr std::size_t any_size = default_max_message;

}  // namespace twinwire::props
