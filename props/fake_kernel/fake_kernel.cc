// SPDX-License-Identifier: Apache-2.0
// Descriptors, and what is set up and torn down. The rest: fake_enter.cc, fake_execution.cc.
#include "props/fake_kernel/fake_kernel.h"

#include <algorithm>
#include <cerrno>

#include "transport/base/check.h"

namespace twinwire::fake {
namespace {

// Far from those that this process really has.
constexpr int first_descriptor = 1000;
constexpr std::size_t default_capacity = 16 * 1024;
constexpr std::size_t capacity_min = 2304;

unsigned power_of_two(unsigned wanted) noexcept {
  unsigned size = 1;
  while (size < wanted) size *= 2;
  return size;
}

std::size_t capacity_of(const StreamOptions& options) noexcept {
  return options.receive_buffer == 0 ? default_capacity
                                     : std::max(options.receive_buffer, capacity_min);
}

}  // namespace

FakeKernel::FakeKernel(sim::World& world, laws::Judge& judge)
    : world_(&world), judge_(&judge), entity_(child_entity(world.entity(), 0x6b65726e)) {
  world.look_last(this);
}

FakeKernel::~FakeKernel() {
  world_->look_last(nullptr);
  for (const auto& ring : rings_) forget(*ring);
}

void FakeKernel::forget(FakeRing& ring) noexcept {
  for (const auto& operation : ring.operations) world_->unschedule(*operation);
  for (const auto& answer : ring.answers) world_->unschedule(*answer);
}

// --- Rings ----------------------------------------------------------------------------------------------------------

int FakeKernel::set_up(unsigned entries, io_uring& ring, io_uring_params& params) noexcept {
  const EntityId entity = child_entity(entity_, rings_made_);
  const auto drawn = [&](sim::Site site) { return world_->choose(site, {}, entity, 0); };
  // Asked again without the flag that it did not know.
  if (!setting_up_) missing_ = drawn(sim::Site::ring_old_kernel);
  setting_up_ = true;
  const bool refuses =
      ((params.flags & IORING_SETUP_DEFER_TASKRUN) != 0 && (missing_ & no_deferred) != 0) ||
      ((params.flags & IORING_SETUP_COOP_TASKRUN) != 0 && (missing_ & no_cooperative) != 0);
  if (refuses) {
    refuse("it does not know a flag");
    return -EINVAL;
  }
  setting_up_ = false;
  ++rings_made_;
  unsigned completions = power_of_two(params.cq_entries);
  if (const std::uint64_t c = drawn(sim::Site::ring_completion_queue); c != 0)
    completions = 1U << c;
  unsigned submissions = power_of_two(entries);
  const std::uint64_t small = drawn(sim::Site::ring_submission_queue);
  if (small != 0) submissions = 1U << (small - 1);
  rings_.push_back(std::make_unique<FakeRing>(entity, submissions, completions));
  rings_.back()->missing = missing_;
  rings_.back()->small_submission_queue = small != 0;
  rings_.back()->publish(ring, params);
  return 0;
}

void FakeKernel::refuse(const char* what) {
  bit(sim::Site::ring_old_kernel);
  if (world_->tracing()) world_->tell("kernel", "ring_old_kernel: " + std::string(what));
}

void FakeKernel::tear_down(io_uring& ring) noexcept {
  FakeRing& gone = find(ring);
  for (const auto& operation : gone.operations)
    if (operation->state != FakeOperation::State::over) cancel_now(*operation);
  forget(gone);
  std::erase_if(rings_, [&](const auto& known) { return known.get() == &gone; });
}

FakeRing& FakeKernel::find(const io_uring& ring) noexcept {
  const auto found = std::find_if(rings_.begin(), rings_.end(),
                                  [&](const auto& known) { return known->user == &ring; });
  TWINWIRE_CHECK(found != rings_.end(), "the fake kernel has no such ring");
  return **found;
}

bool FakeKernel::supports(io_uring& ring, int operation) noexcept {
  const bool lacks = operation == IORING_OP_SENDMSG_ZC && (find(ring).missing & no_zero_copy) != 0;
  if (lacks) refuse("no zero-copy send");
  return !lacks;
}

int FakeKernel::register_buffers(io_uring& ring, io_uring_buf_reg& request) noexcept {
  FakeRing& of = find(ring);
  if ((of.missing & no_buffer_rings) != 0) {
    refuse("no provided buffers");
    return -EINVAL;
  }
  BufferGroup& group = of.groups[request.bgid];
  if (group.memory != nullptr) return -EEXIST;
  group.memory = reinterpret_cast<io_uring_buf_ring*>(request.ring_addr);
  group.entries = request.ring_entries;
  group.in_ring.assign(65536, false);
  return 0;
}

// --- Descriptors ----------------------------------------------------------------------------------------------------

FakeFile& FakeKernel::make_file() {
  files_.push_back(std::make_unique<FakeFile>());
  FakeFile& file = *files_.back();
  file.ordinal = files_.size();
  file.entity = child_entity(entity_ + 1, file.ordinal);
  return file;
}

// The lowest number that is free, as POSIX has it: one that was closed is another file's at once.
int FakeKernel::install(FakeFile& file) {
  auto place = std::find(descriptors_.begin(), descriptors_.end(), nullptr);
  if (place == descriptors_.end()) place = descriptors_.insert(place, nullptr);
  *place = &file;
  return first_descriptor + static_cast<int>(place - descriptors_.begin());
}

FakeFile* FakeKernel::file(int fd) noexcept {
  const auto index = static_cast<std::size_t>(fd - first_descriptor);
  return fd >= first_descriptor && index < descriptors_.size() ? descriptors_[index] : nullptr;
}

FakeFile* FakeKernel::stream_between(const Address& local, const Address& remote) noexcept {
  for (FakeFile* open : descriptors_)
    if (open != nullptr && open->kind == FakeFile::Kind::stream && open->local == local &&
        open->remote == remote)
      return open;
  return nullptr;
}

std::size_t FakeKernel::descriptors_open() const noexcept {
  return static_cast<std::size_t>(std::count_if(descriptors_.begin(), descriptors_.end(),
                                                [](const FakeFile* f) { return f != nullptr; }));
}

int FakeKernel::open_socket() { return install(make_file()); }

FakeFile* FakeKernel::listener_at(const Address& address) noexcept {
  for (const auto& file : files_)
    if (file->kind == FakeFile::Kind::listener && file->open && file->local == address)
      return file.get();
  return nullptr;
}

int FakeKernel::listen(int fd, const Address& address, int backlog, const StreamOptions& options) {
  FakeFile& socket = *file(fd);
  bind(fd, address, options);
  if (listener_at(socket.local) != nullptr) return EADDRINUSE;
  socket.kind = FakeFile::Kind::listener;
  socket.backlog_max = static_cast<std::size_t>(std::max(backlog, 1));
  return 0;
}

void FakeKernel::bind(int fd, const Address& address, const StreamOptions& options) {
  FakeFile& socket = *file(fd);
  socket.local = address;
  if (address.port == 0) socket.local.port = next_port_++;
  socket.capacity = capacity_of(options);
}

int FakeKernel::shutdown_write(int fd) noexcept {
  FakeFile* socket = file(fd);
  if (socket == nullptr) {
    violate("ring_descriptor", "a descriptor that is not open was shut down");
    return EBADF;
  }
  if (socket->kind != FakeFile::Kind::stream || socket->dead) return ENOTCONN;
  socket->ended_out = true;
  socket->peer->ended_in = true;
  poke(*socket, Direction::out);
  poke(*socket->peer, Direction::in);
  return 0;
}

Address FakeKernel::local_address(int fd) noexcept {
  const FakeFile* socket = file(fd);
  return socket == nullptr ? Address{} : socket->local;
}

Address FakeKernel::peer_address(int fd) noexcept {
  const FakeFile* socket = file(fd);
  return socket == nullptr || socket->dead ? Address{} : socket->remote;
}

void FakeKernel::close_file(int fd, bool reset) noexcept {
  FakeFile* const closed = file(fd);
  if (closed == nullptr)
    return violate("ring_descriptor",
                   "descriptor " + std::to_string(fd) + " was closed, and it is not open");
  if (closed->holders != 0)
    violate("ring_descriptor", "descriptor " + std::to_string(fd) + " was closed, and " +
                                   std::to_string(closed->holders) + " operations are on it");
  descriptors_[static_cast<std::size_t>(fd - first_descriptor)] = nullptr;
  closed->open = false;
  closed->lingers_none = reset;
  world_->step(sim::Step::note, closed->entity, reset ? 2 : 1, "kernel", [&] {
    return "descriptor " + std::to_string(fd) + " is closed" + (reset ? " with a reset" : "");
  });
  release_unused(*closed);
}

// close(2) does not end what is in flight: the last operation does what a close does.
void FakeKernel::release_unused(FakeFile& unused) {
  if (unused.open || unused.holders != 0 || unused.released) return;
  unused.released = true;
  if (unused.kind == FakeFile::Kind::listener) {
    for (FakeFile* waiting : unused.backlog) {
      waiting->open = false;
      waiting->lingers_none = true;
      release_unused(*waiting);
    }
    unused.backlog.clear();
    return poke_all_connects();
  }
  if (unused.kind != FakeFile::Kind::stream) return;
  FakeFile& peer = *unused.peer;
  const bool both_ended = unused.ended_in && unused.ended_out;
  if (!unused.dead && (unused.in.size() != 0 || (unused.lingers_none && !both_ended))) {
    peer.meet_reset();
  } else if (!unused.dead) {
    unused.ended_out = true;
    peer.ended_in = true;
  }
  unused.dead = true;
  poke(peer, Direction::in);
  poke(peer, Direction::out);
}

void FakeKernel::reset_both(FakeFile& reset) {
  FakeFile& peer = *reset.peer;
  for (FakeFile* end : {&reset, &peer}) {
    end->meet_reset();
    note(*end);
  }
  poke(peer, Direction::in);
  poke(peer, Direction::out);
  poke(reset, Direction::in);
}

void FakeKernel::note(FakeFile& changed) noexcept {
  for (const Direction direction : {Direction::in, Direction::out}) {
    TimePoint& since = changed.ready_since[static_cast<std::size_t>(direction)];
    if (!changed.is_ready(direction))
      since = TimePoint::never();
    else if (since == TimePoint::never())
      since = world_->now();
  }
}

std::uint64_t FakeKernel::choose(sim::Site site, FakeFile& of, std::uint64_t bound) {
  const auto index =
      static_cast<std::size_t>(site) - static_cast<std::size_t>(sim::Site::ring_delay);
  return world_->choose(site, {}, of.entity, of.occurrences[index]++, bound);
}

}  // namespace twinwire::fake
