// SPDX-License-Identifier: Apache-2.0
// Scripts of ports through the byte seam: in the World, and on the Ring.
#include "props/oracle/port_ground.h"
#include "props/oracle/private_network.h"
#include "props/oracle/seam_runner.h"
#include "real/ring.h"
#include "real/ring_network.h"
#include "sim/sim_network.h"
#include "transport/base/check.h"

namespace twinwire::oracle {
namespace {

class SeamPortStream final : public PortStream {
 public:
  SeamPortStream(std::unique_ptr<ByteStream> stream, Network& network, const Pace& pace)
      : stream_(std::move(stream)), network_(network), pace_(pace) {}
  Address local() const override { return stream_->local(); }
  Address peer() const override { return stream_->peer(); }
  Result<void> end() override { return stream_->shutdown_write(network_.clock().in(pace_.moment)); }
  PortOutcome read() override {
    std::byte byte{};
    const auto n = stream_->read_into({&byte, 1}, network_.clock().in(pace_.moment));
    if (n) return {.kind = *n == 0 ? Kind::end : Kind::ok};
    if (n.error() == Errc::timed_out) return {.kind = Kind::blocked};
    return {.kind = Kind::error, .error = n.error()};
  }

 private:
  std::unique_ptr<ByteStream> stream_;
  Network& network_;
  Pace pace_;
};

class SeamPortListener final : public PortListener {
 public:
  SeamPortListener(std::unique_ptr<Acceptor> acceptor, Network& network, const Pace& pace)
      : acceptor_(std::move(acceptor)), network_(network), pace_(pace) {}
  Address local() const override { return acceptor_->local(); }
  Result<std::unique_ptr<PortStream>> accept() override {
    auto accepted = acceptor_->accept(network_.clock().in(pace_.moment));
    if (!accepted) return accepted.error();
    return std::make_unique<SeamPortStream>(std::move(*accepted), network_, pace_);
  }

 private:
  std::unique_ptr<Acceptor> acceptor_;
  Network& network_;
  Pace pace_;
};

class SeamPortGround final : public PortGround {
 public:
  SeamPortGround(Network& network, const Places& places, std::uint16_t ports_from, const Pace& pace)
      : network_(network), places_(places), ports_from_(ports_from), pace_(pace) {}
  Places places() const override { return places_; }
  std::uint16_t ports_from() const override { return ports_from_; }
  void settle() override { (void)network_.scheduler().sleep_for(settle_time); }
  Result<std::unique_ptr<PortListener>> listen(const Address& address) override {
    auto acceptor = network_.listen(address, {.backlog = 8});
    if (!acceptor) return acceptor.error();
    return std::make_unique<SeamPortListener>(std::move(*acceptor), network_, pace_);
  }
  Result<std::unique_ptr<PortStream>> dial(const Address& to, const Address& from) override {
    auto stream = network_.dial(to, {.local = from}, network_.clock().in(dial_time));
    if (!stream) return stream.error();
    return std::make_unique<SeamPortStream>(std::move(*stream), network_, pace_);
  }

 private:
  // Far less than the minute for which a port lingers, however many there are.
  static constexpr Duration settle_time = std::chrono::microseconds(200);
  static constexpr Duration dial_time = std::chrono::milliseconds(100);

  Network& network_;
  Places places_;
  std::uint16_t ports_from_;
  Pace pace_;
};

}  // namespace

PortOutcomes run_ports_in_world(const PortScript& script) {
  static StackPool stacks;
  sim::WorldOptions options;
  options.latency = world_pace.hop;
  sim::World world(options, stacks);
  sim::SimNetwork& node = world.add_node("a");
  Places places;
  places.own4 = node.address();
  places.own6 = node.address6();
  places.nobody4 = Address::v4(10, 0, 77, 77, 0);
  PortOutcomes outcomes;
  const sim::RunReport report = world.run([&](Scope&) {
    SeamPortGround ground(node, places, 4000, world_pace);
    outcomes = run_ports(script, ground);
  });
  TWINWIRE_CHECK(report.ending == sim::Ending::finished && report.leaked_sockets == 0 &&
                     report.leaked_buffers == 0,
                 "a script leaves nothing behind");
  return outcomes;
}

PortOutcomes run_ports_on_ring(const PortScript& script) {
  const std::uint16_t ports_from = fresh_ports().value();
  auto ring = real::Ring::create({});
  PortOutcomes outcomes;
  {
    real::RingNetwork network(*ring.value());
    Scope root((*ring)->scheduler());
    root.spawn("script", [&] {
      SeamPortGround ground(network, loopback_places(), ports_from, ring_pace);
      outcomes = run_ports(script, ground);
    });
    (void)(*ring)->scheduler().run();
    root.rethrow_failure();
  }
  return outcomes;
}

}  // namespace twinwire::oracle
