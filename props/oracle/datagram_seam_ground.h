// SPDX-License-Identifier: Apache-2.0
// The ground of a datagram script on networks of the seam: in the World, and on the Ring.
#pragma once

#include <array>

#include "props/oracle/datagram_runner.h"
#include "props/oracle/seam_runner.h"

namespace twinwire::oracle {

class DatagramSeamGround final : public DatagramGround {
 public:
  // `scope` is for those who wait. The two networks may be the same.
  DatagramSeamGround(std::array<Network*, 2> networks, std::array<Places, 2> places,
                     const Pace& pace, Scope& scope)
      : networks_(networks), places_(places), pace_(pace), scope_(scope) {}

  Places places(unsigned host) const override { return places_[host]; }
  std::uint16_t ports(unsigned) const override { return 4000; }
  Result<std::unique_ptr<DatagramSocket>> bind(unsigned host, const Address& address,
                                               const DatagramOptions& options) override {
    return networks_[host]->bind(address, options);
  }
  void hop() override { pause(pace_.hop); }
  void settle() override { pause(pace_.settle); }
  Deadline moment() override { return networks_[0]->clock().in(pace_.moment); }
  Deadline past() override { return networks_[0]->clock().in(Duration(-1)); }

  void begin(std::size_t socket, Receive receive) override;
  void stop(std::size_t socket) override;
  void let_waiting_go_on() override;

 private:
  struct Waiting {
    bool active = false;
    bool done = false;
    FiberHandle fiber;
  };
  void pause(Duration time) { (void)networks_[0]->scheduler().sleep_for(time); }

  std::array<Network*, 2> networks_;
  std::array<Places, 2> places_;
  Pace pace_;
  Scope& scope_;
  std::array<Waiting, datagram_sockets> waiting_;
};

}  // namespace twinwire::oracle
