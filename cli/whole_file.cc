// SPDX-License-Identifier: Apache-2.0
#include "cli/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/exit_code.h"

namespace twinwire::cli {
namespace {

constexpr std::size_t file_bytes_max = std::size_t{256} << 20;

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

Failure unwritable(const std::string& path, std::string_view noun, const std::string& why) {
  return {ExitCode::environment, "cannot write the " + std::string(noun) + " " + path + ": " + why};
}

// Where the bytes are to go: behind every symlink, whether something stands there yet or not. Refuses what a file must
// not take the place of: a folder, a device, a FIFO, a socket.
std::string regular_target(const std::string& path, std::string_view noun) {
  constexpr int links_max = 40;
  std::filesystem::path at = path;
  for (int links = 0; links < links_max; ++links) {
    struct stat what{};
    if (::lstat(at.c_str(), &what) != 0) {
      if (errno != ENOENT) throw unwritable(path, noun, reason());
      return at.string();
    }
    if (S_ISREG(what.st_mode)) return at.string();
    if (S_ISDIR(what.st_mode)) throw unwritable(path, noun, "it is a folder");
    if (!S_ISLNK(what.st_mode)) throw unwritable(path, noun, "it is not a regular file");
    // Some links of /proc lead elsewhere than their text says: asked for first is what they lead to.
    struct stat behind{};
    if (::stat(at.c_str(), &behind) == 0 && !S_ISREG(behind.st_mode))
      throw unwritable(path, noun,
                       S_ISDIR(behind.st_mode) ? "it is a folder" : "it is not a regular file");
    std::error_code error;
    const std::filesystem::path to = std::filesystem::read_symlink(at, error);
    if (error) throw unwritable(path, noun, error.message());
    at = at.parent_path() / to;  // which is `to` alone where that is absolute
  }
  throw unwritable(path, noun, std::strerror(ELOOP));
}

}  // namespace

std::string read_whole_file(const std::string& path, std::string_view noun) {
  const auto unreadable = [&](const std::string& why) {
    return Failure(ExitCode::bad_usage,
                   "cannot read the " + std::string(noun) + " " + path + ": " + why);
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
    if (text.size() > file_bytes_max)
      throw unreadable("it is larger than any " + std::string(noun));
  }
  return text;
}

void write_whole_file(const std::string& path, std::string_view text, std::string_view noun) {
  const std::string target = regular_target(path, noun);
  const std::string unfinished = target + "." + std::to_string(::getpid()) + ".unfinished";
  File file{
      ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666)};
  if (file.fd < 0) throw unwritable(path, noun, reason());
  // The bytes reach the disk before the name does.
  const bool written = write_all(file.fd, text) && ::fsync(file.fd) == 0 &&
                       ::rename(unfinished.c_str(), target.c_str()) == 0;
  if (!written) {
    const std::string why = reason();
    ::unlink(unfinished.c_str());
    throw unwritable(path, noun, why);
  }
}

void write_new_secret(const std::string& path, std::string_view text, std::string_view noun) {
  const File file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (file.fd < 0) throw unwritable(path, noun, reason());
  if (write_all(file.fd, text)) return;
  const std::string why = reason();
  ::unlink(path.c_str());
  throw unwritable(path, noun, why);
}

void require_name(const std::string& path, const std::string& option) {
  if (path.empty()) bad_usage(option + " needs the name of a file");
  // It will stand in a line of a capsule or a result.
  if (path.find_first_of("\n\r") != std::string::npos)
    bad_usage(option + " needs a name without line breaks");
}

void make_folder_of(const std::string& path, std::string_view noun) {
  std::error_code error;
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty())
    std::filesystem::create_directories(folder, error);
  if (error) throw unwritable(path, noun, std::strerror(error.value()));
}

void require_writable(const std::string& path, std::string_view noun) {
  std::filesystem::path folder = std::filesystem::path(regular_target(path, noun)).parent_path();
  if (folder.empty()) folder = ".";
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return;
  throw unwritable(path, noun,
                   errno == ENOENT ? "there is no folder " + folder.string() : reason());
}

}  // namespace twinwire::cli
