// SPDX-License-Identifier: Apache-2.0
// Node: a simulated machine: its kernel's ports, its disk, and the program that runs on it, from incarnation to
// incarnation.
//
// A program that was given to run() can be killed, lose power, and be made to stand still: by a fault of the plan
// (crash, power_loss, pause), or by a test. A node that nobody gave a program never fails: whose fibers would end?
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/disk.h"
#include "sim/ports.h"
#include "sim/sim_network.h"
#include "sim/world.h"
#include "transport/fiber/fiber_group.h"

namespace twinwire::sim {

class Node final : public FiberGroup {
 public:
  using Program = std::function<void(SimNetwork&)>;

  Node(World& world, Fabric& fabric, std::string_view name, std::size_t ordinal);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();

  // Runs it, in a fiber of its own; again, with a new network, whenever a fault has ended it; until it ends by itself,
  // or the caller is canceled. Every fiber that it makes is of this node. Once at a time.
  void run(const Program& program);

  const std::string& name() const noexcept { return name_; }
  // Of the present incarnation. One that is severed, while the node is down.
  SimNetwork& network() noexcept { return *incarnations_.back(); }
  std::size_t incarnations() const noexcept { return incarnations_.size(); }
  Disk& disk() noexcept { return disk_; }
  bool running() noexcept { return running_ != nullptr && !network().severed(); }

  // --- What can happen to it, while it runs ----------------------------------------------------------------------
  // It is severed first, so that whatever its fibers call is `canceled` and without effect; then they are told to stop,
  // and unwind. The program is started again once they have, and `down` is over.

  // Its kernel lives: each connection ends with FIN behind what was written, or with RST where something was unread.
  void crash(Duration down);
  // Its kernel is gone, too: silence; what is sent to it before it is back is lost. Then RST.
  void lose_power(Duration down);
  // Its fibers do not run; its kernel goes on.
  void pause(Duration length);

  // Somebody saw that its clock is wrong.
  void clock_seen_wrong() noexcept;
  // A fiber of it is about to run: an occasion for the faults of a node.
  void on_run() noexcept {
    if (may_fail_) draw_fault();
  }

 private:
  struct Wakeup final : EventSource {
    explicit Wakeup(Node& n) noexcept : node(&n) {}
    void fire() override { node->resume(); }
    Node* node;
  };
  // A fault that the plan puts at an instant.
  struct Appointment final : EventSource {
    Appointment(Node& n, std::size_t r) noexcept : node(&n), rule(r) {}
    void fire() override { node->keep(rule); }
    Node* node;
    std::size_t rule;
  };

  void draw_fault();
  void keep(std::size_t rule);
  void strike(Site site, Duration length);
  void take_down(Duration down, bool power);
  void resume();
  void tell_fault(Site site, Duration length);
  Place place() const noexcept;

  World* world_;
  Fabric* fabric_;
  std::string name_;
  std::size_t ordinal_;
  NodePorts ports_;
  Disk disk_;
  std::vector<std::unique_ptr<SimNetwork>> incarnations_;
  Scope* running_ = nullptr;  // the fibers of the program
  bool may_fail_ = false;
  bool ran_ = false;
  bool drift_bit_ = false;
  std::uint64_t occasions_ = 0;
  std::uint64_t downs_ = 0;
  TimePoint up_at_{0};
  Wakeup wakeup_{*this};
  std::deque<Appointment> appointments_;
};

}  // namespace twinwire::sim
