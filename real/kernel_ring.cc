// SPDX-License-Identifier: Apache-2.0
#include "real/kernel_ring.h"

#include <cerrno>

#include "transport/base/check.h"

namespace twinwire::real {
namespace {

// What io_uring_enter(2) may answer without anything being wrong: interrupted; the time is up; completions must be
// fetched, or memory found, before it takes more (what it did not take stays queued).
bool harmless(int result) noexcept {
  return result >= 0 || result == -EINTR || result == -ETIME || result == -EBUSY ||
         result == -EAGAIN;
}

}  // namespace

KernelRing::~KernelRing() {
  if (open_) kernel_->tear_down(ring_);
}

int KernelRing::open_in(RingMode mode, const RingOptions& options) noexcept {
  io_uring_params params{};
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  params.cq_entries = options.completion_entries;
  if (mode != RingMode::plain)
    params.flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL;
  if (mode == RingMode::deferred) {
    params.flags &= ~IORING_SETUP_COOP_TASKRUN;
    params.flags |= IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SINGLE_ISSUER;
  }
  return -kernel_->set_up(options.submission_entries, ring_, params);
}

int KernelRing::open(const RingOptions& options) noexcept {
  if (options.force_probe_failure != 0) return options.force_probe_failure;
  int error = EINVAL;
  for (const RingMode mode : {RingMode::deferred, RingMode::cooperative, RingMode::plain}) {
    if (mode < options.best_mode) continue;
    mode_ = mode;
    error = open_in(mode, options);
    if (error != EINVAL) break;  // EINVAL: this kernel does not know a flag
  }
  if (error != 0) return error;
  open_ = true;
  if (!has_what_it_takes()) return EOPNOTSUPP;
  return 0;
}

bool KernelRing::has_what_it_takes() noexcept {
  if ((ring_.features & IORING_FEAT_EXT_ARG) == 0 || (ring_.features & IORING_FEAT_NODROP) == 0)
    return false;
  bool all = true;
  for (const int operation : {IORING_OP_SENDMSG, IORING_OP_SEND, IORING_OP_RECV, IORING_OP_ACCEPT,
                              IORING_OP_CONNECT, IORING_OP_ASYNC_CANCEL, IORING_OP_POLL_ADD})
    all = all && kernel_->supports(ring_, operation);
  return all;
}

void KernelRing::poll() noexcept {
  // In deferred mode completions come only to a thread that asks, and a flag says whether that is worth the while.
  constexpr unsigned work = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  const bool work_flagged = (__atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & work) != 0;
  if (!work_flagged && ::io_uring_sq_ready(&ring_) == 0) return;
  ++counters_->enters;
  const int result = kernel_->poll(ring_);
  TWINWIRE_CHECK(harmless(result), "the kernel refused to be entered");
}

void KernelRing::wait(Duration timeout) noexcept {
  ++counters_->enters;
  ++counters_->waits;
  const int result = kernel_->wait(ring_, timeout);
  TWINWIRE_CHECK(harmless(result), "the kernel refused to be entered");
}

}  // namespace twinwire::real
