// SPDX-License-Identifier: Apache-2.0
// Everything under handle_fault() is async-signal-safe: no lock, no heap, no stdio; system calls and stack memory only.
#include "transport/fiber/overflow.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <csignal>
#include <cstdint>
#include <cstring>

#include "transport/base/check.h"

namespace twinwire {
namespace {

constexpr std::size_t signal_stack_size = 64 * 1024;

// What a signal handler cannot be given: sigaction(2) takes a function and no argument, and is itself the process's. No
// other code reads it.
struct Installed {
  std::size_t slot_size = 0;
  struct sigaction previous_segv{};
  struct sigaction previous_bus{};
};
constinit Installed installed;

// Copies memory that may not be readable: false instead of a second fault.
bool read_safely(std::uintptr_t from, void* to, std::size_t size) noexcept {
  const iovec local{to, size};
  const iovec remote{reinterpret_cast<void*>(from), size};
  return ::process_vm_readv(::getpid(), &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

// Text that is put together on the stack and written at once.
class Line {
 public:
  void add(const char* text) noexcept {
    for (; *text != '\0' && size_ < text_.size(); ++text) text_[size_++] = *text;
  }
  void add(std::size_t number) noexcept {
    std::array<char, 24> digits{};
    std::size_t at = digits.size() - 1;
    do digits[--at] = static_cast<char>('0' + number % 10);
    while ((number /= 10) != 0);
    add(&digits[at]);
  }
  void write() const noexcept {
    [[maybe_unused]] const auto ignored = ::write(STDERR_FILENO, text_.data(), size_);
  }

 private:
  std::array<char, 160> text_;
  std::size_t size_ = 0;
};

bool report_overflow(std::uintptr_t address) noexcept {
  const std::uintptr_t base = address & ~(installed.slot_size - 1);
  if (address - base >= StackPool::guard_size) return false;
  StackLabel label;
  if (!read_safely(base + installed.slot_size - sizeof label, &label, sizeof label)) return false;
  if (label.magic != StackLabel::magic_value || label.fiber == nullptr) return false;
  // The fiber's control block lies on its own stack: a label that points elsewhere is no label.
  const auto name_at = reinterpret_cast<std::uintptr_t>(label.name);
  std::array<char, 41> name{};
  if (name_at - base >= installed.slot_size - name.size() ||
      !read_safely(name_at, name.data(), name.size() - 1))
    return false;
  Line line;
  line.add("twinwire: stack overflow in fiber '");
  line.add(name.data());
  line.add("' (slot of ");
  line.add(installed.slot_size / 1024);
  line.add(" KiB)\n");
  line.write();
  return true;
}

void die_by(int signal) noexcept {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  // A fault happens again when the instruction is tried again, and this time it kills; what was sent by kill(2) does
  // not.
  ::raise(signal);
}

void handle_fault(int signal, siginfo_t* info, void* context) noexcept {
  const bool by_the_kernel = info->si_code > 0;
  if (by_the_kernel && report_overflow(reinterpret_cast<std::uintptr_t>(info->si_addr))) {
    die_by(signal);
    return;
  }
  const struct sigaction& previous =
      signal == SIGBUS ? installed.previous_bus : installed.previous_segv;
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler == SIG_DFL ||
             (previous.sa_handler == SIG_IGN &&
              by_the_kernel)) {  // the kernel lets nobody ignore a fault
    die_by(signal);
  } else if (previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  }
}

bool have_signal_stack() noexcept {
  stack_t present{};
  if (::sigaltstack(nullptr, &present) != 0) return false;
  if ((present.ss_flags & SS_DISABLE) == 0) return true;
  void* memory = ::mmap(nullptr, signal_stack_size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  stack_t ours{};
  ours.ss_sp = memory;
  ours.ss_size = signal_stack_size;
  if (::sigaltstack(&ours, nullptr) == 0) return true;
  ::munmap(memory, signal_stack_size);
  return false;
}

bool handle(int signal, struct sigaction& previous) noexcept {
  struct sigaction present{};
  if (::sigaction(signal, nullptr, &present) != 0) return false;
  if ((present.sa_flags & SA_SIGINFO) != 0 && present.sa_sigaction == &handle_fault) return true;
  struct sigaction ours{};
  ours.sa_sigaction = &handle_fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&ours.sa_mask);
  previous = present;
  return ::sigaction(signal, &ours, nullptr) == 0;
}

}  // namespace

bool install_stack_overflow_report(std::size_t slot_size) noexcept {
  TWINWIRE_CHECK(std::has_single_bit(slot_size) && slot_size >= 16 * 1024,
                 "a stack slot is a power of two of at least 16 KiB");
  if (!have_signal_stack()) return false;
  installed.slot_size = slot_size;
  return handle(SIGSEGV, installed.previous_segv) && handle(SIGBUS, installed.previous_bus);
}

}  // namespace twinwire
