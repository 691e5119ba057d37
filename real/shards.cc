// SPDX-License-Identifier: Apache-2.0
#include "real/shards.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "real/probe.h"
#include "real/shard_group.h"
#include "transport/base/check.h"

namespace twinwire::real {
namespace {

constexpr std::uint32_t shards_max = 1024;
constexpr std::uint32_t queue_max = 1U << 20;

// The processors that this process may run on.
std::vector<int> processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::vector<int> found;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return found;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &allowed)) found.push_back(i);
  return found;
}

int pin_to(int processor) noexcept {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  return ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
}

std::string explain(ShardPart lacks, const Error& error, std::uint32_t count) {
  if (lacks == ShardPart::ring) return explain_no_ring(error);
  const char* name = error.os_errno != 0 ? ::strerrorname_np(error.os_errno) : nullptr;
  const std::string because = name != nullptr ? std::string(" (") + name + ")" : "";
  const bool descriptors = error.os_errno == EMFILE || error.os_errno == ENFILE;
  switch (lacks) {
    case ShardPart::thread:
      return "cannot start a thread for each of " + std::to_string(count) + " shards" + because +
             ": raise RLIMIT_NPROC (ulimit -u) or the container's limit of processes, or take "
             "fewer shards";
    case ShardPart::bell:
      return "a shard's eventfd(2) cannot be had" + because +
             (descriptors
                  ? ": there are no file descriptors left; raise RLIMIT_NOFILE (ulimit -n)"
                  : ": a filter denies it, such as a container's seccomp profile; allow it there");
    case ShardPart::processor:
      return "a shard cannot be kept on one processor" + because +
             ": allow sched_setaffinity and sched_getaffinity, or take one shard";
    default: return "shards cannot be started: " + to_string(error);
  }
}

}  // namespace

ShardGroup::ShardGroup(const ShardsOptions& wanted, std::function<void(Shard&)> function)
    : options(wanted),
      body(std::move(function)),
      cells(wanted.count),
      opened(wanted.count),
      may_begin(1),
      ended(wanted.count),
      bodies(wanted.count),
      unsettled(wanted.count) {
  const std::size_t pairs = std::size_t{wanted.count} * wanted.count;
  lanes.reserve(pairs);
  for (std::size_t i = 0; i < pairs; ++i)
    lanes.push_back(std::make_unique<ShardLane>(wanted.mail_max, wanted.loans_max));
}

ShardGroup::~ShardGroup() {
  for (const Cell& cell : cells)
    if (cell.bell >= 0) ::close(cell.bell);
}

void ShardGroup::ring_bell(std::uint32_t of) noexcept {
  // Full it is only after 2^64 - 2 of them that nobody heard; then it rings all the same.
  (void)::eventfd_write(cells[of].bell, 1);
}

void ShardGroup::ring_all() noexcept {
  for (std::uint32_t i = 0; i < options.count; ++i) ring_bell(i);
}

void ShardGroup::stop() noexcept {
  if (!stopping.exchange(true)) ring_all();
}

void ShardGroup::failed(std::exception_ptr why) noexcept {
  {
    const std::lock_guard lock(failure_mutex);
    if (!failure) failure = std::move(why);
  }
  stop();
}

void ShardGroup::run_shard(std::uint32_t index) {
  Cell& cell = cells[index];
  std::unique_ptr<Ring> ring;
  DescriptorRef bell;  // goes before its ring
  const auto fail = [&](ShardPart lacks, Error error) {
    cell.lacks = lacks;
    cell.error = error;
    cell.failed = true;
  };
  if (options.pin) {
    const std::vector<int> all = processors();
    const int error = all.empty() ? EINVAL : pin_to(all[index % all.size()]);
    if (error != 0) fail(ShardPart::processor, from_errno(error));
  }
  if (!cell.failed) {
    auto created = Ring::create(options.ring);
    if (created) {
      ring = std::move(*created);
      cell.ring = ring->core().kernel_ring().fd();
      // Of its own: the group's stays for whoever rings after this shard has gone.
      const int fd = ::fcntl(cell.bell, F_DUPFD_CLOEXEC, 0);
      if (fd < 0)
        fail(ShardPart::bell, from_errno(errno));
      else if (bell = ring->core().adopt(fd); !bell)
        fail(ShardPart::memory, {Errc::no_resources, ENOMEM});
    } else {
      fail(ShardPart::ring, created.error());
    }
  }
  opened.count_down();
  may_begin.wait();
  if (!begins) return;
  {
    Shard shard(*this, index, *ring, std::move(bell));
    shard.run();
    cell.counters = shard.counters();
    // What is still on its way to a ring finds it open.
    ended.arrive_and_wait();
  }
  cell.ring_counters = ring->counters();
}

Shards::Shards(std::unique_ptr<ShardGroup> group) noexcept : group_(std::move(group)) {}

Result<std::unique_ptr<Shards>> Shards::start(const ShardsOptions& options,
                                              std::function<void(Shard&)> body, std::string* why) {
  const auto refuse = [&](ShardPart lacks, Error error) {
    if (why != nullptr) *why = explain(lacks, error, options.count);
    return std::unexpected(error);
  };
  const auto in_range = [](std::uint32_t n) { return n >= 1 && n <= queue_max; };
  if (options.count < 1 || options.count > shards_max || !in_range(options.mail_max) ||
      !in_range(options.loans_max))
    return refuse(ShardPart::memory, {Errc::invalid, 0});
  std::unique_ptr<Shards> shards;
  try {
    shards.reset(new Shards(std::make_unique<ShardGroup>(options, std::move(body))));
  } catch (const std::bad_alloc&) {
    return refuse(ShardPart::memory, {Errc::no_resources, 0});
  }
  ShardGroup& group = *shards->group_;
  Error error{};
  ShardPart lacks = ShardPart::thread;
  bool failed = false;
  for (ShardGroup::Cell& cell : group.cells) {
    cell.bell = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (cell.bell < 0) return refuse(ShardPart::bell, from_errno(errno));
  }
  std::uint32_t started = 0;
  try {
    group.threads.reserve(options.count);
    for (; started < options.count; ++started)
      group.threads.emplace_back([&group, started] { group.run_shard(started); });
  } catch (const std::exception&) {  // of pthread_create(3)
    failed = true;
    error = {Errc::no_resources, EAGAIN};
    group.opened.count_down(options.count - started);
  }
  group.opened.wait();
  for (const ShardGroup::Cell& cell : group.cells)
    if (cell.failed && !failed) {
      failed = true;
      error = cell.error;
      lacks = cell.lacks;
    }
  group.begins = !failed;
  group.may_begin.count_down();
  if (!failed) return shards;
  shards->join_threads();
  return refuse(lacks, error);
}

Shards::~Shards() {
  stop();
  join_threads();
}

void Shards::stop() noexcept { group_->stop(); }

void Shards::join_threads() noexcept {
  for (std::thread& thread : group_->threads)
    if (thread.joinable()) thread.join();
}

void Shards::join() {
  join_threads();
  if (group_->failure) std::rethrow_exception(std::exchange(group_->failure, nullptr));
}

std::uint32_t Shards::count() const noexcept { return group_->options.count; }

const ShardCounters& Shards::counters(std::uint32_t index) const noexcept {
  return group_->cells[index].counters;
}

const Counters& Shards::ring_counters(std::uint32_t index) const noexcept {
  return group_->cells[index].ring_counters;
}

}  // namespace twinwire::real
