// SPDX-License-Identifier: Apache-2.0
#include "cli/build_id.h"

#include <xxhash.h>
#include <boost/version.hpp>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <span>

#include "sim/run_hash.h"

namespace twinwire::cli {

std::uint64_t build_id() {
  static const std::uint64_t id = [] {
    std::ifstream file("/proc/self/exe", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    return bytes.empty() ? 0 : sim::digest(std::as_bytes(std::span(bytes)));
  }();
  return id;
}

std::vector<std::pair<std::string, std::string>> build_versions() {
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "g++ " __VERSION__;
#endif
  const auto dotted = [](int major, int minor, int patch) {
    return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  };
  return {
      {"compiler", compiler},
      {"boost", dotted(BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100)},
      {"xxhash", dotted(XXH_VERSION_MAJOR, XXH_VERSION_MINOR, XXH_VERSION_RELEASE)}};
}

}  // namespace twinwire::cli
