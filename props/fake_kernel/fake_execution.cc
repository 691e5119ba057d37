// SPDX-License-Identifier: Apache-2.0
// What each operation of the fake kernel does, when its file is ready and its time has come.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "props/fake_kernel/fake_kernel.h"
#include "real/socket_address.h"
#include "sim/run_hash.h"

namespace twinwire::fake {

using sim::Site;

bool FakeKernel::is_ready(const FakeOperation& operation) noexcept {
  if (operation.opcode != IORING_OP_CONNECT) return operation.file->is_ready(operation.direction());
  const FakeFile* listener = listener_at(operation.target);
  return listener == nullptr || listener->backlog.size() < listener->backlog_max;
}

// The file changed in that direction: whoever waits for that goes on.
void FakeKernel::poke(FakeFile& changed, Direction direction) {
  note(changed);
  const auto waiting = changed.waiting(direction);  // a copy: those that end leave the list
  for (FakeOperation* operation : waiting) consider(*operation);
}

void FakeKernel::poke_all_connects() {
  for (std::size_t r = 0; r < rings_.size(); ++r)
    for (std::size_t i = 0; i < rings_[r]->operations.size(); ++i)
      if (rings_[r]->operations[i]->opcode == IORING_OP_CONNECT)
        consider(*rings_[r]->operations[i]);
}

void FakeKernel::consider(FakeOperation& operation) {
  while (operation.state == FakeOperation::State::waiting && is_ready(operation)) {
    if (const std::uint64_t later = choose(Site::ring_delay, *operation.file); later != 0) {
      bit(Site::ring_delay);
      if (world_->tracing())
        world_->tell("kernel", "ring_delay: the " + std::string(operation.name()) + " takes " +
                                   std::to_string(later) + " ns");
      operation.state = FakeOperation::State::due;
      return world_->schedule(operation,
                              world_->now() + Duration(static_cast<std::int64_t>(later)));
    }
    execute(operation);
  }
}

void FakeKernel::on_due(FakeOperation& operation) {
  if (operation.state == FakeOperation::State::notifying)
    return finish(operation, 0, IORING_CQE_F_NOTIF);
  operation.state = FakeOperation::State::waiting;
  if (operation.dying && (operation.multishot || !is_ready(operation)))
    return cancel_now(operation);
  if (is_ready(operation)) execute(operation);
  consider(operation);
}

void FakeKernel::execute(FakeOperation& operation) {
  if (operation.opcode != IORING_OP_CONNECT && !operation.dying)
    if (const std::uint64_t c = choose(Site::ring_interrupted, *operation.file); c != 0) {
      bit(Site::ring_interrupted);
      if (world_->tracing()) world_->tell("kernel", "ring_interrupted");
      return finish(operation, c == 1 ? -EINTR : -EAGAIN, 0);
    }
  switch (operation.opcode) {
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
    case IORING_OP_SENDMSG_ZC: return execute_send(operation);
    case IORING_OP_RECV: return execute_receive(operation);
    case IORING_OP_ACCEPT: return execute_accept(operation);
    case IORING_OP_CONNECT: return execute_connect(operation);
    default: return finish(operation, -EINVAL, 0);
  }
}

// --- Sending --------------------------------------------------------------------------------------------------------

void FakeKernel::execute_send(FakeOperation& operation) {
  FakeFile& of = *operation.file;
  if (of.kind == FakeFile::Kind::stream && !of.dead && !of.peer->dead && of.sent >= of.reset_at) {
    bit(Site::ring_reset);
    if (world_->tracing()) world_->tell("kernel", "ring_reset");
    of.reset_at = UINT64_MAX;
    reset_both(of);
  }
  if (of.error != 0) return finish(operation, -std::exchange(of.error, 0), 0);
  if (of.dead || of.ended_out) return finish(operation, -EPIPE, 0);
  if (!operation.is_untouched())
    violate("ring_memory",
            "bytes were changed while a " + std::string(operation.name()) + " had not sent them");
  std::size_t n = operation.total();
  FakeFile& peer = *of.peer;
  if (peer.released) {  // it answers with a reset
    of.meet_reset();
  } else {
    n = std::min(n, of.room());
    if (n > 1)
      if (const std::uint64_t less = choose(Site::ring_short_send, of, n - 1); less != 0) {
        bit(Site::ring_short_send);
        if (world_->tracing()) world_->tell("kernel", "ring_short_send");
        n = less;
      }
    const std::vector<std::byte> bytes = operation.gather(n);
    world_->step(sim::Step::delivered, of.entity, sim::digest(bytes), "kernel",
                 [&] { return std::to_string(n) + " bytes are sent"; });
    peer.in.push(bytes);
    of.sent += n;
  }
  const auto result = static_cast<std::int32_t>(n);
  if (operation.opcode == IORING_OP_SENDMSG_ZC && choose(Site::ring_no_notification, of) == 0) {
    post(operation, result, IORING_CQE_F_MORE);
    notify_later(operation);
  } else {
    if (operation.opcode == IORING_OP_SENDMSG_ZC) {
      bit(Site::ring_no_notification);
      if (world_->tracing()) world_->tell("kernel", "ring_no_notification");
    }
    finish(operation, result, 0);
  }
  poke(of, Direction::in);
  poke(peer, Direction::in);
}

void FakeKernel::notify_later(FakeOperation& operation) {
  operation.state = FakeOperation::State::notifying;
  const std::uint64_t later = choose(Site::ring_notification, *operation.file);
  if (later == 0) return finish(operation, 0, IORING_CQE_F_NOTIF);
  bit(Site::ring_notification);
  if (world_->tracing())
    world_->tell("kernel", "ring_notification: " + std::to_string(later) + " ns later");
  world_->schedule(operation, world_->now() + Duration(static_cast<std::int64_t>(later)));
}

// --- Receiving ------------------------------------------------------------------------------------------------------

// Whether an operation that goes on may: it ends where its completion would not find room.
bool FakeKernel::goes_on(FakeOperation& operation) {
  if (!operation.multishot) return false;
  if (!operation.ring->has_room()) {
    bit(Site::ring_completion_queue);
    if (world_->tracing()) world_->tell("kernel", "ring_completion_queue: ends what goes on");
    return false;
  }
  if (choose(Site::ring_multishot_end, *operation.file) == 0) return true;
  bit(Site::ring_multishot_end);
  if (world_->tracing()) world_->tell("kernel", "ring_multishot_end");
  return false;
}

void FakeKernel::execute_receive(FakeOperation& operation) {
  FakeFile& of = *operation.file;
  if (of.in.size() == 0) {
    if (of.error != 0) return finish(operation, -std::exchange(of.error, 0), 0);
    of.end_told = true;
    return finish(operation, 0, 0);
  }
  if (!operation.is_untouched())
    violate("ring_memory",
            "memory was written while a " + std::string(operation.name()) + " had it");
  std::uint32_t flags = 0;
  std::span<std::byte> into = operation.buffer;
  if (operation.selects) {
    look_at_buffers(*operation.ring);
    BufferGroup& group = operation.ring->groups[operation.group];
    const bool spare = group.memory != nullptr && group.head != group.memory->tail;
    if (!spare) return finish(operation, -ENOBUFS, 0);
    if (choose(Site::ring_no_buffers, of) != 0) {
      bit(Site::ring_no_buffers);
      if (world_->tracing()) world_->tell("kernel", "ring_no_buffers");
      return finish(operation, -ENOBUFS, 0);
    }
    const io_uring_buf& picked = group.memory->bufs[group.head++ & (group.entries - 1)];
    group.in_ring[picked.bid] = false;
    into = {reinterpret_cast<std::byte*>(picked.addr), picked.len};
    flags = IORING_CQE_F_BUFFER | (std::uint32_t{picked.bid} << IORING_CQE_BUFFER_SHIFT);
    if (!is_still_marked(into))
      violate("ring_memory",
              "buffer " + std::to_string(picked.bid) + " was written while it was provided");
  }
  std::size_t n = std::min(into.size(), of.in.size());
  if (n > 1)
    if (const std::uint64_t less = choose(Site::ring_short_receive, of, n - 1); less != 0) {
      bit(Site::ring_short_receive);
      if (world_->tracing()) world_->tell("kernel", "ring_short_receive");
      n = less;
    }
  const auto bytes = of.in.front(n);
  std::copy(bytes.begin(), bytes.end(), into.begin());
  of.in.pop(n);
  of.received += n;
  of.received_at = world_->now();
  of.ready_since[0] = TimePoint::never();
  if (of.in.size() != 0) flags |= IORING_CQE_F_SOCK_NONEMPTY;
  operation.buffer = {};  // it bears no mark any more
  const auto result = static_cast<std::int32_t>(n);
  if (goes_on(operation))
    post(operation, result, flags | IORING_CQE_F_MORE);
  else
    finish(operation, result, flags);
  note(of);
  poke(*of.peer, Direction::out);
}

// --- Connecting -----------------------------------------------------------------------------------------------------

void FakeKernel::execute_accept(FakeOperation& operation) {
  FakeFile& listener = *operation.file;
  const std::uint64_t fails = choose(Site::ring_accept, listener);
  if (fails != 0) {
    bit(Site::ring_accept);
    if (world_->tracing()) world_->tell("kernel", "ring_accept");
    if (fails == 2) return finish(operation, -EMFILE, 0);
  }
  FakeFile& accepted = *listener.backlog.front();
  listener.backlog.pop_front();
  listener.ready_since[0] = TimePoint::never();
  if (fails == 1) {
    accepted.open = false;
    accepted.lingers_none = true;
    release_unused(accepted);
    finish(operation, -ECONNABORTED, 0);
  } else {
    const int fd = install(accepted);
    if (operation.address != nullptr) {
      const real::SocketAddress from(accepted.remote);
      std::memcpy(operation.address, &from.any, from.length);
      *operation.address_length = from.length;
    }
    if (goes_on(operation))
      post(operation, fd, IORING_CQE_F_MORE);
    else
      finish(operation, fd, 0);
  }
  note(listener);
  poke_all_connects();
}

void FakeKernel::execute_connect(FakeOperation& operation) {
  FakeFile& client = *operation.file;
  FakeFile* listener = listener_at(operation.target);
  if (listener == nullptr) return finish(operation, -ECONNREFUSED, 0);
  FakeFile& server = make_file();
  for (FakeFile* end : {&client, &server}) {
    end->kind = FakeFile::Kind::stream;
    end->peer = end == &client ? &server : &client;
    if (const std::uint64_t c = choose(Site::ring_reset, *end); c != 0) end->reset_at = c - 1;
  }
  server.capacity = listener->capacity;
  server.local = client.remote = listener->local;
  server.remote = client.local;
  finish(operation, 0, 0);
  listener->backlog.push_back(&server);
  poke(*listener, Direction::in);
}

}  // namespace twinwire::fake
