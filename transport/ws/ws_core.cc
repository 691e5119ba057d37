// SPDX-License-Identifier: Apache-2.0
#include "transport/ws/ws_core.h"

#include <new>

#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/ws/ws_conn.h"
#include "transport/ws/ws_handshake.h"

namespace twinwire {
namespace {

Result<WsCore*> make_core(Network& network, std::unique_ptr<ByteStream> stream, ws::Role role,
                          const WsOptions& options, Slice behind) {
  auto* core = new (std::nothrow) WsCore(network, std::move(stream), role, options);
  if (core == nullptr) return Errc::no_resources;
  core->decoder.feed(std::move(behind));
  return core;
}

}  // namespace

WsCore::WsCore(Network& network, std::unique_ptr<ByteStream> s, ws::Role r,
               const WsOptions& options) noexcept
    : scheduler(network.scheduler()),
      clock(network.clock()),
      random(network.random()),
      buffers(network.buffers()),
      background(network.background()),
      stream(std::move(s)),
      role(r),
      ping_interval(options.ping_interval),
      ping_timeout(options.ping_timeout),
      decoder(network.buffers(), r, options.verify_seal) {}

Result<void> WsCore::start() noexcept {
  if (auto pump = spawn("ws.in", [](WsCore& core) { core.run_pump(); }); !pump) return pump;
  if (ping_interval <= Duration::zero()) return {};
  return spawn("ws.keepalive", [](WsCore& core) { core.run_keepalive(); });
}

void WsCore::wake_everybody() noexcept {
  arrivals.wake_all(scheduler);
  room.wake_all(scheduler);
  turns.wake_all(scheduler);
  ends.wake_all(scheduler);
  over.wake_all(scheduler);
}

void WsCore::drop(Error why, bool after_inbox) noexcept {
  if (dropped_) return;  // the first reason stays, for both halves
  // Of a fiber of the connection's own, whom the network's end told to stop. No user was.
  if (after_inbox && why == Errc::canceled) why = {Errc::broken, 0};
  if (!write_error) write_error = why;
  const Error seen{why.code == Errc::invalid ? Errc::invalid : Errc::broken, why.os_errno};
  if (after_inbox) {
    if (!inbound_end) inbound_end = seen;
  } else if (!read_error && !PLANT(ws_reader_sleeps_when_dropped)) {
    read_error = seen;
    inbox.clear();
  }
  dropped_ = true;
  if (stream != nullptr && !PLANT(wss_drop_leaves_the_stream)) stream->abort();
  if (PLANT(ws_reader_sleeps_when_dropped)) return;
  wake_everybody();
}

void WsCore::violate(std::uint16_t code) noexcept {
  if (violated || dropped_) return;
  violated = true;
  if (!spawn("ws.farewell", [code](WsCore& core) { core.farewell(code); }))
    drop({Errc::invalid, 0}, true);
}

ws::MaskKey WsCore::mask_key() noexcept {
  ws::MaskKey key;
  random.fill(key);
  return key;
}

WsHalf::~WsHalf() {
  if (core_ == nullptr) return;
  const bool read_to_end = role_ == Role::reader && core_->read_error == Error{Errc::closed, 0};
  if (!core_->closing && !read_to_end) core_->drop({Errc::broken, 0});
  core_->let_go();
}

Result<WsConn> WsConn::connect(Network& network, std::unique_ptr<ByteStream> stream,
                               const WsOptions& options, Deadline deadline) {
  auto behind = ws::upgrade_as_client(*stream, options, network.random(), deadline);
  if (!behind) return behind.error();
  if (!behind->empty()) network.scheduler().reached(Sometimes::ws_bytes_behind_upgrade);
  auto core = make_core(network, std::move(stream), ws::Role::client, options, std::move(*behind));
  if (!core) return core.error();
  WsConn conn(*core);
  if (auto started = (*core)->start(); !started) return started.error();
  return conn;
}

Result<WsConn> WsConn::accept(Network& network, std::unique_ptr<ByteStream> stream,
                              const WsOptions& options, HandshakeTerms terms) {
  auto behind = ws::upgrade_as_server(*stream, options, network.clock(), terms);
  if (!behind) return behind.error();
  if (!behind->empty()) network.scheduler().reached(Sometimes::ws_bytes_behind_upgrade);
  auto core = make_core(network, std::move(stream), ws::Role::server, options, std::move(*behind));
  if (!core) return core.error();
  WsConn conn(*core);
  if (auto started = (*core)->start(); !started) return started.error();
  if (!options.accept_after_first_message) return conn;
  auto first = conn.await_first_message(options.first_message_max, terms.deadline);
  if (first) return conn;
  if (first.error() == Errc::closed || first.error() == Errc::broken)
    terms.explain("it ended the connection before its first message was whole");
  if (first.error() == Errc::invalid)
    terms.explain("it sent what is no message, or one that is too large to begin with");
  return first.error();
}

}  // namespace twinwire
