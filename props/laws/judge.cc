// SPDX-License-Identifier: Apache-2.0
#include "props/laws/judge.h"

namespace twinwire::laws {

void Judge::violate(std::string_view law, std::string detail) {
  if (deaf_ && deaf_()) return;
  ++count_;
  if (first_) return;
  first_ = Violation{std::string(law), std::move(detail)};
  if (told_) told_(*first_);
}

}  // namespace twinwire::laws
