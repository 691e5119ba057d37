// SPDX-License-Identifier: Apache-2.0
// The capsule on disk: read whole, written whole or not at all.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/capsule.h"

namespace twinwire::cli {
namespace {

constexpr std::size_t capsule_bytes_max = std::size_t{256} << 20;

std::string reason() { return std::strerror(errno); }

// Closes on every way out.
struct File {
  int fd;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Capsule load_capsule(const std::string& path) {
  const auto unreadable = [&](const std::string& why) {
    return Failure(ExitCode::bad_usage, "cannot read the capsule " + path + ": " + why);
  };
  // Without waiting for a writer, should it be a FIFO.
  const File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) throw unreadable(reason());
  struct stat what{};
  if (::fstat(file.fd, &what) != 0) throw unreadable(reason());
  if (!S_ISREG(what.st_mode)) throw unreadable("it is not a regular file");
  std::string text;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ssize_t n = ::read(file.fd, buffer.data(), buffer.size());
    if (n < 0) throw unreadable(reason());
    if (n == 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(n));
    if (text.size() > capsule_bytes_max) throw unreadable("it is larger than any capsule");
  }
  return decode(text, path);
}

std::string save_capsule(const Capsule& capsule, const std::string& folder) {
  const std::string path = capsule_path(capsule, folder);
  write_capsule(capsule, path);
  return path;
}

void write_capsule(const Capsule& capsule, const std::string& path) {
  const auto unwritable = [&] {
    return Failure(ExitCode::environment, "cannot write the capsule " + path + ": " + reason());
  };
  std::error_code error;
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty())
    std::filesystem::create_directories(folder, error);
  if (error) {
    errno = error.value();
    throw unwritable();
  }
  const std::string unfinished = path + "." + std::to_string(::getpid()) + ".unfinished";
  File file{::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (file.fd < 0) throw unwritable();
  // The bytes reach the disk before the name does: after a power cut a capsule is whole or absent.
  const bool written = write_all(file.fd, encode(capsule)) && ::fsync(file.fd) == 0 &&
                       ::rename(unfinished.c_str(), path.c_str()) == 0;
  if (!written) {
    const int saved = errno;
    ::unlink(unfinished.c_str());
    errno = saved;
    throw unwritable();
  }
}

}  // namespace twinwire::cli
