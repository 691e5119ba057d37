// SPDX-License-Identifier: Apache-2.0
// Fixed work for callgrind: so many batches through the transport over a stream that is memory, and through copies of
// the send path that call the stream virtually and directly. run.py takes the difference of two lengths.
//
//   transport_cost WHAT BATCH SIZE ROUNDS
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>

#include "props/cost/memory_network.h"
#include "props/cost/still_stream.h"
#include "transport/bus/dealt_plane.h"
#include "transport/tcp/tcp.h"

namespace twinwire::cost {
namespace {

struct Work {
  std::size_t batch = 0;
  std::size_t size = 0;
  std::uint64_t rounds = 0;
};

void require(bool done) {
  if (done) return;
  std::fprintf(stderr, "the work was not done\n");
  std::exit(1);
}

Message message(BufferPool& pool, std::size_t size) {
  auto made = MutableMessage::create(pool, Command::request, size - header_size);
  require(made.has_value());
  return std::move(*made).freeze();
}

void fill(Batch& batch, const Message& one, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) batch.push(one);
}

// --- The transport -------------------------------------------------------------------------------------------------

void send(MemoryNetwork& network, FramedConn conn, const Work& work) {
  auto [reader, writer] = split(std::move(conn));
  const Message one = message(network.buffers(), work.size);
  Batch batch(work.batch);
  for (std::uint64_t i = 0; i < work.rounds; ++i) {
    fill(batch, one, work.batch);
    require(writer.send_batch(batch, Deadline::never()).has_value());
  }
}

// What send() does besides sending.
void fill_only(MemoryNetwork& network, FramedConn conn, const Work& work) {
  auto [reader, writer] = split(std::move(conn));
  const Message one = message(network.buffers(), work.size);
  Batch batch(work.batch);
  for (std::uint64_t i = 0; i < work.rounds; ++i) {
    fill(batch, one, work.batch);
    batch.clear();
  }
}

void read_batch(MemoryNetwork&, FramedConn conn, const Work& work) {
  auto [reader, writer] = split(std::move(conn));
  Batch batch(work.batch);
  for (std::uint64_t got = 0; got < work.rounds * work.batch; got += batch.size()) {
    batch.clear();
    require(reader.read_batch(batch, default_max_message, Deadline::never()).has_value());
  }
}

void read_message(MemoryNetwork&, FramedConn conn, const Work& work) {
  auto [reader, writer] = split(std::move(conn));
  for (std::uint64_t got = 0; got < work.rounds * work.batch; ++got)
    require(reader.read_message(default_max_message, Deadline::never()).has_value());
}

// --- The seam alone: FramedWriter's way from a batch to the stream, for any stream ---------------------------------

// As MemoryStream, called directly and not inlined: what is left of a call if the seam were static.
class DirectStream {
 public:
  explicit DirectStream(MemoryStream& stream) noexcept : stream_(&stream) {}
  [[gnu::noinline]] Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) {
    return stream_->MemoryStream::write(pieces, deadline);
  }

 private:
  MemoryStream* stream_;
};
// The same with everything inlined.
class InlinedStream {
 public:
  explicit InlinedStream(MemoryStream& stream) noexcept : stream_(&stream) {}
  [[gnu::always_inline]] Result<std::size_t> write(std::span<const iovec> pieces,
                                                   Deadline deadline) {
    return stream_->MemoryStream::write(pieces, deadline);
  }

 private:
  MemoryStream* stream_;
};
// And virtually, through an interface that the compiler cannot see through.
class VirtualStream {
 public:
  explicit VirtualStream(MemoryStream& stream) noexcept : stream_(&stream) {}
  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) {
    ByteStream* stream = stream_;
    asm volatile("" : "+r"(stream));
    return stream->write(pieces, deadline);
  }

 private:
  ByteStream* stream_;
};

template <class Stream>
[[gnu::noinline]] Result<void> send_through(Stream& stream, Batch& batch, Deadline deadline) {
  std::array<iovec, batch_messages_max> pieces;
  std::size_t count = 0;
  std::size_t total = 0;
  for (const Message& message : batch.messages()) {
    pieces[count++] = {const_cast<std::byte*>(message.bytes().data()), message.size()};
    total += message.size();
  }
  const auto written = stream.write(std::span(pieces).first(count), deadline);
  if (!written) return written.error();
  require(*written == total);  // this stream takes everything
  batch.clear();
  return {};
}

template <class Stream>
void seam(MemoryNetwork& network, FramedConn, const Work& work) {
  MemoryStream memory(work.size, work.size);
  Stream stream(memory);
  const Message one = message(network.buffers(), work.size);
  Batch batch(work.batch);
  for (std::uint64_t i = 0; i < work.rounds; ++i) {
    fill(batch, one, work.batch);
    require(send_through(stream, batch, Deadline::never()).has_value());
  }
}

// --- The bus: what a call of send_to_* costs, apart from what its peer's writer does afterwards --------------------

class Silent final : public bus::BusHandler {
 public:
  void on_client_messages(bus::ClientId, std::span<const Message>) override {}
  void on_replica_messages(bus::ReplicaId, std::span<const Message>) override {}
};

// Calls send(bus, message) that often, `batch` times between two turns of the writer. No time passes here, so that
// nothing could end in order: the process ends instead.
template <class Send>
void call_bus(MemoryNetwork& network, const Work& work, bool takes, bool succeeds, Send&& send) {
  Silent handler;
  bus::BusOptions options;
  options.replica = 9;
  options.members = {1};
  options.queue_max = work.batch;
  options.silence_max = options.heartbeat_every = Duration::zero();
  auto made = bus::Bus::create(network, options, handler);
  require(made.has_value());
  bus::Bus& bus = **made;
  auto link = bus::tcp_link(network, std::make_unique<StillStream>(network.scheduler(), takes), {});
  require(link.has_value() && bus.adopt(std::move(*link), {}).has_value());
  require(bus.open(std::make_unique<StillReplica>(network, 1)).has_value());
  while (bus.clients() + bus.replicas() != 2) network.scheduler().yield();
  const Message one = message(network.buffers(), work.size);
  for (std::uint64_t i = 0; !succeeds && i < 4 * work.batch; ++i) {
    Message filler = one;
    (void)send(bus, filler);
    network.scheduler().yield();
  }
  for (std::uint64_t i = 0; i < work.rounds; ++i) {
    for (std::size_t n = 0; n < work.batch; ++n) {
      Message next = one;
      require(send(bus, next).has_value() == succeeds);
    }
    while (succeeds && bus.counters().sent != bus.counters().queued) network.scheduler().yield();
  }
  std::printf("%llu blocks taken from the pool\n",
              static_cast<unsigned long long>(network.buffers().allocations()));
  std::fflush(stdout);
  std::_Exit(0);
}

Result<void> to_client(bus::Bus& bus, Message& message) {
  return bus.send_to_client(bus::ClientId::of(0, 1), message);
}
void bus_client(MemoryNetwork& network, FramedConn, const Work& work) {
  call_bus(network, work, true, true, to_client);
}
void bus_replica(MemoryNetwork& network, FramedConn, const Work& work) {
  call_bus(network, work, true, true,
           [](bus::Bus& bus, Message& message) { return bus.send_to_replica(1, message); });
}
void bus_refused(MemoryNetwork& network, FramedConn, const Work& work) {
  call_bus(network, work, false, false, to_client);
}

struct Kind {
  std::string_view name;
  void (*run)(MemoryNetwork&, FramedConn, const Work&);
};
constexpr Kind kinds[] = {
    {"send", &send},
    {"fill", &fill_only},
    {"read_batch", &read_batch},
    {"read_message", &read_message},
    {"seam_virtual", &seam<VirtualStream>},
    {"seam_direct", &seam<DirectStream>},
    {"seam_inlined", &seam<InlinedStream>},
    {"bus_client", &bus_client},
    {"bus_replica", &bus_replica},
    {"bus_refused", &bus_refused},
};

int main_of(int argc, char** argv) {
  if (argc != 5) return 2;
  const Work work{.batch = std::strtoul(argv[2], nullptr, 10),
                  .size = std::strtoul(argv[3], nullptr, 10),
                  .rounds = std::strtoull(argv[4], nullptr, 10)};
  for (const Kind& kind : kinds) {
    if (kind.name != argv[1]) continue;
    MemoryNetwork network;
    network.run([&] {
      auto stream = std::make_unique<MemoryStream>(work.size, work.size * work.batch);
      auto conn = FramedConn::over(network, std::move(stream), {});
      require(conn.has_value());
      kind.run(network, std::move(*conn), work);
      std::printf("%llu blocks taken from the pool\n",
                  static_cast<unsigned long long>(network.buffers().allocations()));
    });
    return 0;
  }
  return 2;
}

}  // namespace
}  // namespace twinwire::cost

int main(int argc, char** argv) { return twinwire::cost::main_of(argc, argv); }
