// SPDX-License-Identifier: Apache-2.0
// The envelope of the tool's text files: a first line that names the format and its version, and a last line with the
// checksum of all bytes before it. What was cut, flipped or is of another version is refused before it is read.
#pragma once

#include <string>
#include <string_view>

namespace twinwire::cli {

struct Seal {
  std::string_view noun;   // "capsule", for the sentence of a refusal
  std::string_view magic;  // "twinwire-capsule"
  int format;
};

// The first line, its end included.
std::string opening(const Seal& seal);
// `text` with the checksum behind it. Requires that it begins with the opening and ends with a line's end.
std::string sealed(std::string text);
// The lines between, with the first and without the checksum. Throws Failure(bad_usage) with one sentence; `name` is
// the file's.
std::string_view unsealed(const Seal& seal, std::string_view text, std::string_view name);

}  // namespace twinwire::cli
