// SPDX-License-Identifier: Apache-2.0
#include "cli/build_id.h"

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <boost/version.hpp>

#include <cstddef>

namespace twinwire::cli {

std::uint64_t build_id() {
  static const std::uint64_t id = [] {
    const int file = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::uint64_t{0};
    std::uint64_t digest = 0;
    std::vector<std::byte> piece(std::size_t{1} << 20);
    ssize_t n = 0;
    while ((n = ::read(file, piece.data(), piece.size())) > 0)
      digest = XXH3_64bits_withSeed(piece.data(), static_cast<std::size_t>(n), digest);
    ::close(file);
    return n == 0 ? digest : 0;
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
