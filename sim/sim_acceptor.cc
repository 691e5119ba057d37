// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_acceptor.h"

#include <algorithm>
#include <cerrno>

#include "sim/lie.h"
#include "sim/sim_network.h"
#include "sim/sim_stream.h"
#include "transport/base/sometimes.h"

namespace twinwire::sim {

SimAcceptor::SimAcceptor(SimNetwork& network, std::uint64_t serial, const Address& bound,
                         const ListenOptions& options, int backlog_asked)
    : network_(&network),
      serial_(serial),
      bound_(bound),
      local_(is_unspecified(bound) ? network.address(bound.port) : bound),
      options_(options),
      backlog_asked_(std::max(backlog_asked, 0)) {
  options_.backlog = std::max(options_.backlog, 0);
  ++network.world().sockets;
}

SimAcceptor::~SimAcceptor() {
  if (network_ == nullptr) return;
  network_->remove(*this);
  for (; !backlog_.empty(); backlog_.pop_front())
    if (!LIE(listener_forgets_waiting)) backlog_.front()->detach(1);
  --network_->world().sockets;
}

void SimAcceptor::sever(bool power) {
  Scheduler& scheduler = network_->scheduler();
  network_->remove(*this);
  for (; !backlog_.empty(); backlog_.pop_front())
    if (!power) backlog_.front()->detach(1);  // else the fabric takes them
  --network_->world().sockets;
  network_ = nullptr;
  waiters_.wake_all(scheduler);
}

void SimAcceptor::dropped_one() noexcept {
  if (filled() > backlog_asked_ || options_.backlog == backlog_asked_) return;
  World& world = network_->world();
  world.decisions().bit(Site::short_backlog);
  if (world.tracing())
    world.tell(network_->name(), "short_backlog: holds " + std::to_string(options_.backlog + 1) +
                                     " connections in place of " +
                                     std::to_string(backlog_asked_ + 1));
  backlog_asked_ = options_.backlog;  // once for each time that it was drawn
}

void SimAcceptor::enqueue(Connection& connection) {
  --opening_;
  backlog_.push_back(&connection);
  waiters_.wake_one(network_->scheduler());
}

Result<std::unique_ptr<ByteStream>> SimAcceptor::accept(Deadline deadline) {
  if (network_ == nullptr) return Errc::canceled;
  World& world = network_->world();
  Scheduler& scheduler = world.scheduler();
  if (const auto refused = scheduler.refuses(deadline)) return *refused;
  while (backlog_.empty()) {
    const Wake wake = waiters_.wait(scheduler, deadline, "a connection to accept");
    if (network_ == nullptr) return Errc::canceled;
    if (wake != Wake::ready && backlog_.empty()) return to_errc(wake);
  }
  if (LIE(accept_newest_first)) std::swap(backlog_.front(), backlog_.back());
  Connection& connection = *backlog_.front();
  const std::string& who = connection.link(0).who();
  const std::uint64_t failure = world.choose(Site::accept_failure, at_node(network_->address()),
                                             connection.entity(), connection.accepts_tried++, 2);
  if (failure != 0) world.decisions().bit(Site::accept_failure);
  if (failure == 2) {
    if (world.tracing()) world.tell(who, "accept fails: out of descriptors");
    return Error{Errc::no_resources, EMFILE};
  }
  backlog_.pop_front();
  if (!backlog_.empty()) waiters_.wake_one(scheduler);
  if (failure == 1) {
    if (world.tracing()) world.tell(who, "accept fails: reset in the backlog");
    connection.detach(1);
    return Error{Errc::broken, ECONNABORTED};
  }
  if (connection.accepts_tried > 1) world.reached(Sometimes::descriptors_out_and_back);
  world.step(Step::accepted, connection.entity(), 0, who, [] { return std::string("accepted"); });
  return std::make_unique<SimStream>(connection, 1);
}

}  // namespace twinwire::sim
