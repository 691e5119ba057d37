// SPDX-License-Identifier: Apache-2.0
#include "props/fake_kernel/watch.h"

#include <algorithm>
#include <string>

namespace twinwire::fake {
namespace {

// A ring that sleeps so long though what it waits for is there will not wake.
constexpr Duration sleep_max = std::chrono::seconds(2);

// One call, from its beginning on.
class Call {
 public:
  Call(FakeKernel& kernel, real::RingCore& core, FakeFile& file, Direction direction,
       const char* name, Deadline deadline)
      : kernel_(&kernel),
        core_(&core),
        file_(&file),
        direction_(direction),
        name_(name),
        deadline_(deadline),
        began_(kernel.world().now()) {}

  // `explained`: something else than the kernel accounts for `broken`. `there_since`: from when on the ring itself had
  // what was asked for.
  void returned(const Error* error, bool explained, TimePoint there_since = TimePoint::never()) {
    if (kernel_->in_flight(*file_, direction_) != 0)
      violate("ring_memory", "returned, and its operation is in flight");
    if (error == nullptr) return;
    Scheduler& scheduler = core_->scheduler();
    const TimePoint now = kernel_->world().now();
    switch (error->code) {
      case Errc::timed_out:
        if (now < deadline_.at) violate("ring_errors", "timed out before its time");
        break;
      case Errc::canceled:
        // close() interrupts a read without telling its fiber to stop; an errno would be the kernel's word.
        if ((direction_ == Direction::out && !scheduler.cancel_pending()) || error->os_errno != 0)
          violate("ring_errors", "was canceled by nobody");
        break;
      case Errc::no_resources: break;
      default:
        if (!explained && !file_->failure_told)
          violate("ring_errors", "failed with " + to_string(*error) + ", and no operation did");
    }
    const TimePoint since =
        std::min(file_->ready_since[static_cast<std::size_t>(direction_)], there_since);
    // A read may wait for a buffer to come back as long as all are lent out: now, or until the ring last slept.
    const bool starved = core_->receive_buffers().lent() >= core_->options().receive_buffers_max;
    const TimePoint could =
        starved ? now : std::max({began_, since, kernel_->starved_until(*core_)});
    if (since != TimePoint::never() && !explained && now - could > sleep_max)
      violate("ring_progress", "waited, though it could have gone on");
  }

 private:
  void violate(const char* law, const std::string& what) {
    kernel_->judge().violate(law,
                             std::string(name_) + " at " + to_string(file_->local) + " " + what);
  }

  FakeKernel* kernel_;
  real::RingCore* core_;
  FakeFile* file_;
  Direction direction_;
  const char* name_;
  Deadline deadline_;
  TimePoint began_;
};

class WatchedStream final : public ByteStream {
 public:
  WatchedStream(std::unique_ptr<ByteStream> inner, FakeKernel& kernel, real::RingCore& core,
                FakeFile& file)
      : inner_(std::move(inner)), kernel_(&kernel), core_(&core), file_(&file) {}

  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) override {
    Call call(*kernel_, *core_, *file_, Direction::out, "write", deadline);
    auto written = inner_->write(pieces, deadline);
    call.returned(written ? nullptr : &written.error(), aborted_ || shut_);
    return written;
  }
  Result<Slice> read(Deadline deadline) override {
    Call call(*kernel_, *core_, *file_, Direction::in, "read", deadline);
    auto slice = inner_->read(deadline);
    call.returned(slice ? nullptr : &slice.error(), aborted_, there_since());
    if (slice) got(slice->size());
    return slice;
  }
  Result<std::size_t> read_into(std::span<std::byte> into, Deadline deadline) override {
    Call call(*kernel_, *core_, *file_, Direction::in, "read", deadline);
    auto n = inner_->read_into(into, deadline);
    call.returned(n ? nullptr : &n.error(), aborted_, there_since());
    if (n) got(*n);
    return n;
  }
  Result<void> shutdown_write(Deadline deadline) override {
    shut_ = true;
    return inner_->shutdown_write(deadline);
  }
  void abort() noexcept override {
    aborted_ = true;
    inner_->abort();
  }
  Address local() const noexcept override { return inner_->local(); }
  Address peer() const noexcept override { return inner_->peer(); }

 private:
  TimePoint there_since() const noexcept {
    return file_->received > received_ ? file_->received_at : TimePoint::never();
  }
  void got(std::size_t n) {
    received_ += n;
    if (n == 0 && !file_->end_told)
      kernel_->judge().violate("ring_end", "a read brought an end that the kernel did not tell");
    if (n == 0 && file_->reset_told)
      kernel_->judge().violate("ring_end", "a read brought an end after a reset was met");
    if (received_ > file_->received)
      kernel_->judge().violate("ring_end", "a read brought bytes that the kernel did not give");
  }

  std::unique_ptr<ByteStream> inner_;
  FakeKernel* kernel_;
  real::RingCore* core_;
  FakeFile* file_;
  std::uint64_t received_ = 0;
  bool aborted_ = false;
  bool shut_ = false;
};

class WatchedAcceptor final : public Acceptor {
 public:
  WatchedAcceptor(std::unique_ptr<Acceptor> inner, FakeKernel& kernel, real::RingCore& core,
                  FakeFile& file)
      : inner_(std::move(inner)), kernel_(&kernel), core_(&core), file_(&file) {}

  Result<std::unique_ptr<ByteStream>> accept(Deadline deadline) override {
    Call call(*kernel_, *core_, *file_, Direction::in, "accept", deadline);
    auto stream = inner_->accept(deadline);
    call.returned(stream ? nullptr : &stream.error(), false);
    if (!stream) return stream;
    FakeFile* const accepted = kernel_->stream_between((*stream)->local(), (*stream)->peer());
    if (accepted == nullptr) return stream;  // a reset took its peer's address
    return watch(std::move(*stream), *kernel_, *core_, *accepted);
  }
  Address local() const noexcept override { return inner_->local(); }

 private:
  std::unique_ptr<Acceptor> inner_;
  FakeKernel* kernel_;
  real::RingCore* core_;
  FakeFile* file_;
};

}  // namespace

std::unique_ptr<ByteStream> watch(std::unique_ptr<ByteStream> stream, FakeKernel& kernel,
                                  real::RingCore& core, FakeFile& file) {
  return std::make_unique<WatchedStream>(std::move(stream), kernel, core, file);
}

std::unique_ptr<Acceptor> watch(std::unique_ptr<Acceptor> acceptor, FakeKernel& kernel,
                                real::RingCore& core, FakeFile& file) {
  return std::make_unique<WatchedAcceptor>(std::move(acceptor), kernel, core, file);
}

}  // namespace twinwire::fake
