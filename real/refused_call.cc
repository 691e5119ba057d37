// SPDX-License-Identifier: Apache-2.0
#include "real/refused_call.h"

#include <array>
#include <cerrno>
#include <cstddef>

namespace twinwire::real {
namespace {

// As filters answer; anything else is the kernel's own objection, and says nothing of the call.
bool is_refusal(int error) noexcept { return error == EPERM || error == EACCES || error == ENOSYS; }

}  // namespace

RefusedCall refused_call(io_uring& ring) noexcept {
  // A probe that has room for no operation.
  alignas(io_uring_probe) std::array<std::byte, sizeof(io_uring_probe)> room{};
  auto* const nothing = reinterpret_cast<io_uring_probe*>(room.data());
  if (const int error = -::io_uring_register_probe(&ring, nothing, 0); is_refusal(error))
    return {"io_uring_register", error};
  if (const int error = -::io_uring_get_events(&ring); is_refusal(error))
    return {"io_uring_enter", error};
  return {};
}

RefusedCall refused_call() noexcept {
  io_uring ring{};
  io_uring_params params{};
  if (const int error = -::io_uring_queue_init_params(1, &ring, &params); error != 0)
    return is_refusal(error) ? RefusedCall{"io_uring_setup", error} : RefusedCall{};
  const RefusedCall refused = refused_call(ring);
  ::io_uring_queue_exit(&ring);
  return refused;
}

}  // namespace twinwire::real
