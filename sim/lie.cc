// SPDX-License-Identifier: Apache-2.0
#include "sim/lie.h"

namespace twinwire::sim {

#ifdef TWINWIRE_PLANTS
Lie lie_told = Lie::none;
#endif

}  // namespace twinwire::sim
