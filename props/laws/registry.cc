// SPDX-License-Identifier: Apache-2.0
#include "props/laws/registry.h"

#include "transport/base/check.h"

namespace twinwire::laws {

const ScenarioEntry* Registry::find(std::string_view name) const noexcept {
  for (const ScenarioEntry& entry : entries_)
    if (entry.name == name) return &entry;
  return nullptr;
}

void Registry::add_entry(ScenarioEntry entry) {
  TWINWIRE_CHECK(find(entry.name) == nullptr, "two scenarios of one name");
  entries_.push_back(entry);
}

}  // namespace twinwire::laws
