// SPDX-License-Identifier: Apache-2.0
#include "real/unix_listen.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <utility>

namespace twinwire::real {
namespace {

class Opened {
 public:
  explicit Opened(int fd) noexcept : fd_(fd) {}
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() {
    if (fd_ >= 0) ::close(fd_);
  }
  int fd() const noexcept { return fd_; }

 private:
  int fd_;
};

// Whoever holds it does so for a few system calls. Not had within two seconds, or not to be had at all (a
// folder that may not be read, a file system without locks): on without it.
void lock(int folder) noexcept {
  constexpr timespec a_millisecond{0, 1'000'000};
  for (int tries = 0; tries < 2000 && ::flock(folder, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK && errno != EINTR) return;
    ::nanosleep(&a_millisecond, nullptr);
  }
}

Error file_error(int error) noexcept {
  const Error known = from_errno(error);
  return known == Errc::no_resources ? known : Error{Errc::unreachable, error};
}

// Removes the file if it is a socket's on which nobody listens. 0, or the errno that says why it stays.
int remove_if_dead(const UnixName& name) noexcept {
  struct stat file{};
  if (::lstat(name.text().c_str(), &file) != 0) return errno == ENOENT ? 0 : errno;
  if (!S_ISSOCK(file.st_mode)) return ENOTSOCK;
  const Opened probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (probe.fd() < 0) return errno;
  sockaddr_un address;
  const socklen_t length = name.write(address);
  // It is refused only where no socket has this file. EAGAIN: a full backlog; EPROTOTYPE: it has datagrams.
  if (::connect(probe.fd(), reinterpret_cast<const sockaddr*>(&address), length) == 0 ||
      errno != ECONNREFUSED)
    return EADDRINUSE;
  return ::unlink(name.text().c_str()) == 0 || errno == ENOENT ? 0 : errno;
}

}  // namespace

UnixFile::UnixFile(const std::string& path) : path_(path) {
  struct stat file{};
  if (::lstat(path_.c_str(), &file) != 0) path_.clear();
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

UnixFile& UnixFile::operator=(UnixFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(device_, other.device_);
  std::swap(inode_, other.inode_);
  return *this;
}

UnixFile::~UnixFile() {
  struct stat file{};
  if (!path_.empty() && ::lstat(path_.c_str(), &file) == 0 && file.st_dev == device_ &&
      file.st_ino == inode_)
    ::unlink(path_.c_str());
}

Result<UnixFile> listen_on(int fd, const UnixName& name, int backlog) {
  sockaddr_un address;
  const socklen_t length = name.write(address);
  const auto bind = [&] {
    return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0 ? 0 : errno;
  };
  if (name.is_abstract()) {
    if (const int error = bind(); error != 0) return file_error(error);
    if (::listen(fd, backlog) != 0) return file_error(errno);
    return UnixFile();
  }
  // Held until it listens: a socket that is bound and does not listen yet looks dead.
  const Opened folder(::open(name.folder().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.fd() >= 0) lock(folder.fd());
  int error = bind();
  if (error == EADDRINUSE) {
    error = remove_if_dead(name);
    if (error == 0) error = bind();
  }
  if (error != 0) return file_error(error);
  UnixFile file(name.text());
  if (::listen(fd, backlog) != 0) return file_error(errno);
  return file;
}

}  // namespace twinwire::real
