// SPDX-License-Identifier: Apache-2.0
// The plan of a traffic run as numbers under names ("conn0.client.batch1.messages"), each of which can be set as a
// knob. So a failing run's plan shrinks, and its connections and batches keep their numbers while others go.
#pragma once

#include "props/laws/env.h"
#include "props/laws/traffic_plan.h"

namespace twinwire::laws {

// Puts in what is set, and tells the Env what is not. To be called where env.shaping().
void reshape(TrafficPlan& plan, Env& env);

}  // namespace twinwire::laws
