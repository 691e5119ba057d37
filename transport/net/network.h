// SPDX-License-Identifier: Apache-2.0
// Network: all that a transport may know of the outside, handed in by the caller. No global, no "current world".
//
// Two implementations: SimNetwork (sim/, one per simulated node) and RingNetwork (real/, one per ring).
#pragma once

#include <cstddef>
#include <memory>

#include "transport/fiber/scope.h"
#include "transport/net/address.h"
#include "transport/net/byte_stream.h"
#include "transport/net/clock.h"
#include "transport/net/datagram_socket.h"
#include "transport/net/random.h"
#include "transport/wire/buffer_pool.h"

namespace twinwire {

// 0 leaves a value to the network (in production: to the kernel's settings).
struct StreamOptions {
  std::size_t send_buffer = 0;     // SO_SNDBUF, in bytes as setsockopt(2) takes them
  std::size_t receive_buffer = 0;  // SO_RCVBUF
  bool no_delay = true;            // TCP_NODELAY: a batch leaves at once
  // TCP_CONGESTION, by its name ("reno"); nullptr: the network's own. The World has none. One that paces (bbr) halves
  // what a bulk stream reaches on a local network.
  const char* congestion = nullptr;
  Address
      local{};  // dial from here; all zero: let the network choose; a port alone: of any address
};

struct ListenOptions {
  int backlog = 1024;    // completed connections that wait for accept (listen(2))
  StreamOptions stream;  // for accepted connections
};

struct DatagramOptions {
  std::size_t send_buffer = 0;
  std::size_t receive_buffer = 0;
};

class Network {
 public:
  virtual ~Network() = default;

  // Listens on `address` (port 0: any free one). Never suspends. On :: it hears IPv4 as well.
  // Errors     unreachable (address in use, not ours, or not permitted; errno tells) · no_resources · unsupported
  virtual Result<std::unique_ptr<Acceptor>> listen(const Address& address,
                                                   const ListenOptions& options) = 0;

  // Connects to `address`.
  // Suspends   Until the peer's host has answered.
  // Errors     refused · unreachable · timed_out · canceled · broken (reset while connecting) · no_resources
  virtual Result<std::unique_ptr<ByteStream>> dial(const Address& address,
                                                   const StreamOptions& options,
                                                   Deadline deadline) = 0;

  // A datagram socket on `address` (port 0: any free one). Never suspends. On :: it speaks IPv4 as well.
  // Errors     unreachable (address in use or not ours) · no_resources · unsupported
  virtual Result<std::unique_ptr<DatagramSocket>> bind(const Address& address,
                                                       const DatagramOptions& options) = 0;

  // Where a connection's own fibers live: the pumps of transports whose protocol works while nobody reads or sends.
  // They end by themselves soon after both halves of their connection are gone. So this network is destroyed after
  // Scheduler::run() has returned, not by a fiber; and where one network wraps another (a test's), they outlive the
  // wrapper: a pump keeps what these accessors return, and no reference to the Network.
  virtual Scope& background() noexcept = 0;

  virtual Scheduler& scheduler() noexcept = 0;
  virtual Clock& clock() noexcept = 0;
  virtual Random& random() noexcept = 0;
  virtual BufferPool& buffers() noexcept = 0;
};

}  // namespace twinwire
