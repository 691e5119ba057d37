// SPDX-License-Identifier: Apache-2.0
// FakeKernel: plays Linux under a ring, inside a World. The code above it is the ring's own (real/); its sockets are
// simulated, its time is virtual, and whatever a kernel may choose is drawn from the World's decisions. As a sanitizer
// it reports what that code must not do: touch memory that is lent, use a descriptor that is closed, provide a buffer
// twice, have two operations in one direction of a socket.
//
// Where to read on: fake_file.h (sockets), fake_ring.h (the queues), fake_operation.h, fake_execution.cc (what each
// operation does), fake_network.h (the Network that stands on it); docs/ring_under_test.md.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "props/fake_kernel/fake_file.h"
#include "props/fake_kernel/fake_operation.h"
#include "props/fake_kernel/fake_ring.h"
#include "props/laws/judge.h"
#include "real/kernel.h"
#include "real/ring_core.h"
#include "sim/world.h"
#include "transport/net/network.h"

namespace twinwire::fake {

class FakeKernel final : public real::Kernel, private sim::LastLook {
 public:
  // One kernel of a world at a time. World and judge outlive it.
  FakeKernel(sim::World& world, laws::Judge& judge);
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;
  ~FakeKernel();

  int set_up(unsigned entries, io_uring& ring, io_uring_params& params) noexcept override;
  void tear_down(io_uring& ring) noexcept override;
  bool supports(io_uring& ring, int operation) noexcept override;
  int register_buffers(io_uring& ring, io_uring_buf_reg& request) noexcept override;
  int poll(io_uring& ring) noexcept override;
  // Suspends the fiber that calls it: in a World only fibers wait.
  int wait(io_uring& ring, Duration timeout) noexcept override;
  void close(int fd) noexcept override { close_file(fd, false); }
  void close_with_reset(int fd) noexcept override { close_file(fd, true); }
  int shutdown_write(int fd) noexcept override;
  Address local_address(int fd) noexcept override;
  Address peer_address(int fd) noexcept override;

  // --- System calls that do not go through a ring ------------------------------------------------------------------

  // socket(2); a negative errno.
  int open_socket();
  // bind(2) and listen(2); an errno.
  int listen(int fd, const Address& address, int backlog, const StreamOptions& options);
  // What connect(2) needs: the socket's own address, of which the kernel chooses the port.
  void bind(int fd, const Address& address, const StreamOptions& options);

  // --- For whoever looks on ----------------------------------------------------------------------------------------

  FakeFile* file(int fd) noexcept;
  std::size_t descriptors_open() const noexcept;
  std::size_t in_flight(const FakeFile& file, Direction direction) const noexcept;
  std::size_t in_flight() const noexcept;
  FakeFile* stream_between(const Address& local, const Address& remote) noexcept;
  // Until now every receive buffer of `ring` was lent out: whoever waited for one had to.
  void note_starved(const real::RingCore& ring);
  // When that was last so; the beginning of time where it never was.
  TimePoint starved_until(const real::RingCore& ring) const noexcept;
  // Ends every wait(): with EINTR.
  void interrupt_all() noexcept;
  sim::World& world() noexcept { return *world_; }
  laws::Judge& judge() noexcept { return *judge_; }

  void on_due(FakeOperation& operation);
  void on_answer(LateAnswer& answer);

 private:
  FakeRing& find(const io_uring& ring) noexcept;
  void forget(FakeRing& ring) noexcept;
  bool look() noexcept override;
  std::uint64_t choose(sim::Site site, FakeFile& file, std::uint64_t bound = UINT64_MAX);
  void bit(sim::Site site) noexcept { world_->decisions().bit(site); }
  void violate(std::string_view law, std::string detail) {
    judge_->violate(law, std::move(detail));
  }

  void refuse(const char* what);

  // fake_kernel.cc: descriptors
  FakeFile& make_file();
  int install(FakeFile& file);
  void close_file(int fd, bool reset) noexcept;
  void release_unused(FakeFile& file);
  void reset_both(FakeFile& file);
  FakeFile* listener_at(const Address& address) noexcept;
  void note(FakeFile& file) noexcept;

  // fake_enter.cc: submission, cancellation, completion
  int enter(FakeRing& ring);
  void submit(FakeRing& ring, const io_uring_sqe& request);
  void cancel(FakeRing& ring, const io_uring_sqe& request);
  void cancel_now(FakeOperation& operation);
  void answer_later(FakeRing& ring, FakeFile& file, std::uint64_t user_data, std::int32_t result);
  void post(FakeOperation& operation, std::int32_t result, std::uint32_t flags);
  void finish(FakeOperation& operation, std::int32_t result, std::uint32_t flags);
  void look_at_buffers(FakeRing& ring);
  void kick(FakeRing& ring) noexcept;

  // fake_execution.cc: what an operation does
  bool is_ready(const FakeOperation& operation) noexcept;
  void poke(FakeFile& file, Direction direction);
  void poke_all_connects();
  void consider(FakeOperation& operation);
  void execute(FakeOperation& operation);
  void execute_send(FakeOperation& operation);
  void execute_receive(FakeOperation& operation);
  void execute_accept(FakeOperation& operation);
  void execute_connect(FakeOperation& operation);
  bool goes_on(FakeOperation& operation);
  void notify_later(FakeOperation& operation);

  sim::World* world_;
  laws::Judge* judge_;
  EntityId entity_;
  std::vector<std::unique_ptr<FakeFile>> files_;
  std::vector<FakeFile*> descriptors_;  // from first_descriptor on
  std::vector<std::unique_ptr<FakeRing>> rings_;
  std::uint64_t rings_made_ = 0;
  std::uint64_t missing_ = 0;  // of the ring that is being set up
  bool setting_up_ = false;
  std::uint16_t next_port_ = 40000;
  std::vector<std::pair<const real::RingCore*, TimePoint>> starved_;
};

}  // namespace twinwire::fake
