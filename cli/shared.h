// SPDX-License-Identifier: Apache-2.0
// Shared<T>: an object in memory that this process and the children it forks both see.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <string>

#include "cli/exit_code.h"

namespace twinwire::cli {

// An array of `count` value-initialised T. Never destroyed element by element: T holds plain data and atomics.
template <class T>
class Shared {
 public:
  explicit Shared(std::size_t count = 1) : size_(count * sizeof(T)) {
    void* memory = ::mmap(nullptr, size_ == 0 ? 1 : size_, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw Failure(ExitCode::environment,
                    "no memory to share with the workers: " + std::string(std::strerror(errno)));
    // Fresh pages are zero, which is the value of every member here; only atomics need their lifetime begun.
    values_ = static_cast<T*>(memory);
    if constexpr (!std::is_trivially_default_constructible_v<T>)
      for (std::size_t i = 0; i < count; ++i) new (values_ + i) T{};
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { ::munmap(values_, size_ == 0 ? 1 : size_); }

  T& operator[](std::size_t i) noexcept { return values_[i]; }
  const T& operator[](std::size_t i) const noexcept { return values_[i]; }
  T& operator*() noexcept { return *values_; }
  T* operator->() noexcept { return values_; }
  const T* operator->() const noexcept { return values_; }

 private:
  std::size_t size_;
  T* values_;
};

}  // namespace twinwire::cli
