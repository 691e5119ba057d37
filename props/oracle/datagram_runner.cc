// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/datagram_runner.h"

#include <algorithm>
#include <deque>

#include "props/oracle/script.h"

namespace twinwire::oracle {
namespace {

constexpr std::uint16_t unused_port = 50;  // after the first

class DatagramRunner {
 public:
  DatagramRunner(const DatagramScript& script, DatagramGround& ground)
      : script_(script), ground_(ground) {}

  DatagramOutcomes run() {
    DatagramOutcomes outcomes;
    for (const DatagramStep& each : script_.steps) {
      outcomes.push_back(step(each));
      ground_.let_waiting_go_on();
    }
    for (std::uint8_t i = 0; i < datagram_sockets; ++i) stop(i);
    for (Socket& socket : sockets_) socket.socket.reset();
    ground_.settle();
    return outcomes;
  }

 private:
  struct Sent {
    std::vector<std::byte> bytes;
    std::uint8_t from;
    std::uint16_t from_port;
    std::uint16_t to_port;
    bool received = false;
  };
  struct Socket {
    std::unique_ptr<DatagramSocket> socket;
    std::uint16_t port = 0;  // stays when it is closed
    std::deque<Got> stash;   // that came with a batch, and nobody asked for yet
    bool waits = false;
    std::size_t wanted = 0;  // by whoever waits
    DatagramOutcome waited_for;
  };

  DatagramOutcome step(const DatagramStep& step) {
    if (step.op == DatagramOp::hop) return ground_.hop(), DatagramOutcome{};
    if (step.op == DatagramOp::settle) return ground_.settle(), DatagramOutcome{};
    Socket& socket = sockets_[step.socket];
    if (step.op == DatagramOp::bind) return bind(socket, step);
    if (socket.socket == nullptr) return {};
    switch (step.op) {
      case DatagramOp::send:
      case DatagramOp::send_late: return send(socket, step);
      case DatagramOp::receive:
        if (socket.waits) return {};
        return receive(socket, step.count);
      case DatagramOp::begin_receive: return begin(socket, step);
      case DatagramOp::await_receive: {
        if (!socket.waits) return {};
        stop(step.socket);
        return socket.waited_for;
      }
      default:
        if (socket.waits) return {};
        socket.socket.reset();
        socket.stash.clear();
        return DatagramOutcome::of(Kind::ok);
    }
  }

  DatagramOutcome bind(Socket& socket, const DatagramStep& step) {
    if (socket.socket != nullptr) return {};
    const unsigned host = host_of(script_, step.socket);
    const std::uint16_t port = step.port == 0
                                   ? std::uint16_t{0}
                                   : static_cast<std::uint16_t>(ground_.ports(host) + step.port);
    const Address address = ground_.places(host).at(step.place, port);
    auto bound =
        ground_.bind(host, address, {.receive_buffer = script_.receive_buffer[step.socket]});
    if (!bound) return DatagramOutcome::of(bound.error());
    // By chance the kernel may give a free port that another socket has on another address.
    const auto is_known = [&](const Socket& other) { return other.port == (*bound)->local().port; };
    while (port == 0 && std::ranges::any_of(sockets_, is_known)) {
      auto another =
          ground_.bind(host, address, {.receive_buffer = script_.receive_buffer[step.socket]});
      if (!another) return DatagramOutcome::of(another.error());
      bound = std::move(another);
    }
    socket.socket = std::move(*bound);
    socket.port = socket.socket->local().port;
    DatagramOutcome outcome = DatagramOutcome::of(Kind::ok);
    const auto place = ground_.places(host).of(socket.socket->local());
    // Where "any" is bound the World tells the node's address.
    if (!is_any(step.place)) outcome.bound = place ? name(*place) : "?";
    if (socket.port == 0 || (port != 0 && socket.port != port)) outcome.bound += ", another port";
    return outcome;
  }

  Address target(const DatagramStep& step) const {
    const unsigned host = host_of(script_, step.socket);
    std::uint16_t port = 0;
    if (step.to < datagram_sockets) port = sockets_[step.to].port;
    if (step.to == to_nobodys_port || (step.to < datagram_sockets && port == 0))
      port = static_cast<std::uint16_t>(ground_.ports(host) + unused_port);
    return ground_.places(host).at(step.place, port);
  }

  DatagramOutcome send(Socket& socket, const DatagramStep& step) {
    const unsigned host = host_of(script_, step.socket);
    std::vector<std::vector<std::byte>> contents;
    std::vector<Datagram> datagrams;
    for (std::uint8_t i = 0; i < step.count; ++i) {
      const bool other = step.last_size != 0 && i > 0 && i + 1 == step.count;
      std::vector<std::byte> bytes(other ? step.last_size : step.size);
      ++written_;
      for (std::size_t at = 0; at < bytes.size(); ++at) bytes[at] = byte_of(written_, 0, at);
      contents.push_back(std::move(bytes));
    }
    for (const auto& content : contents) {
      Datagram datagram{.remote = target(step),
                        .ecn = step.ecn,
                        .segment_size = step.segment_size,
                        .bytes = content};
      if (step.source != Place::any6)
        datagram.local = ground_.places(host).at(step.source, socket.port);
      datagrams.push_back(datagram);
    }
    const bool late = step.op == DatagramOp::send_late;
    const auto taken = socket.socket->send(datagrams, late ? ground_.past() : ground_.moment());
    if (!taken) return failed(taken.error());
    for (std::size_t i = 0; i < *taken; ++i) note(socket, step, contents[i]);
    return DatagramOutcome::of(Kind::ok, static_cast<std::uint32_t>(*taken));
  }

  // Into the books. Whose it becomes is found out by who gets it: a port may change hands meanwhile.
  void note(const Socket& from, const DatagramStep& step, std::span<const std::byte> content) {
    const std::size_t part =
        step.segment_size != 0 ? step.segment_size : std::max<std::size_t>(content.size(), 1);
    std::size_t at = 0;
    do {
      const std::size_t size = std::min(part, content.size() - at);
      const auto first = content.begin() + static_cast<std::ptrdiff_t>(at);
      sent_.push_back({{first, first + static_cast<std::ptrdiff_t>(size)},
                       step.socket,
                       from.port,
                       target(step).port});
      at += size;
    } while (at < content.size());
  }

  static DatagramOutcome failed(const Error& error) {
    if (error == Errc::timed_out || error == Errc::canceled)
      return DatagramOutcome::of(Kind::blocked);
    return DatagramOutcome::of(error);
  }

  // One call; what it brings goes to the stash.
  Result<void> fetch(Socket& socket, Deadline deadline) {
    auto batch = socket.socket->receive(deadline);
    if (!batch) return batch.error();
    for (const ReceivedDatagram& datagram : *batch) {
      const std::span<const std::byte> bytes(datagram.bytes.data(), datagram.bytes.size());
      const std::size_t part = datagram.segment_size != 0 ? datagram.segment_size
                                                          : std::max<std::size_t>(bytes.size(), 1);
      std::size_t at = 0;
      do {
        const std::size_t size = std::min(part, bytes.size() - at);
        socket.stash.push_back(got(socket, datagram, bytes.subspan(at, size)));
        at += size;
      } while (at < bytes.size());
    }
    return {};
  }

  Got got(Socket& socket, const ReceivedDatagram& datagram, std::span<const std::byte> bytes) {
    const auto self = static_cast<std::uint8_t>(&socket - sockets_.data());
    const Places places = ground_.places(host_of(script_, self));
    Got got{.size = static_cast<std::uint32_t>(bytes.size()),
            .ecn = datagram.ecn,
            .remote = places.of(datagram.remote),
            .local = places.of(datagram.local),
            .intact = false};
    for (std::size_t i = 0; i < sent_.size(); ++i) {
      Sent& sent = sent_[i];
      // Empty ones are told apart by who sent them, and to whom.
      const bool ways = sent.from_port == datagram.remote.port && sent.to_port == socket.port &&
                        (script_.one_host || host_of(script_, sent.from) != host_of(script_, self));
      if (sent.received || !ways || !std::ranges::equal(sent.bytes, bytes)) continue;
      sent.received = true;
      got.serial = static_cast<std::uint32_t>(i);
      got.from = sent.from;
      got.intact = datagram.local.port == socket.port;
      return got;
    }
    return got;
  }

  DatagramOutcome receive(Socket& socket, std::size_t wanted) {
    DatagramOutcome outcome = DatagramOutcome::of(Kind::ok);
    while (outcome.got.size() < wanted) {
      if (socket.stash.empty()) {
        if (const auto fetched = fetch(socket, ground_.moment()); !fetched) {
          DatagramOutcome why = failed(fetched.error());
          why.got = std::move(outcome.got);
          return why;
        }
      }
      outcome.got.push_back(socket.stash.front());
      socket.stash.pop_front();
    }
    return outcome;
  }

  DatagramOutcome begin(Socket& socket, const DatagramStep& step) {
    if (socket.waits) return {};
    socket.waits = true;
    socket.wanted = step.count;
    socket.waited_for = DatagramOutcome::of(Kind::blocked);
    ground_.begin(step.socket, [this, &socket](Deadline deadline) {
      DatagramOutcome& outcome = socket.waited_for;
      while (outcome.got.size() < socket.wanted) {
        if (socket.stash.empty()) {
          if (const auto fetched = fetch(socket, deadline); !fetched) {
            const std::vector<Got> got = std::move(outcome.got);
            outcome = failed(fetched.error());
            outcome.got = got;
            return outcome.kind != Kind::blocked;
          }
        }
        outcome.got.push_back(socket.stash.front());
        socket.stash.pop_front();
      }
      outcome.kind = Kind::ok;
      return true;
    });
    return DatagramOutcome::of(Kind::ok);
  }

  void stop(std::uint8_t socket) {
    if (!sockets_[socket].waits) return;
    ground_.stop(socket);
    sockets_[socket].waits = false;
  }

  const DatagramScript& script_;
  DatagramGround& ground_;
  std::array<Socket, datagram_sockets> sockets_;
  std::vector<Sent> sent_;
  std::size_t written_ = 0;
};

}  // namespace

DatagramOutcomes run_datagrams(const DatagramScript& script, DatagramGround& ground) {
  return DatagramRunner(script, ground).run();
}

}  // namespace twinwire::oracle
