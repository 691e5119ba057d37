// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/bus_options.h"

namespace twinwire::bus {

std::string_view problem_with(const BusOptions& options) noexcept {
  const auto positive = [](Duration d) { return d > Duration::zero(); };
  if (options.shards == 0) return "shards is 0: a node has at least one";
  if (options.shards > 1 && options.shard >= options.shards)
    return "shard is not under shards: they are numbered from 0";
  if (options.max_batch == 0) return "max_batch is 0: a batch needs at least one message";
  if (options.max_batch > batch_messages_max)
    return "max_batch is over 512, which is the most that send_batch takes";
  if (options.queue_max == 0) return "queue_max is 0: nothing could ever be sent";
  if (options.handshakes_max == 0) return "handshakes_max is 0: no replica could ever connect";
  if (options.max_message < header_size)
    return "max_message is under 256 bytes, which is the smallest frame";
  if (!positive(options.send_limit) || !positive(options.handshake_limit) ||
      !positive(options.connect_limit) || !positive(options.redial_every) ||
      !positive(options.drain_limit))
    return "a time limit is not positive: nothing could be done within it";
  if (options.redial_jitter < Duration::zero() || options.redial_jitter >= options.redial_every)
    return "redial_jitter is not between 0 and redial_every";
  if (positive(options.silence_max) && !positive(options.heartbeat_every))
    return "heartbeat_every is 0 with a silence_max: replicas that are well and idle would be "
           "dropped";
  if (positive(options.silence_max) && options.silence_max <= options.heartbeat_every)
    return "silence_max is not over heartbeat_every: replicas that are well would be dropped";
  return {};
}

}  // namespace twinwire::bus
