// SPDX-License-Identifier: Apache-2.0
#include "cli/sealed_text.h"

#include <xxhash.h>

#include <algorithm>
#include <cstdint>

#include "cli/exit_code.h"
#include "cli/text.h"

namespace twinwire::cli {
namespace {

constexpr std::string_view checksum_word = "checksum ";
constexpr std::size_t checksum_line = checksum_word.size() + 16 + 1;

std::uint64_t checksum_of(std::string_view text) { return XXH3_64bits(text.data(), text.size()); }

}  // namespace

std::string opening(const Seal& seal) {
  return std::string(seal.magic) + " " + std::to_string(seal.format) + "\n";
}

std::string sealed(std::string text) {
  const std::uint64_t sum = checksum_of(text);
  text += checksum_word;
  text += hex16(sum) + "\n";
  return text;
}

std::string_view unsealed(const Seal& seal, std::string_view text, std::string_view name) {
  const std::string noun(seal.noun);
  const auto refuse = [&](const std::string& what) {
    bad_usage("the " + noun + " " + std::string(name) + " " + what);
  };
  const std::size_t word = seal.magic.size();
  if (!text.starts_with(seal.magic) || text.size() == word || text[word] != ' ')
    bad_usage(std::string(name) + " is no " + noun + ": it does not begin with '" +
              std::string(seal.magic) + "'");
  const std::string_view version =
      text.substr(word + 1, std::min(text.find('\n'), text.size()) - word - 1);
  if (version != std::to_string(seal.format))
    refuse("has format " + std::string(version) + ", and this build reads format " +
           std::to_string(seal.format) + " only");
  if (text.size() < checksum_line || text.back() != '\n' ||
      !text.substr(text.size() - checksum_line).starts_with(checksum_word))
    refuse("is truncated: its last line, the checksum, is missing");
  const std::string_view body = text.substr(0, text.size() - checksum_line);
  const auto expected = parse_hex16(text.substr(text.size() - 17, 16));
  if (!expected || *expected != checksum_of(body))
    refuse("is damaged: its checksum does not match its contents");
  return body;
}

}  // namespace twinwire::cli
