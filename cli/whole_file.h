// SPDX-License-Identifier: Apache-2.0
// The tool's files on disk: read whole, written whole or not at all.
#pragma once

#include <string>
#include <string_view>

namespace twinwire::cli {

// Throws Failure(bad_usage) with one sentence where it is no regular file, larger than any such, or cannot be read.
// `noun`: what it is meant to be, "capsule".
std::string read_whole_file(const std::string& path, std::string_view noun);

// The file appears whole or not at all, also after a power cut; its folder is made where it is missing.
// Throws Failure(environment): the disk is full, the folder cannot be written ...
void write_whole_file(const std::string& path, std::string_view text, std::string_view noun);

// Throws as write_whole_file() would, as far as that can be told before; for what is written after hours of work.
void require_writable(const std::string& path, std::string_view noun);

}  // namespace twinwire::cli
