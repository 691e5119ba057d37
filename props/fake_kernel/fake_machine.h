// SPDX-License-Identifier: Apache-2.0
// FakeMachines: the rings of a run over one fake kernel, each with the fiber that turns it, and the networks of the
// nodes that stand on them. And the law of the end: nothing is in flight, lent or open any more.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "props/fake_kernel/fake_network.h"
#include "props/laws/env.h"
#include "real/ring_core.h"

namespace twinwire::fake {

class FakeMachines final : public laws::Machines {
 public:
  // `rings`: 1, shared by all nodes, or 2: the first node has one of its own.
  FakeMachines(laws::Env& env, const real::RingOptions& options, std::size_t rings);
  FakeMachines(const FakeMachines&) = delete;
  FakeMachines& operator=(const FakeMachines&) = delete;
  // What is still in use where the end was not in order is abandoned.
  ~FakeMachines();

  Network& network_of(std::string_view node, Network& own) override;
  // Turns the rings until stop(): each in a fiber of `scope`.
  void start(Scope& scope);
  void stop();
  // Waits until the kernel has let go of everything, and judges what is left.
  void settle();

  FakeKernel& kernel() noexcept { return kernel_; }

 private:
  struct Machine {
    Machine(FakeKernel& kernel, Scheduler& scheduler, const real::RingOptions& options)
        : core(kernel, scheduler, options) {}
    real::RingCore core;
    bool stopping = false;
  };
  bool is_clean(Machine& machine);
  void judge(const char* what, std::size_t left);

  laws::Env* env_;
  Scheduler* scheduler_;
  FakeKernel kernel_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<std::pair<std::string, std::unique_ptr<FakeNetwork>>> networks_;
};

}  // namespace twinwire::fake
