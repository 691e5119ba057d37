// SPDX-License-Identifier: Apache-2.0
#include "real/machine.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "real/probe.h"
#include "real/socket_option.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

namespace twinwire::real {
namespace {

std::optional<std::uint64_t> sysctl(const char* path) {
  std::uint64_t value = 0;
  if (std::ifstream(std::string("/proc/sys/") + path) >> value) return value;
  return std::nullopt;
}

void look_at_limits(Machine& machine) {
  rlimit limit{};
  const auto number = [](rlim_t value) -> std::uint64_t {
    return value == RLIM_INFINITY ? UINT64_MAX : value;
  };
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    machine.descriptors = number(limit.rlim_cur);
    machine.descriptors_max = number(limit.rlim_max);
  }
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) machine.locked_bytes = number(limit.rlim_cur);
  machine.somaxconn = sysctl("net/core/somaxconn");
  machine.rmem_max = sysctl("net/core/rmem_max");
  machine.max_map_count = sysctl("vm/max_map_count");
}

void look_at_datagrams(Machine& machine) noexcept {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    machine.descriptors_ran_out |= errno == EMFILE || errno == ENFILE;
    return;
  }
  constexpr int any_size = 1200;
  machine.udp_segments = set_option(fd, IPPROTO_UDP, UDP_SEGMENT, any_size);
  machine.udp_coalesces = set_option(fd, IPPROTO_UDP, UDP_GRO, 1);
  ::close(fd);
}

bool has_cheap_guards() noexcept {
  constexpr std::size_t guard_bytes = 4096;
  void* memory =
      ::mmap(nullptr, guard_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  const bool has = ::madvise(memory, guard_bytes, MADV_GUARD_INSTALL) == 0;
  ::munmap(memory, guard_bytes);
  return has;
}

}  // namespace

Machine look_at_machine(const RingOptions& options) {
  Machine machine;
  machine.ring = probe(options);
  if (machine.ring) {
    if (const auto features = examine_ring())
      machine.features = *features;
    else
      machine.descriptors_ran_out = true;
  }
  look_at_limits(machine);
  look_at_datagrams(machine);
  machine.cheap_guards = has_cheap_guards();
  return machine;
}

}  // namespace twinwire::real
