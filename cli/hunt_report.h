// SPDX-License-Identifier: Apache-2.0
// What a hunt prints of its result, and what the merge of its shards prints alike.
#pragma once

#include "cli/hunt_result.h"

namespace twinwire::cli {

// How many seeds ran and how quickly, all hashes together, and what each fault did. `ran`: the first words.
void print_result(const HuntResult& result, const char* ran);

// Throws Failure(bad_usage) where a knob was given that no run read.
// Of the first knob that no run read, in a sentence. Requires that there is one.
std::string about_unread_knob(const HuntResult& result);
void require_knobs_read(const HuntResult& result);

}  // namespace twinwire::cli
