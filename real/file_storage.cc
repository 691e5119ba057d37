// SPDX-License-Identifier: Apache-2.0
#include "real/file_storage.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include "transport/base/check.h"

namespace twinwire::real {
namespace {

// The name of a file that was just made is safe once its folder is synced. False: errno tells.
bool sync_folder_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool synced = ::fsync(fd) == 0 || errno == EINVAL;  // some file systems sync no folders
  const int error = errno;
  ::close(fd);
  errno = error;
  return synced;
}

std::string in_words(int error) {
  std::string text = std::strerror(error);
  if (const char* name = ::strerrorname_np(error)) text += std::string(" (") + name + ")";
  if (error == ENOSPC || error == EDQUOT)
    text += "; make room and start this replica again: what was acknowledged is safe";
  if (error == EFBIG)
    text +=
        "; files may not grow beyond a limit here (ulimit -f, or the file system's): raise it and "
        "start this replica again: what was acknowledged is safe";
  if (error == EMFILE || error == ENFILE) text += "; raise the limit of open files (ulimit -n)";
  if (error == EACCES || error == EPERM || error == EROFS)
    text += "; give this user the right to read and write there, or choose another place";
  if (error == ENOENT || error == ENOTDIR) text += "; make its folder first";
  if (error == EIO)
    text +=
        "; the disk may be failing, and what was written last may not be there: look at the "
        "kernel's log before this replica is started again";
  return text;
}

}  // namespace

Result<std::unique_ptr<FileStorage>> FileStorage::open(Ring& ring, const std::string& path,
                                                       std::string& why) {
  const auto refuse = [&](const std::string& what, int error) -> Error {
    why = "the log " + path + " " + what;
    if (error != 0) why += ": " + in_words(error);
    return error == 0 ? Error{Errc::broken, 0} : from_errno(error);
  };
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return refuse("cannot be opened", errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(fd);
    if (error != EWOULDBLOCK) return refuse("cannot be locked", error);
    (void)refuse("is in use: another process has it open", 0);
    return Errc::backpressure;
  }
  // Not before: until it let go of the lock its owner may have written.
  struct stat status{};
  const bool known = ::fstat(fd, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const int error = known ? 0 : errno;
    ::close(fd);
    return refuse("is no regular file", error);
  }
  // It may have been made just now, or by a process that got no further.
  if (status.st_size == 0 && !sync_folder_of(path)) {
    const int error = errno;
    ::close(fd);
    return refuse("is new, and its folder cannot be synced", error);
  }
  DescriptorRef file = ring.core().adopt(fd);
  if (!file) {
    (void)refuse("cannot be opened: there is no memory", 0);
    return Errc::no_resources;
  }
  return std::unique_ptr<FileStorage>(new FileStorage(
      std::move(file), path, static_cast<std::uint64_t>(status.st_size), ring.scheduler()));
}

// Closing would not do: a thread of the kernel may still refer to the file for a moment after it has told the end of a
// sync, and the lock is the file's (flock(2)).
FileStorage::~FileStorage() { (void)::flock(file_->fd(), LOCK_UN); }

Result<void> FileStorage::fail(Error error) {
  problem_ = path_ + ": " + (error.os_errno != 0 ? in_words(error.os_errno) : to_string(error));
  return error;
}

Result<void> FileStorage::read(std::uint64_t at, std::span<std::byte> into) {
  while (reading_)
    if (readers_.wait(*scheduler_, Deadline::never(), "another read of the log") == Wake::canceled)
      return Errc::canceled;
  reading_ = true;
  struct Done {
    ~Done() {
      storage->reading_ = false;
      storage->readers_.wake_one(*storage->scheduler_);
    }
    FileStorage* storage;
  } const done{this};
  while (!into.empty()) {
    io_uring_sqe request{};
    const auto n = static_cast<unsigned>(std::min<std::size_t>(into.size(), 1U << 30));
    ::io_uring_prep_read(&request, file_->fd(), into.data(), n, at);
    const Completion got = file_->perform(Direction::in, request, Deadline::never(), "the log");
    if (got.result < 0) return fail(error_of(got));
    if (got.result == 0) return fail({Errc::broken, 0});  // it was cut by somebody else
    at += static_cast<std::uint64_t>(got.result);
    into = into.subspan(static_cast<std::size_t>(got.result));
  }
  return {};
}

Result<void> FileStorage::write(std::span<iovec> pieces, std::uint64_t at) {
  while (!pieces.empty()) {
    io_uring_sqe request{};
    const auto n = static_cast<unsigned>(std::min<std::size_t>(pieces.size(), IOV_MAX));
    ::io_uring_prep_writev(&request, file_->fd(), pieces.data(), n, at);
    const Completion put = file_->perform(Direction::out, request, Deadline::never(), "the log");
    if (put.result < 0) return fail(error_of(put));
    if (put.result == 0) return fail({Errc::broken, ENOSPC});
    at += static_cast<std::uint64_t>(put.result);
    auto left = static_cast<std::size_t>(put.result);
    while (!pieces.empty() && left >= pieces.front().iov_len) {
      left -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (left == 0) continue;
    pieces.front().iov_base = static_cast<std::byte*>(pieces.front().iov_base) + left;
    pieces.front().iov_len -= left;
  }
  return {};
}

Result<void> FileStorage::append(std::span<const std::span<const std::byte>> pieces) {
  gathered_.clear();
  std::uint64_t bytes = 0;
  for (const std::span<const std::byte> piece : pieces) {
    gathered_.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
    bytes += piece.size();
  }
  if (auto written = write(gathered_, size_); !written) return written;
  size_ += bytes;
  return {};
}

Result<void> FileStorage::sync_with(unsigned flags) {
  io_uring_sqe request{};
  ::io_uring_prep_fsync(&request, file_->fd(), flags);
  const Completion synced =
      file_->perform(Direction::out, request, Deadline::never(), "a sync of the log");
  if (synced.result < 0) return fail(error_of(synced));
  return {};
}

Result<void> FileStorage::sync() { return sync_with(IORING_FSYNC_DATASYNC); }

// Written again, byte for byte, in place: so that the kernel, whatever it believes, has something to sync.
Result<void> FileStorage::settle(std::uint64_t from) {
  std::vector<std::byte> bytes(std::min<std::uint64_t>(size_ - from, 1U << 20));
  for (std::uint64_t at = from; at < size_;) {
    const std::span<std::byte> part(bytes.data(),
                                    std::min<std::uint64_t>(bytes.size(), size_ - at));
    if (auto got = read(at, part); !got) return got;
    iovec piece{part.data(), part.size()};
    if (auto put = write({&piece, 1}, at); !put) return put;
    at += part.size();
  }
  return sync_with(0);
}

Result<void> FileStorage::truncate(std::uint64_t size) {
  if (::ftruncate(file_->fd(), static_cast<off_t>(size)) != 0) return fail(from_errno(errno));
  size_ = size;
  return sync_with(0);
}

}  // namespace twinwire::real
