// SPDX-License-Identifier: Apache-2.0
// The ground of a datagram script on the kernel.
#include <array>
#include <chrono>
#include <thread>

#include "props/oracle/datagram_runner.h"
#include "props/oracle/kernel_datagram.h"

namespace twinwire::oracle {
namespace {

class DatagramKernelGround final : public DatagramGround {
 public:
  explicit DatagramKernelGround(HeldWire* wire) : wire_(wire) {
    if (wire == nullptr) {
      places_ = loopback_places();
      return;
    }
    places_.own4 = near_host;
    places_.far4 = far_host;
    places_.nobody4 = Address::v4(10, 9, 0, 77, 0);
    places_.own6 = places_.far6 = loopback_places().far6;  // no script with two hosts has these
  }

  Places places(unsigned) const override { return places_; }
  std::uint16_t ports(unsigned host) const override {
    return static_cast<std::uint16_t>(4000 + 100 * host);
  }
  Result<std::unique_ptr<DatagramSocket>> bind(unsigned, const Address& address,
                                               const DatagramOptions& options) override {
    return KernelDatagram::bind(address, options, buffers_);
  }
  void hop() override {
    if (wire_ != nullptr) wire_->hop();
    let_waiting_go_on();
  }
  void settle() override {
    if (wire_ != nullptr) wire_->settle();
    let_waiting_go_on();
  }
  Deadline moment() override { return Deadline::never(); }
  Deadline past() override { return {TimePoint{}}; }

  void begin(std::size_t socket, Receive receive) override {
    waiting_[socket] = std::move(receive);
  }
  void stop(std::size_t socket) override { waiting_[socket] = nullptr; }
  void let_waiting_go_on() override {
    for (Receive& receive : waiting_)
      if (receive != nullptr && receive(Deadline::never())) receive = nullptr;
  }

 private:
  HeldWire* wire_;
  Places places_;
  BufferPool buffers_;
  std::array<Receive, datagram_sockets> waiting_;
};

}  // namespace

DatagramOutcomes run_datagrams_on_wire(const DatagramScript& script, HeldWire& wire) {
  DatagramKernelGround ground(&wire);
  return run_datagrams(script, ground);
}

DatagramOutcomes run_datagrams_on_loopback(const DatagramScript& script) {
  DatagramKernelGround ground(nullptr);
  return run_datagrams(script, ground);
}

}  // namespace twinwire::oracle
