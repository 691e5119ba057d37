// SPDX-License-Identifier: Apache-2.0
#include "cli/key_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "cli/exit_code.h"

namespace twinwire::cli {
namespace {

class KeyLogFile {
 public:
  explicit KeyLogFile(const std::string& path) : path_(path) {
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    struct stat file{};
    if (descriptor_ < 0 || ::fstat(descriptor_, &file) != 0) fail(std::strerror(errno));
    if (S_ISREG(file.st_mode) && (file.st_mode & 077) != 0)
      fail("others may read it, and it is to hold secrets; chmod 600 it, or name a new file");
  }
  KeyLogFile(const KeyLogFile&) = delete;
  KeyLogFile& operator=(const KeyLogFile&) = delete;
  ~KeyLogFile() { shut(); }

  void append(std::string_view line) {
    const std::string whole = std::string(line) + "\n";
    const auto size = static_cast<ssize_t>(whole.size());
    if (::write(descriptor_, whole.data(), whole.size()) == size || told_) return;
    told_ = true;
    std::fprintf(stderr, "twinwire: the key log %s is incomplete: %s\n", path_.c_str(),
                 std::strerror(errno));
  }

 private:
  [[noreturn]] void fail(const char* why) {
    shut();
    bad_usage("cannot keep a key log in " + path_ + ": " + why);
  }
  void shut() noexcept {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

  std::string path_;
  int descriptor_ = -1;
  bool told_ = false;
};

}  // namespace

std::function<void(std::string_view line)> key_log_to(const std::string& path) {
  return [file = std::make_shared<KeyLogFile>(path)](std::string_view line) { file->append(line); };
}

}  // namespace twinwire::cli
