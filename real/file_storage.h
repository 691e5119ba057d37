// SPDX-License-Identifier: Apache-2.0
// FileStorage: what a replicated log is kept in, in production: a file, read, written and synced through the ring, so
// that a slow disk holds up nobody but who waits for it.
//
// The file is locked (flock(2)) while it is open: two processes never write one log.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <string>
#include <vector>

#include "real/descriptor.h"
#include "real/ring.h"
#include "transport/fiber/wait_queue.h"
#include "transport/log/storage.h"

namespace twinwire::real {

class FileStorage final : public log::Storage {
 public:
  // Opens that file, and makes it where there is none, its name synced with it. Blocks for as long as the disk takes.
  // Outlived by the ring.
  // Errors     unreachable, broken (it cannot be opened, or is none) · backpressure (another process has it) ·
  //            no_resources; `why` is a sentence for a person
  static Result<std::unique_ptr<FileStorage>> open(Ring& ring, const std::string& path,
                                                   std::string& why);

  // The next who opens the file finds it free.
  ~FileStorage() override;

  std::uint64_t size() const noexcept override { return size_; }
  Result<void> read(std::uint64_t at, std::span<std::byte> into) override;
  Result<void> append(std::span<const std::span<const std::byte>> pieces) override;
  Result<void> sync() override;
  Result<void> settle(std::uint64_t from) override;
  Result<void> truncate(std::uint64_t size) override;
  std::string problem() const override { return problem_; }

 private:
  FileStorage(DescriptorRef file, std::string path, std::uint64_t size, Scheduler& scheduler)
      : file_(std::move(file)), path_(std::move(path)), size_(size), scheduler_(&scheduler) {}

  Result<void> write(std::span<iovec> pieces, std::uint64_t at);
  Result<void> sync_with(unsigned flags);
  Result<void> fail(Error error);

  DescriptorRef file_;
  std::string path_;
  std::uint64_t size_;
  Scheduler* scheduler_;
  bool reading_ = false;  // one read at a time: a descriptor has one operation in each direction
  WaitQueue readers_;
  std::vector<iovec> gathered_;
  std::string problem_;
};

}  // namespace twinwire::real
