// SPDX-License-Identifier: Apache-2.0
#include "real/probe.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "real/kernel_ring.h"
#include "real/refused_call.h"

namespace twinwire::real {
namespace {

// The value of kernel.io_uring_disabled (Linux 6.6): 0 no, 1 for the unprivileged, 2 for all; 0 where unknown.
char disabled_by_sysctl() noexcept {
  const int fd = ::open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return '0';
  char value = '0';
  if (::read(fd, &value, 1) != 1) value = '0';
  ::close(fd);
  return value;
}

// The end of a sentence: which call is denied, where that is not the first of them; otherwise empty.
std::string denied_later(int os_errno) {
  const RefusedCall refused = refused_call();
  const std::string name = refused.name;
  if (refused.error != os_errno || name == "io_uring_setup") return "";
  return ": " + name +
         "(2) is denied and io_uring_setup(2) is not, so a filter does it, such as a container's "
         "seccomp profile; allow io_uring_setup, io_uring_enter and io_uring_register there";
}

}  // namespace

Error probe_error(int os_errno) noexcept {
  switch (os_errno) {
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EAGAIN: return {Errc::no_resources, os_errno};
    default: return {Errc::unsupported, os_errno};
  }
}

Result<RingMode> probe(const RingOptions& options) {
  Counters counters;
  KernelRing ring(Kernel::native(), counters);
  if (const int error = ring.open(options); error != 0) return probe_error(error);
  return ring.mode();
}

std::string explain_no_ring(const Error& error) {
  const char* name = error.os_errno != 0 ? ::strerrorname_np(error.os_errno) : nullptr;
  std::string text = "io_uring cannot be used here";
  if (name != nullptr) text += std::string(" (") + name + ")";
  switch (error.os_errno) {
    case ENOSYS:
      if (const std::string denied = denied_later(ENOSYS); !denied.empty()) return text + denied;
      return text +
             ": this kernel has no io_uring, or a container hides it; run on Linux 6.1 or later, "
             "and allow"
             " the io_uring system calls in the container's seccomp profile";
    case EPERM:
    case EACCES:
      if (const std::string denied = denied_later(error.os_errno); !denied.empty())
        return text + denied;
      if (disabled_by_sysctl() != '0')
        return text + ": the sysctl kernel.io_uring_disabled forbids it; set it to 0";
      return text +
             ": a security policy forbids it, as container runtimes do by default; allow "
             "io_uring_setup,"
             " io_uring_enter and io_uring_register in the container's seccomp profile";
    case ENOMEM:
      return text +
             ": the kernel may not lock enough memory for it; raise RLIMIT_MEMLOCK (ulimit -l) or "
             "the"
             " container's memory limit";
    case EMFILE:
    case ENFILE:
      return text + ": there are no file descriptors left; raise RLIMIT_NOFILE (ulimit -n)";
    case EOPNOTSUPP:
    case EINVAL: return text + ": this kernel's io_uring is too old; run on Linux 6.1 or later";
    default:
      return text + ": its set-up failed; run on Linux 6.1 or later, where it is known to work";
  }
}

}  // namespace twinwire::real
