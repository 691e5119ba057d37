// SPDX-License-Identifier: Apache-2.0
// SimShards: the shards of one simulated node, as far as they reach each other: a lane for each pair, in order,
// bounded, and what is on it as late as the seed will have it (Site::mail_delay). Made by the node's program.
//
// All fibers of a World are on one thread. What makes a shard here is that it hears of the others by its mail alone,
// in a fiber of its own, which runs when the seed says. As over threads, a message is lent: counted in a block of its
// own that goes home to its lender, which may take as long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "sim/world.h"
#include "transport/bus/shard_mail.h"
#include "transport/fiber/scope.h"

namespace twinwire::sim {

struct SimShardsOptions {
  std::uint16_t count = 1;
  std::size_t mail_max = 1024;                       // on its way from one shard to one other
  std::size_t loans_max = 4096;                      // messages of one shard that one other holds
  Duration latency = std::chrono::nanoseconds(500);  // of everything, before any fault
};

class SimShards {
 public:
  // Inside a fiber of the node. `world`: nullptr where there is none; then nothing is late. `node`: its name as an
  // entity, and its number.
  SimShards(Scheduler& scheduler, World* world, EntityId node, std::uint32_t ordinal,
            const SimShardsOptions& options);
  SimShards(const SimShards&) = delete;
  SimShards& operator=(const SimShards&) = delete;
  // Aborts unless close() has returned.
  ~SimShards();

  bus::ShardMail& mail(std::uint16_t shard) noexcept;

  // Nothing comes any more: what is on its way is dropped.
  void close();

  // Messages, notices and streams that have not arrived, and messages that have not come home.
  std::size_t on_the_way() const noexcept;
  std::size_t lent() const noexcept;

 private:
  class Office;
  class Mail;
  std::shared_ptr<Office> office_;  // outlived by a message that somebody holds
  std::vector<std::unique_ptr<Mail>> mails_;
  Scope fibers_;
};

}  // namespace twinwire::sim
