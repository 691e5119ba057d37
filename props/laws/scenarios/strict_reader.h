// SPDX-License-Identifier: Apache-2.0
// strict_reader: a peer that sends frames which are too small, too large, unknown, cut off or damaged. The reader
// yields what was whole before, names the rest by the right error, drops who violates the protocol, and takes no
// memory for it.
#pragma once

#include <algorithm>
#include <string>

#include "props/laws/registry.h"
#include "props/laws/rude_peer.h"
#include "props/laws/tap.h"
#include "props/laws/told.h"
#include "props/laws/traits.h"
#include "transport/seam.h"

namespace twinwire::laws {

struct StrictReader {
  static constexpr std::string_view name = "strict_reader";
  static constexpr std::string_view summary =
      "a peer that sends bad frames; the reader's checks and errors";

  // What the rude peer sent is what must arrive.
  static void limit_faults(sim::FaultPlan& plan) { plan.off(sim::Site::bit_flip); }

  template <Transport T>
  static void run(Env& env) {
    const RudePlan plan = speaks_websocket<T> ? rude_ws_plan_of(env) : rude_plan_of(env);
    env.tell("rude peer", [&] {
      return "will send " + std::to_string(plan.good_frames) + " good messages, " +
             std::to_string(plan.bytes.size()) +
             " bytes in all; and this rudeness: " + std::string(laws::name(plan.rudeness));
    });
    TapNetwork server(env.node("server"), env.judge(), env.origins());
    TapNetwork peer(env.node("peer"), env.judge(), env.origins());
    Sent sent;
    run_scope(server.scheduler(), [&](Scope& background) {
      typename T::Options options = env.listen_options<T>();
      options.verify_seal = plan.sealed;
      // On one stream for all, what is cut off is not yet wrong.
      if constexpr (requires { options.one_stream; }) options.one_stream = false;
      auto listener = T::listen(server, background, env.bind_address("server"), options);
      if (!env.listens(listener)) return;
      run_scope(server.scheduler(), [&](Scope& ends) {
        const FiberHandle reading = ends.spawn("reader", [&] {
          auto accepted = listener->accept(server.clock().in(accept_patience));
          if (accepted)
            read<T>(env, server, std::move(accepted->first), accepted->second, plan, sent);
        });
        ends.spawn("rude peer", [&, reading] {
          bool connected = false;
          if constexpr (over_datagrams<T>)
            connected = be_rude_in_messages<T>(env, peer, listener->local(), plan);
          else
            connected = be_rude<T>(env, peer, listener->local(), plan, sent);
          (void)server.scheduler().sleep_for(std::chrono::seconds(120));
          // A connection that died in its handshake was never accepted.
          if (!connected || exchanges_at_dial<T>) server.scheduler().cancel(reading);
        });
      });
      background.cancel();
    });
  }

 private:
  // A dial may succeed and the server's part of the handshake fail.
  static constexpr Duration accept_patience = std::chrono::minutes(5);
  // What the rude peer handed to its network.
  struct Sent {
    std::shared_ptr<StreamRecord> record;
    bool everything = false;
  };

  template <Transport T>
  static bool be_rude(Env& env, TapNetwork& network, const Address& server, const RudePlan& plan,
                      Sent& sent) {
    auto stream =
        dial_below_frames<T>(env, network, server, network.clock().in(std::chrono::seconds(10)));
    if (!stream) return false;
    sent.record = network.records().front();
    if (!write_bytes(env, network, **stream, plan.bytes)) return true;
    sent.everything = true;
    if (plan.ends_stream) (void)(*stream)->shutdown_write(Deadline::never());
    // Until the reader has drawn its conclusions.
    for (;;) {
      auto bytes = (*stream)->read(network.clock().in(std::chrono::seconds(60)));
      if (!bytes || bytes->empty()) return true;
    }
  }

  // Each message is what the transport takes for one: a frame, or the bytes that are none.
  template <Transport T>
  static bool be_rude_in_messages(Env& env, Network& network, const Address& server,
                                  const RudePlan& plan) {
    typename T::Options options = env.dial_options<T>();
    if constexpr (requires { options.one_stream; }) options.one_stream = false;
    auto conn = T::dial(network, server, options, network.clock().in(std::chrono::seconds(10)));
    if (!conn) return false;
    auto [reader, writer] = split(std::move(*conn));
    Batch batch;
    for (std::size_t i = 0, at = 0; at < plan.bytes.size(); ++i) {
      const std::size_t size =
          i < plan.good_frames ? HeaderView(plan.bytes.data() + at).size() : plan.bytes.size() - at;
      Block* block = network.buffers().allocate(size);
      if (block == nullptr) return true;
      std::copy_n(plan.bytes.data() + at, size, block->data);
      batch.push(Message(Slice(block, block->data, size)));
      at += size;
    }
    if (!writer.send_batch(batch, network.clock().in(std::chrono::seconds(60)))) return true;
    if (plan.rudeness == Rudeness::none) (void)writer.close(std::chrono::seconds(10));
    (void)reader.read_message(default_max_message, network.clock().in(std::chrono::seconds(60)));
    return true;
  }

  template <Transport T>
  static void read(Env& env, TapNetwork& network, typename T::Conn conn, const Address& peer,
                   const RudePlan& plan, const Sent& sent) {
    const auto record = network.record_of(peer);
    auto [reader, writer] = split(std::move(conn));
    const std::size_t memory_before = network.buffers().bytes_in_use_max();
    Told told(env, "reader");
    std::size_t yielded = 0;
    Error end;
    for (;;) {
      auto message = told.read(reader, plan.max, network.clock().in(std::chrono::seconds(60)));
      if (!message && message.error() == Errc::no_resources &&
          network.scheduler().sleep_for(std::chrono::milliseconds(1)))
        continue;  // no byte is lost
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
    for (int again = 0; again < 2 && (end == Error{Errc::closed} || end == Error{Errc::broken} ||
                                      end == Error{Errc::invalid});
         ++again) {
      auto message = reader.read_message(plan.max, network.clock().in(std::chrono::seconds(60)));
      env.judge().check(!message && message.error() == end, "errors", [&] {
        return "after " + to_string(end) + " the next read_message returned " +
               (message ? "a message" : to_string(message.error()));
      });
    }
    if constexpr (over_datagrams<T>) {
      judge_messages(env, plan, yielded, end);
      judge_memory(env, network, plan, memory_before);
      if (end == Error{Errc::closed}) (void)writer.close(std::chrono::seconds(5));
      return;
    }
    bool everything =
        record->received >= plan.bytes.size() && (!plan.ends_stream || record->end_seen);
    if constexpr (!has_bare_frames<T>)
      everything = sent.everything && record->received >= sent.record->accepted &&
                   (!plan.ends_stream || record->end_seen || end == Error{Errc::closed});
    // Who answers pings may meet the reset by a write, before what lies unread has been judged.
    if (record->write_failed && end == Error{Errc::broken}) everything = false;
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
    judge_memory(env, network, plan, memory_before);
    if (end == Error{Errc::closed}) (void)writer.close(std::chrono::seconds(5));
  }

  // A message that is cut off ends with its stream: whoever sent it has violated the protocol.
  static void judge_messages(Env& env, const RudePlan& plan, std::size_t yielded, Error end) {
    const Errc expected = plan.expected == Errc::closed ? Errc::closed : Errc::invalid;
    if (end == Error{Errc::broken} || end == Error{Errc::timed_out}) return;  // the network failed
    env.judge().check(yielded == plan.good_frames, "prefix", [&] {
      return std::to_string(yielded) + " of " + std::to_string(plan.good_frames) +
             " good frames were yielded";
    });
    env.judge().check(end == Error{expected}, "read_checks", [&] {
      return "after " + std::string(laws::name(plan.rudeness)) + " reading ended with " +
             to_string(end) + ", not " + std::string(twinwire::name(expected));
    });
  }

  static void judge_memory(Env& env, TapNetwork& network, const RudePlan& plan,
                           std::size_t memory_before) {
    if (plan.rudeness == Rudeness::huge)
      env.judge().check(
          network.buffers().bytes_in_use_max() < memory_before + (std::size_t{8} << 20),
          "read_bounded", "memory was taken for a frame before its size was checked");
  }
};

}  // namespace twinwire::laws
