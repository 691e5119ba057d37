// SPDX-License-Identifier: Apache-2.0
// io_uring_enter(2) of the fake kernel: what is submitted, what is canceled, and how completions come back.
#include <algorithm>
#include <cerrno>

#include "props/fake_kernel/fake_kernel.h"
#include "sim/run_hash.h"

namespace twinwire::fake {
namespace {

constexpr unsigned refused_max = 3;  // in a row: it is not to be waited out by spinning
constexpr unsigned cancels_max = 1000;
constexpr Duration dying_for = std::chrono::milliseconds(3);

std::string text_of(std::int32_t result, std::uint32_t flags) {
  std::string text = (flags & IORING_CQE_F_NOTIF) != 0 ? "memory is free" : std::to_string(result);
  if ((flags & IORING_CQE_F_BUFFER) != 0)
    text += ", buffer " + std::to_string(flags >> IORING_CQE_BUFFER_SHIFT);
  if ((flags & IORING_CQE_F_MORE) != 0) text += ", more follows";
  return text;
}

// Says nothing of the connection.
bool is_passing(std::int32_t result) noexcept {
  switch (-result) {
    case ECANCELED:
    case EINTR:
    case EAGAIN:
    case ENOBUFS:
    case EINVAL: return true;
    default: return result >= 0;
  }
}

}  // namespace

int FakeKernel::poll(io_uring& ring) noexcept { return enter(find(ring)); }

int FakeKernel::wait(io_uring& ring, Duration timeout) noexcept {
  FakeRing& of = find(ring);
  const int result = enter(of);
  Scheduler& scheduler = world_->scheduler();
  if (of.cancels > cancels_max) {  // or time would not move
    violate("ring_spins", "a cancel is repeated again and again, and nothing comes of it");
    (void)scheduler.sleep_for(std::chrono::milliseconds(1));
  }
  if (result < 0 || of.completions_ready()) return result;
  of.waiter = &scheduler.current();
  const Wake wake = scheduler.park({scheduler.now() + timeout}, "a completion of the ring");
  of.waiter = nullptr;
  of.flush();
  if (of.completions_ready()) return result;
  return wake == Wake::timed_out ? -ETIME : -EINTR;
}

void FakeKernel::note_starved(const real::RingCore& ring) {
  for (auto& [core, until] : starved_)
    if (core == &ring) {
      until = world_->now();
      return;
    }
  starved_.emplace_back(&ring, world_->now());
}

TimePoint FakeKernel::starved_until(const real::RingCore& ring) const noexcept {
  for (const auto& [core, until] : starved_)
    if (core == &ring) return until;
  return {};
}

void FakeKernel::interrupt_all() noexcept {
  for (const auto& ring : rings_) kick(*ring);
}

void FakeKernel::kick(FakeRing& ring) noexcept {
  if (ring.waiter != nullptr) (void)world_->scheduler().wake(*ring.waiter);
}

// Whoever is in wait() is woken for what was put into the queues meanwhile: a thread would not have slept.
bool FakeKernel::look() noexcept {
  bool any = false;
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    FakeRing& ring = *rings_[i];
    if (world_->is_unwinding())
      for (std::size_t n = 0; n < ring.operations.size(); ++n)
        if (ring.operations[n]->state != FakeOperation::State::over) {
          cancel_now(*ring.operations[n]);
          any = true;  // that woke it
        }
    const bool has_work =
        ring.submissions_waiting() != 0 || ring.has_work() || ring.completions_ready();
    if (ring.waiter != nullptr && has_work) any = world_->scheduler().wake(*ring.waiter) || any;
  }
  return any;
}

int FakeKernel::enter(FakeRing& ring) {
  std::erase_if(ring.operations,
                [](const auto& each) { return each->state == FakeOperation::State::over; });
  const std::uint64_t choice =
      world_->choose(sim::Site::ring_enter, {}, ring.entity, ring.enters++);
  if (choice != 0 && (choice == 1 || ring.refused < refused_max)) {
    bit(sim::Site::ring_enter);
    if (world_->tracing()) world_->tell("kernel", "ring_enter: " + std::to_string(choice));
  }
  if (choice > 1 && ring.refused < refused_max) {
    ++ring.refused;
    return choice == 2 ? -EBUSY : -EAGAIN;
  }
  ring.refused = 0;
  if (ring.submission_queue_full() && ring.small_submission_queue) {
    bit(sim::Site::ring_submission_queue);
    if (world_->tracing()) world_->tell("kernel", "ring_submission_queue: it is full");
  }
  int taken = 0;
  for (; ring.submissions_waiting() != 0; ++taken) submit(ring, ring.take_submission());
  look_at_buffers(ring);
  ring.flush();
  return choice == 1 ? -EINTR : taken;
}

void FakeKernel::submit(FakeRing& ring, const io_uring_sqe& request) {
  if (request.opcode == IORING_OP_ASYNC_CANCEL) return cancel(ring, request);
  FakeFile* const of = file(request.fd);
  if (of == nullptr) {
    violate("ring_descriptor", "an operation was submitted on descriptor " +
                                   std::to_string(request.fd) + ", which is not open");
    return ring.post(request.user_data, -EBADF, 0);
  }
  ring.operations.push_back(std::make_unique<FakeOperation>(*this, ring, *of, request));
  FakeOperation& operation = *ring.operations.back();
  auto& others = of->waiting(operation.direction());
  if (!others.empty())
    violate("ring_one_at_a_time", std::string(operation.name()) + " on descriptor " +
                                      std::to_string(request.fd) + ", where a " +
                                      others.front()->name() + " is in flight");
  others.push_back(&operation);
  ++of->holders;
  world_->step(sim::Step::note, of->entity, 100 + operation.opcode, "kernel", [&] {
    return std::string(operation.name()) + " on descriptor " + std::to_string(request.fd) +
           " is submitted";
  });
  const bool lacks =
      operation.multishot &&
      (ring.missing &
       (operation.opcode == IORING_OP_RECV ? no_multishot_receive : no_multishot_accept)) != 0;
  if (lacks) {
    refuse("nothing goes on there");
    return finish(operation, -EINVAL, 0);
  }
  consider(operation);
}

// --- Cancellation ---------------------------------------------------------------------------------------------------

void FakeKernel::cancel(FakeRing& ring, const io_uring_sqe& request) {
  ++ring.cancels;
  const auto found =
      std::find_if(ring.operations.begin(), ring.operations.end(), [&](const auto& each) {
        return each->user_data == request.addr && each->state != FakeOperation::State::over;
      });
  // A zero-copy send that has its result is not found: what is left of it is the network's.
  if (found == ring.operations.end() || (*found)->state == FakeOperation::State::notifying)
    return ring.post(request.user_data, -ENOENT, 0);
  FakeOperation& operation = **found;
  if (operation.dying) return ring.post(request.user_data, -EALREADY, 0);
  const std::uint64_t race = choose(sim::Site::ring_cancel_race, *operation.file);
  const auto tell = [&](const char* text) {
    bit(sim::Site::ring_cancel_race);
    if (world_->tracing())
      world_->tell("kernel", "ring_cancel_race: the " + std::string(operation.name()) + text);
  };
  if (race == 1 && is_ready(operation)) {
    tell(" comes first");
    world_->unschedule(operation);
    operation.state = FakeOperation::State::waiting;
    execute(operation);
    if (operation.state == FakeOperation::State::over ||
        operation.state == FakeOperation::State::notifying)
      return answer_later(ring, *operation.file, request.user_data, -ENOENT);
  } else if (race == 2) {
    tell(" ends later");
    operation.dying = true;
    operation.state = FakeOperation::State::due;
    world_->schedule(operation, world_->now() + dying_for);
    return ring.post(request.user_data, -EALREADY, 0);
  } else if (race == 3) {
    tell(" is not found");
    return ring.post(request.user_data, -ENOENT, 0);
  }
  cancel_now(operation);
  ring.post(request.user_data, 0, 0);
}

// The answer to a cancel, after what it came too late for has been seen.
void FakeKernel::answer_later(FakeRing& ring, FakeFile& of, std::uint64_t user_data,
                              std::int32_t result) {
  const std::uint64_t later = choose(sim::Site::ring_delay, of);
  if (later == 0) return ring.post(user_data, result, 0);
  bit(sim::Site::ring_delay);
  if (world_->tracing())
    world_->tell("kernel",
                 "ring_delay: the cancel is answered " + std::to_string(later) + " ns later");
  ring.answers.push_back(std::make_unique<LateAnswer>(*this, ring, user_data, result));
  world_->schedule(*ring.answers.back(),
                   world_->now() + Duration(static_cast<std::int64_t>(later)));
}

void FakeKernel::on_answer(LateAnswer& answer) {
  FakeRing& ring = *answer.ring;
  ring.post(answer.user_data, answer.result, 0);
  std::erase_if(ring.answers, [&](const auto& each) { return each.get() == &answer; });
  kick(ring);
}

void FakeKernel::cancel_now(FakeOperation& operation) {
  if (operation.state == FakeOperation::State::notifying)
    return finish(operation, 0, IORING_CQE_F_NOTIF);
  if (operation.opcode == IORING_OP_SENDMSG_ZC &&
      choose(sim::Site::ring_no_notification, *operation.file) == 0) {
    post(operation, -ECANCELED, IORING_CQE_F_MORE);
    return notify_later(operation);
  }
  // A thread of the kernel's is stopped by a signal.
  finish(operation, operation.dying && operation.file->ordinal % 2 == 0 ? -EINTR : -ECANCELED, 0);
}

// --- Completion -----------------------------------------------------------------------------------------------------

void FakeKernel::post(FakeOperation& operation, std::int32_t result, std::uint32_t flags) {
  FakeFile& of = *operation.file;
  operation.ring->cancels = 0;
  if (!is_passing(result)) of.failure_told = true;
  if (result == -ECONNRESET) of.reset_told = true;
  const std::uint64_t value = mix(static_cast<std::uint64_t>(std::int64_t{result}), flags);
  world_->step(sim::Step::note, of.entity, value, "kernel", [&] {
    return std::string(operation.name()) + " on descriptor " + std::to_string(operation.fd) +
           " completes: " + text_of(result, flags);
  });
  const bool overflowed_before = operation.ring->overflowed();
  operation.ring->post(operation.user_data, result, flags);
  if (!overflowed_before && operation.ring->overflowed()) {
    bit(sim::Site::ring_completion_queue);
    if (world_->tracing()) world_->tell("kernel", "ring_completion_queue: it is full");
  }
  kick(*operation.ring);
}

void FakeKernel::finish(FakeOperation& operation, std::int32_t result, std::uint32_t flags) {
  if (!operation.is_untouched())
    violate("ring_memory", "memory that was lent to a " + std::string(operation.name()) +
                               " was written before it ended");
  world_->unschedule(operation);
  operation.state = FakeOperation::State::over;
  FakeFile& of = *operation.file;
  std::erase(of.waiting(operation.direction()), &operation);
  --of.holders;
  post(operation, result, flags);
  note(of);
  release_unused(of);
}

// --- Provided buffers -----------------------------------------------------------------------------------------------

void FakeKernel::look_at_buffers(FakeRing& ring) {
  for (auto& [id, group] : ring.groups) {
    const std::uint16_t tail = group.memory->tail;
    for (; group.seen != tail; ++group.seen) {
      const io_uring_buf& buffer = group.memory->bufs[group.seen & (group.entries - 1)];
      if (group.in_ring[buffer.bid])
        violate("ring_buffers", "buffer " + std::to_string(buffer.bid) + " of group " +
                                    std::to_string(id) + " was provided twice");
      group.in_ring[buffer.bid] = true;
      mark_as_lent({reinterpret_cast<std::byte*>(buffer.addr), buffer.len});
    }
    if (static_cast<std::uint16_t>(tail - group.head) > group.entries)
      violate("ring_buffers", "more buffers were provided than their ring holds");
  }
}

std::size_t FakeKernel::in_flight(const FakeFile& of, Direction direction) const noexcept {
  const auto& all = of.operations[static_cast<std::size_t>(direction)];
  return static_cast<std::size_t>(std::count_if(
      all.begin(), all.end(), [](const FakeOperation* each) { return !each->multishot; }));
}

std::size_t FakeKernel::in_flight() const noexcept {
  std::size_t sum = 0;
  for (const auto& ring : rings_)
    for (const auto& operation : ring->operations)
      sum += operation->state != FakeOperation::State::over ? 1 : 0;
  return sum;
}

}  // namespace twinwire::fake
