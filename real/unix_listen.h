// SPDX-License-Identifier: Apache-2.0
// A listening Unix-domain socket and its file: which of those that lie about may be removed, and when.
#pragma once

#include <sys/types.h>

#include "real/unix_name.h"

namespace twinwire::real {

// The file of a listener; removed when this goes, unless another took its place meanwhile.
class UnixFile {
 public:
  UnixFile() noexcept = default;  // none: the name is abstract
  explicit UnixFile(const std::string& path);
  UnixFile(UnixFile&& other) noexcept { *this = std::move(other); }
  UnixFile& operator=(UnixFile&& other) noexcept;
  ~UnixFile();

 private:
  std::string path_;  // empty: none
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// Binds `fd` to the name and listens.
//
// Promise    A socket's file that nobody listens on (its owner was killed) is removed and made anew. One that somebody
//            listens on stays, and so does every file that is no socket. Two that start at one time on one path do not
//            remove each other's: a lock on the folder (flock(2)) keeps them apart, where the folder can be locked.
// Errors     unreachable: EADDRINUSE (somebody listens there) · ENOTSOCK (a file that is no socket is there) · ENOENT ·
//            ENOTDIR · EACCES · EROFS ... (the folder) · no_resources
Result<UnixFile> listen_on(int fd, const UnixName& name, int backlog);

}  // namespace twinwire::real
