// SPDX-License-Identifier: Apache-2.0
#include "props/fake_kernel/fake_machine.h"

namespace twinwire::fake {

FakeMachines::FakeMachines(laws::Env& env, const real::RingOptions& options, std::size_t rings)
    : env_(&env), scheduler_(&env.world()->scheduler()), kernel_(*env.world(), env.judge()) {
  for (std::size_t i = 0; i < rings; ++i) {
    machines_.push_back(std::make_unique<Machine>(kernel_, *scheduler_, options));
    const int error = machines_.back()->core.open(options);
    TWINWIRE_CHECK(error == 0, "a ring could not be opened on the fake kernel");
  }
}

FakeMachines::~FakeMachines() {
  // Its destructor aborts where something is left, and a law has said so already.
  for (auto& machine : machines_)
    if (!is_clean(*machine)) (void)machine.release();
}

Network& FakeMachines::network_of(std::string_view node, Network& own) {
  for (const auto& [name, network] : networks_)
    if (name == node) return *network;
  Machine& machine = networks_.empty() ? *machines_.front() : *machines_.back();
  networks_.emplace_back(
      std::string(node),
      std::make_unique<FakeNetwork>(kernel_, machine.core, own, env_->bind_address(node)));
  return *networks_.back().second;
}

void FakeMachines::start(Scope& scope) {
  for (auto& each : machines_)
    scope.spawn("ring", [this, machine = each.get()] {
      // A thread that turns a ring cannot be told to stop by its fibers.
      CancelShield shield(*scheduler_);
      while (!machine->stopping) {
        const std::uint64_t runs = scheduler_->runs();
        const bool starved =
            machine->core.receive_buffers().lent() >= machine->core.options().receive_buffers_max;
        machine->core.turn(Duration::max());
        if (starved) kernel_.note_starved(machine->core);
        if (scheduler_->runs() == runs) scheduler_->yield();  // as a ring's scheduler does between
      }
    });
}

void FakeMachines::stop() {
  for (auto& machine : machines_) machine->stopping = true;
  kernel_.interrupt_all();
}

bool FakeMachines::is_clean(Machine& machine) {
  return machine.core.operations().in_flight() == 0 && machine.core.receive_buffers().lent() == 0 &&
         machine.core.small_receive_buffers().lent() == 0;
}

void FakeMachines::judge(const char* what, std::size_t left) {
  env_->judge().check(left == 0, "ring_left",
                      [&] { return std::to_string(left) + " " + what + " at the end"; });
}

void FakeMachines::settle() {
  CancelShield shield(*scheduler_);
  const auto busy = [&] {
    std::size_t sum = kernel_.in_flight();
    for (auto& machine : machines_) sum += machine->core.operations().in_flight();
    return sum != 0;
  };
  for (int patience = 0; busy() && patience < 1000; ++patience)
    (void)scheduler_->sleep_for(std::chrono::milliseconds(10));
  for (auto& machine : machines_) {
    judge("operations are in flight", machine->core.operations().in_flight());
    judge("receive buffers are lent", machine->core.receive_buffers().lent());
    judge("small receive buffers are lent", machine->core.small_receive_buffers().lent());
  }
  judge("operations are known to the kernel alone", kernel_.in_flight());
  judge("descriptors are open", kernel_.descriptors_open());
}

}  // namespace twinwire::fake
