// SPDX-License-Identifier: Apache-2.0
// Who is who on the bus: replicas by a byte, clients by 128 bits that tell which shard owns them.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace twinwire::bus {

using ReplicaId = std::uint8_t;
inline constexpr std::size_t replicas_max = 256;

// The top 16 bits are the shard that owns the client's connection; the rest is a sequence from 1. Never used twice in
// the life of a bus: a connection is a client, and who connects anew is a new one.
struct ClientId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  static constexpr ClientId of(std::uint16_t shard, std::uint64_t sequence) noexcept {
    return {std::uint64_t{shard} << 48, sequence};
  }
  constexpr std::uint16_t shard() const noexcept { return static_cast<std::uint16_t>(high >> 48); }
  friend constexpr auto operator<=>(const ClientId&, const ClientId&) noexcept = default;
};

enum class Plane : std::uint8_t { clients, replicas };

// A peer of either plane; the id of the other one means nothing.
struct PeerId {
  Plane plane = Plane::clients;
  ReplicaId replica = 0;
  ClientId client;

  static constexpr PeerId of(ReplicaId id) noexcept { return {Plane::replicas, id, {}}; }
  static constexpr PeerId of(ClientId id) noexcept { return {Plane::clients, 0, id}; }
};

}  // namespace twinwire::bus
