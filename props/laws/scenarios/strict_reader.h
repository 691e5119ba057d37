// SPDX-License-Identifier: Apache-2.0
// strict_reader: a peer that sends frames which are too small, too large, unknown, cut off or damaged. The reader
// yields what was whole before, names the rest by the right error, drops who violates the protocol, and takes no
// memory for it.
#pragma once

#include <string>

#include "props/laws/rude_peer.h"
#include "props/laws/tap.h"
#include "props/laws/traits.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct StrictReader {
  static constexpr std::string_view name = "strict_reader";
  static constexpr std::string_view summary =
      "a peer that sends bad frames; the reader's checks and errors";

  template <Transport T>
  static void run(Env& env) {
    const RudePlan plan = stream_is_frames<T>() ? rude_plan_of(env) : rude_ws_plan_of(env);
    env.note("rude peer", laws::name(plan.rudeness));
    TapNetwork server(env.node("server"), env.judge());
    Network& peer = env.node("peer");
    run_scope(server.scheduler(), [&](Scope& background) {
      typename T::Options options = env.listen_options<T>();
      options.verify_seal = plan.sealed;
      auto listener = T::listen(server, background, env.bind_address("server"), options);
      if (!env.judge().check(listener.has_value(), "accept", "nobody could listen")) return;
      run_scope(server.scheduler(), [&](Scope& ends) {
        const FiberHandle reading = ends.spawn("reader", [&] {
          auto accepted = listener->accept(Deadline::never());
          if (accepted) read<T>(env, server, std::move(accepted->first), accepted->second, plan);
        });
        ends.spawn("rude peer", [&, reading] {
          const bool connected = be_rude(env, peer, listener->local(), plan);
          (void)server.scheduler().sleep_for(std::chrono::seconds(120));
          // A connection that died in its handshake was never accepted.
          if (!connected || handshake_at_dial<T>()) server.scheduler().cancel(reading);
        });
      });
      background.cancel();
    });
  }

 private:
  static bool be_rude(Env& env, Network& network, const Address& server, const RudePlan& plan) {
    auto stream = network.dial(server, {}, network.clock().in(std::chrono::seconds(10)));
    if (!stream) return false;
    if (!write_bytes(env, network, **stream, plan.bytes)) return true;
    if (plan.ends_stream) (void)(*stream)->shutdown_write(Deadline::never());
    // Until the reader has drawn its conclusions.
    for (;;) {
      auto bytes = (*stream)->read(network.clock().in(std::chrono::seconds(60)));
      if (!bytes || bytes->empty()) return true;
    }
  }

  template <Transport T>
  static void read(Env& env, TapNetwork& network, typename T::Conn conn, const Address& peer,
                   const RudePlan& plan) {
    const auto record = network.record_of(peer);
    auto [reader, writer] = split(std::move(conn));
    const std::size_t memory_before = network.buffers().bytes_in_use_max();
    std::size_t yielded = 0;
    Error end;
    for (;;) {
      auto message = reader.read_message(plan.max, network.clock().in(std::chrono::seconds(60)));
      if (!message) {
        end = message.error();
        break;
      }
      ++yielded;
      env.judge().check(yielded <= plan.good_frames, "read_checks", [&] {
        return "a frame that must be refused was yielded (" +
               std::string(laws::name(plan.rudeness)) + ")";
      });
    }
    const bool everything =
        record->received >= plan.bytes.size() && (!plan.ends_stream || record->end_seen);
    if (!everything && !(end == Error{Errc::invalid})) return;  // the network failed first
    env.judge().check(yielded == plan.good_frames, "prefix", [&] {
      return std::to_string(yielded) + " of " + std::to_string(plan.good_frames) +
             " good frames were yielded";
    });
    const std::string_view law = plan.expected == Errc::invalid ? "read_checks" : "read_end";
    env.judge().check(end == Error{plan.expected}, law, [&] {
      return "after " + std::string(laws::name(plan.rudeness)) + " reading ended with " +
             to_string(end) + ", not " + std::string(twinwire::name(plan.expected));
    });
    if (end == Error{Errc::invalid})
      env.judge().check(record->aborted, "read_checks",
                        "a peer that violated the protocol was not dropped");
    if (plan.rudeness == Rudeness::huge)
      env.judge().check(
          network.buffers().bytes_in_use_max() < memory_before + (std::size_t{8} << 20),
          "read_bounded", "memory was taken for a frame before its size was checked");
    if (end == Error{Errc::closed}) (void)writer.close(std::chrono::seconds(5));
  }
};

}  // namespace twinwire::laws
