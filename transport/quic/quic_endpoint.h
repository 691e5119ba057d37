// SPDX-License-Identifier: Apache-2.0
// QuicEndpoint: a datagram socket and the connections on it, found by connection id. One fiber receives. A listener's
// endpoint serves all its connections; a dialer's serves one. Private to transport/quic/.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/accept_stage.h"
#include "transport/fiber/wait_queue.h"
#include "transport/net/network.h"
#include "transport/quic/quic_conn.h"
#include "transport/quic/quic_engine.h"

namespace twinwire {

// What a network's accessors returned. The network itself may be gone before the endpoint is.
struct QuicServices {
  Scheduler* scheduler;
  Clock* clock;
  Random* random;
  BufferPool* buffers;
  Scope* background;
};

class QuicEndpoint final : public std::enable_shared_from_this<QuicEndpoint> {
 public:
  // Errors     as Network::bind, and no_resources
  static Result<std::shared_ptr<QuicEndpoint>> open(Network& network, const Address& local,
                                                    const QuicOptions& options);
  QuicEndpoint(const QuicServices& services, const QuicOptions& options,
               std::shared_ptr<DatagramSocket> socket);

  // --- Dialling and listening --------------------------------------------------------------------------------------

  Result<QuicConn> dial(const Address& remote, Deadline deadline);
  void listen(FiberHandle watch) noexcept;
  void stop_listening() noexcept;  // abandons unfinished handshakes, drops what nobody accepted
  Result<std::pair<QuicConn, Address>> accept(Deadline deadline);
  const AcceptCounters& counters() const noexcept { return counters_; }
  std::size_t unfinished() const noexcept { return unfinished_.size(); }

  // --- For connections ---------------------------------------------------------------------------------------------

  const QuicServices& services() const noexcept { return services_; }
  const QuicSecret& secret() const noexcept { return secret_; }
  Address local() const noexcept { return local_; }
  // What Datagram::local is to be for packets from `local`.
  Address source(const Address& local) const noexcept;
  // Hands datagrams to the socket. What it does not take is lost, as datagrams may be. False: canceled,
  // here or in who receives.
  bool send(std::span<const Datagram> datagrams, QuicConnection& connection);
  // A dialer's: from now on a socket at `local` sends and receives in place of the one before, if the engine agrees.
  // Errors     as Network::bind and QuicEngine::migrate
  Result<void> move_to(Network& network, const Address& local, QuicEngine& engine);
  void route(const QuicCid& cid, QuicConnection& connection);
  void unroute(const QuicCid& cid) noexcept {
    latest_ = nullptr;
    routes_.erase(cid);
    remember(cid);
  }
  void forget(QuicConnection& connection) noexcept;
  void joined() noexcept { ++connections_; }
  void left(QuicConnection& connection) noexcept;  // its pump has ended
  void ready(std::shared_ptr<QuicConnection> connection);
  void handshake_failed(QuicConnection& connection, const Error& error,
                        std::string_view cause) noexcept;

 private:
  Result<void> receive_from(std::shared_ptr<DatagramSocket> socket);
  void receive_all(const std::shared_ptr<DatagramSocket>& socket);
  void take(const ReceivedDatagram& datagram, std::span<const std::byte> bytes);
  void begin(const QuicPath& path, Ecn ecn, QuicInitial initial, std::span<const std::byte> bytes);
  void answer(const QuicPath& path, std::span<const std::byte> packet);
  // Of a datagram that can neither belong to a connection nor begin one, for the log.
  void turn_away(const Address& peer, std::string_view why) noexcept;
  bool told(const Address& peer) const noexcept;  // of that one it was, a short time ago
  void remember(const QuicCid& gone) noexcept;
  bool was_here(const QuicCid& cid) const noexcept;
  bool make_room() noexcept;
  void close_if_unused() noexcept;
  bool is_dialer() const noexcept { return !ever_listened_; }

  QuicServices services_;
  QuicOptions options_;
  std::shared_ptr<DatagramSocket> socket_;
  Address local_;
  QuicSecret secret_;
  std::map<QuicCid, QuicConnection*> routes_;
  // The connection of the latest packet with a short header, and its id: mostly that of the next one, too.
  QuicConnection* latest_ = nullptr;
  std::array<std::byte, quic_cid_size> latest_cid_{};
  std::size_t connections_ = 0;  // with a pump
  FiberHandle receiver_;
  bool receiving_ = false;

  bool listening_ = false;
  bool ever_listened_ = false;
  FiberHandle watch_;
  std::deque<std::shared_ptr<QuicConnection>> unfinished_;  // oldest first
  std::deque<std::shared_ptr<QuicConnection>> ready_;
  WaitQueue arrivals_;
  AcceptCounters counters_;

  // Whose datagram was turned away last; it is not told again until then.
  Address stranger_;
  TimePoint stranger_until_{INT64_MIN};
  // Of a listener: the latest ids that led somewhere, by their beginning.
  std::vector<std::uint64_t> gone_;
  std::size_t gone_next_ = 0;
};

}  // namespace twinwire
