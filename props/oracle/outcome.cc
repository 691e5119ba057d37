// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/outcome.h"

namespace twinwire::oracle {

std::string to_text(const Outcome& outcome) {
  std::string text;
  switch (outcome.kind) {
    case Kind::absent: return "-";
    case Kind::ok: text = "ok"; break;
    case Kind::blocked: text = "blocked"; break;
    case Kind::end: text = "end"; break;
    case Kind::error:
      text = std::string(name(outcome.error.code));
      if (outcome.error.os_errno != 0)
        text += " (errno " + std::to_string(outcome.error.os_errno) + ")";
      break;
  }
  if (outcome.bytes != 0) text += ", " + std::to_string(outcome.bytes) + " bytes";
  if (!outcome.complete) text += ", more to come";
  if (!outcome.intact) text += ", NOT WHAT WAS WRITTEN";
  return text;
}

}  // namespace twinwire::oracle
