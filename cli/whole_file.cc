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

void make_folder_of(const std::string& path, std::string_view noun) {
  std::error_code error;
  if (const auto folder = std::filesystem::path(path).parent_path(); !folder.empty())
    std::filesystem::create_directories(folder, error);
  if (error) throw unwritable(path, noun, std::strerror(error.value()));
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
  make_folder_of(path, noun);
  const std::string unfinished = path + "." + std::to_string(::getpid()) + ".unfinished";
  File file{::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)};
  if (file.fd < 0) throw unwritable(path, noun, reason());
  // The bytes reach the disk before the name does.
  const bool written = write_all(file.fd, text) && ::fsync(file.fd) == 0 &&
                       ::rename(unfinished.c_str(), path.c_str()) == 0;
  if (!written) {
    const std::string why = reason();
    ::unlink(unfinished.c_str());
    throw unwritable(path, noun, why);
  }
}

void require_writable(const std::string& path, std::string_view noun) {
  make_folder_of(path, noun);
  std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (folder.empty()) folder = ".";
  if (::access(folder.c_str(), W_OK | X_OK) != 0) throw unwritable(path, noun, reason());
  std::error_code none;
  if (std::filesystem::is_directory(path, none)) throw unwritable(path, noun, "it is a folder");
}

}  // namespace twinwire::cli
