// SPDX-License-Identifier: Apache-2.0
// Census: is told of every choice that a world asks for, also where it is 0. So a benign run shows under which keys
// something could have gone wrong, and how much: what is needed to try all of it.
#pragma once

#include <cstdint>

#include "sim/run_hash.h"
#include "sim/site.h"

namespace twinwire::sim {

class Census {
 public:
  // A choice in [0, bound] is made under (site, entity, occurrence).
  virtual void on_asked(Site site, EntityId entity, std::uint64_t occurrence,
                        std::uint64_t bound) noexcept = 0;

 protected:
  ~Census() = default;
};

}  // namespace twinwire::sim
