// SPDX-License-Identifier: Apache-2.0
// Shards: a number of threads, each with a ring of its own, that share nothing and tell each other things.
//
//   std::string why;
//   auto shards = Shards::start({.count = 2}, [&](Shard& shard) {
//     auto acceptor = shard.network().listen(address, {.reuse_port = true});
//     ...                                                    // until canceled, or done
//   }, &why);
//   if (!shards) return fail(why);
//   (*shards)->join();                                       // rethrows what left a body first
//
// Where to read on: docs/shards.md (what may cross), shard.h, handed_over.h, shard_port.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "real/ring_options.h"
#include "real/shard.h"
#include "transport/base/error.h"

namespace twinwire::real {

struct ShardsOptions {
  std::uint32_t count = 1;  // 1 to 1024
  RingOptions ring{};       // of each
  // Shard i stays on the ith of the processors that this process may run on, in turn.
  bool pin = false;
  std::uint32_t mail_max = 1024;   // posts on their way from one shard to one other
  std::uint32_t loans_max = 4096;  // messages of one shard that one other holds
  // Wake by MSG_RING where the kernel has it (Linux 5.18), otherwise by eventfd(2), which is one system call a wake.
  bool ring_messages = true;
};

class Shards {
 public:
  // Starts the threads, and returns once each has its ring. `body` then runs in a fiber on each, at the same time.
  //
  // Promise    A body that has returned leaves its shard to the fibers of its scope(); every thread stays until all
  //            bodies have returned, so that what is on its way has somebody to take it.
  //            `why`, where given, becomes one sentence for a person: what could not be had, and the remedy.
  // Errors     unsupported · no_resources (of a ring, a thread or memory) · invalid (a count or maximum out of range) ·
  //            the errno of eventfd(2) or pthread_setaffinity_np(3). Then no body has run, and no thread is left.
  static Result<std::unique_ptr<Shards>> start(const ShardsOptions& options,
                                               std::function<void(Shard&)> body,
                                               std::string* why = nullptr);
  Shards(const Shards&) = delete;
  Shards& operator=(const Shards&) = delete;
  // stop(), and join() without its exception.
  ~Shards();

  // Tells every body to stop: its fiber is canceled. Never waits. From any thread, any number of times.
  void stop() noexcept;

  // Waits until all threads have ended, and rethrows the first exception that left a body, a fiber of a scope() or a
  // posted function; by it all others were told to stop. From a thread that is no shard.
  void join();

  std::uint32_t count() const noexcept;
  // Of shard `index`, after join().
  const ShardCounters& counters(std::uint32_t index) const noexcept;
  const Counters& ring_counters(std::uint32_t index) const noexcept;

 private:
  explicit Shards(std::unique_ptr<ShardGroup> group) noexcept;
  void join_threads() noexcept;

  std::unique_ptr<ShardGroup> group_;
};

}  // namespace twinwire::real
