// SPDX-License-Identifier: Apache-2.0
// The end of a bus: stop accepting, drain clients, then replicas, then background work.
#include "transport/base/plant.h"
#include "transport/base/sometimes.h"
#include "transport/bus/bus.h"

namespace twinwire::bus {

void Bus::trigger_shutdown() noexcept {
  if (stopping_) return;
  stopping_ = true;
  token_.set();
  accepting_.cancel();
  handshakes_.cancel_all();
  dials_.cancel_all();
}

ShutdownOutcome Bus::shut_down() {
  if (shut_) return outcome_;
  trigger_shutdown();
  accepting_.join();
  await_shards(ShutdownPhase::sends_over);
  forwards_over_ = true;
  drain(clients_, client_fibers_);
  await_shards(ShutdownPhase::clients_drained);
  drain(replicas_, replica_fibers_);
  await_shards(ShutdownPhase::replicas_drained);
  drain_background();
  listening_.cancel();
  listening_.join();
  if (forwarder_ != nullptr) forwarder_->end();
  shut_ = true;
  return outcome_;
}

// All at once: one that takes its time costs no other its own.
template <class Table>
void Bus::drain(const Table& table, Scope& connections) {
  const Deadline deadline{scheduler_->now() +
                          (PLANT(bus_drain_without_bound) ? 100 : 1) * options_.drain_limit};
  const std::size_t& alive = &connections == &client_fibers_ ? clients_alive_ : replicas_alive_;
  table.for_each([&](Connection& connection) { connection.draining = true; });
  table.for_each([&](Connection& connection) {
    connection.finish(deadline);
    if (PLANT(bus_drain_one_by_one)) await_fewer(alive, deadline);
  });
  await_none(alive, deadline);
  if (alive != 0) scheduler_->reached(Sometimes::bus_forced_drain);
  // Those, too, that are no connection yet, and not counted.
  connections.cancel();
  connections.join();
}

// PLANT(bus_drain_one_by_one): until there is one less.
void Bus::await_fewer(const std::size_t& count, Deadline deadline) {
  for (const std::size_t before = count; count == before;)
    if (ended_.wait(*scheduler_, deadline, "one connection to drain") != Wake::ready) return;
}

// Until there is none left, or the time is up, or this fiber was told to stop.
void Bus::await_none(const std::size_t& count, Deadline deadline) {
  while (count != 0 && ended_.wait(*scheduler_, deadline, "connections to drain") == Wake::ready) {}
}

void Bus::drain_background() {
  await_none(background_alive_, {scheduler_->now() + options_.drain_limit});
  outcome_.background_forced = background_alive_;
  if (background_alive_ != 0) background_.cancel();
  background_.join();
}

void Bus::background_ended() noexcept {
  --background_alive_;
  if (stopping_ && outcome_.background_forced == 0) ++outcome_.background_clean;
  ended_.wake_all(*scheduler_);
}

}  // namespace twinwire::bus
