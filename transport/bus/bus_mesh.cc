// SPDX-License-Identifier: Apache-2.0
// To whom we go: the members with a higher id than ours. At start, and then every few seconds, those who are missing.
#include <new>
#include <vector>

#include "transport/base/plant.h"
#include "transport/bus/bus.h"

namespace twinwire::bus {

Result<void> Bus::join(std::unique_ptr<Dialer> dialer, std::span<const Member> members) {
  std::vector<Member> higher;
  try {
    for (const Member& member : members)
      if (member.id > options_.replica && members_.test(member.id) && dials(member.id))
        higher.push_back(member);
  } catch (const std::bad_alloc&) {
    return Errc::no_resources;
  }
  return spawn_background("bus.mesh", [this, dialer = std::move(dialer),
                                       higher = std::move(higher)] { keep_mesh(*dialer, higher); });
}

void Bus::keep_mesh(Dialer& dialer, std::span<const Member> members) {
  do {
    for (const Member& member : members)
      if ((!has_connection(member.id) || PLANT(bus_dials_connected)) && !dialing_.test(member.id))
        start_dial(dialer, member);
    if (PLANT(bus_dials_once)) (void)token_.wait(Deadline::never());
  } while (!token_.wait(network_->clock().in(until_redial()), "the next look at the mesh") &&
           !scheduler_->cancel_pending());
  // A dial in progress uses the dialer; the trigger has told them all to stop.
  const CancelShield shield(*scheduler_);
  while (dialing_.any()) (void)ended_.wait(*scheduler_, Deadline::never(), "the last dial");
}

// Not all nodes of a cluster, started by one command, look at once.
Duration Bus::until_redial() noexcept {
  const std::uint64_t jitter = static_cast<std::uint64_t>(options_.redial_jitter.count());
  const auto drawn = static_cast<std::int64_t>(network_->random().below(2 * jitter + 1));
  return options_.redial_every - options_.redial_jitter + Duration(drawn);
}

void Bus::start_dial(Dialer& dialer, const Member& member) {
  const auto fiber =
      replica_fibers_.try_spawn("bus.dial", [this, &dialer, member] { dial(dialer, member); });
  if (!fiber) return refuse(Plane::replicas, member.address, "no fiber to dial it", fiber.error());
  dialing_.set(member.id);
}

void Bus::dial(Dialer& dialer, const Member& member) {
  Result<std::unique_ptr<ReplicaLink>> link = Errc::canceled;
  Result<ReplicaId> proven = Errc::canceled;
  {
    const HandshakeGate::Pass inside(dials_);
    ++counters_.dials;
    if (!stopping_)
      link = dialer.dial(*network_, member.address, network_->clock().in(options_.connect_limit));
    if (link)
      proven = (*link)->authenticate_dialer(*network_, member.id,
                                            network_->clock().in(options_.handshake_limit));
    else
      proven = link.error();
  }
  dialing_.reset(member.id);
  ended_.wake_all(*scheduler_);
  if (scheduler_->cancel_pending()) proven = Errc::canceled;
  if (proven && *proven == member.id) return serve(**link, PeerId::of(member.id), member.address);
  ++counters_.dials_failed;
  if (proven) ++counters_.unexpected;
  refuse(Plane::replicas, member.address, proven ? "is not whom we dialed" : "could not be dialed",
         proven ? Error{Errc::refused, 0} : proven.error());
}

}  // namespace twinwire::bus
