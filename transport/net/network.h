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

// Options of sockets. Zero, empty or nullptr leaves a value to the network: in production to the kernel's settings.
//
// An option that the network cannot set fails listen() or dial() with `unsupported`; errno tells why, and nothing is
// left half done. The World takes the buffer sizes, `local` and `backlog`; the others have no meaning there, are
// accepted, and change nothing: it loses no peer without a word, and has one device.

// Of a stream; of a listener's, for the connections that it accepts.
struct StreamOptions {
  // SO_SNDBUF, SO_RCVBUF (socket(7)): bytes, as setsockopt(2) takes them: the kernel doubles them for its own needs and
  // gives no more than net.core.wmem_max and rmem_max, without an error. Set, they stay: else Linux adapts them to the
  // path (tcp_rmem, tcp_wmem), which is the better choice unless memory is what counts.
  std::size_t send_buffer = 0;
  std::size_t receive_buffer = 0;

  // TCP_NODELAY (tcp(7)): a batch leaves at once. Without it its tail may wait for an acknowledgement, 40 ms and more.
  bool no_delay = true;

  // TCP_CONGESTION (tcp(7)), by its name ("reno"). One that paces (bbr) halves what a bulk stream reaches on a local
  // network. The text stays the caller's, and outlives what is made with it.
  const char* congestion = nullptr;

  // SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT (tcp(7)): after `keepalive_idle` without a segment from
  // the peer the kernel asks, again every `keepalive_interval` (its own: 75 s), and fails the stream (`broken`,
  // ETIMEDOUT) when `keepalive_probes` (its own: 9) had no answer. Whole seconds, 1 to 32,767, rounded up; probes 1 to
  // 127. Zero, the default: never. A side that only reads then never learns that its peer lost power.
  Duration keepalive_idle{0};
  Duration keepalive_interval{0};
  int keepalive_probes = 0;

  // TCP_USER_TIMEOUT (tcp(7)): how long what was sent may stay without an acknowledgement before the stream fails
  // (`broken`, ETIMEDOUT). Milliseconds, rounded up. Zero, the default: the kernel's tcp_retries2, about 15 minutes. It
  // counts while something was sent; with keepalive it also takes the place of the number of probes.
  Duration user_timeout{0};

  // SO_BINDTODEVICE (socket(7)): only by way of this network device ("eth0"), whatever the routes say; a listener then
  // hears what arrives there alone. EPERM: once a socket is bound to one, another takes CAP_NET_RAW (before Linux 5.7
  // the first does). ENODEV: there is none of that name. The text stays the caller's, as above.
  const char* device = nullptr;

  // Dial from here; all zero: let the network choose; a port alone: of any address.
  Address local{};
};

struct ListenOptions {
  // listen(2): completed connections that wait for accept; the kernel allows net.core.somaxconn.
  int backlog = 1024;
  StreamOptions stream;
  // IPV6_V6ONLY (ipv6(7)): a listener on :: hears IPv6 alone and leaves the port to another one for IPv4. Off: it hears
  // both, whatever the kernel's default (net.ipv6.bindv6only) is. Means nothing to other addresses.
  bool v6_only = false;
  // SO_REUSEPORT (socket(7)): several listeners of one user may have this address, if all ask for it, and the kernel
  // deals the connections out among them: one for each shard. Off: the second fails (EADDRINUSE).
  bool reuse_port = false;
};

struct DatagramOptions {
  std::size_t send_buffer = 0;  // as for streams
  std::size_t receive_buffer = 0;
  const char* device = nullptr;  // SO_BINDTODEVICE, as for streams
  bool v6_only = false;          // IPV6_V6ONLY, as for listeners
};

class Network {
 public:
  virtual ~Network() = default;

  // Listens on `address` (port 0: any free one). Never suspends. On :: it hears IPv4 as well, unless told otherwise.
  // Errors     unreachable (address in use, not ours, or not permitted; errno tells) · no_resources ·
  //            unsupported (also an option that cannot be had)
  virtual Result<std::unique_ptr<Acceptor>> listen(const Address& address,
                                                   const ListenOptions& options) = 0;

  // Connects to `address`.
  // Suspends   Until the peer's host has answered.
  // Errors     refused · unreachable · timed_out · canceled · broken (reset while connecting) · no_resources ·
  //            unsupported (an option that cannot be had)
  virtual Result<std::unique_ptr<ByteStream>> dial(const Address& address,
                                                   const StreamOptions& options,
                                                   Deadline deadline) = 0;

  // A datagram socket on `address` (port 0: any free one). Never suspends. On :: it speaks IPv4 as well,
  // unless told otherwise.
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
