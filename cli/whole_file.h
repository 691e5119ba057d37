// SPDX-License-Identifier: Apache-2.0
// The tool's files on disk: read whole, written whole or not at all.
#pragma once

#include <string>
#include <string_view>

namespace twinwire::cli {

// Throws Failure(bad_usage) with one sentence where it is no regular file, larger than any such, or cannot be read.
// `noun`: what it is meant to be, "capsule".
std::string read_whole_file(const std::string& path, std::string_view noun);

// The file appears whole or not at all, also after a power cut. A symlink stays one: what it leads to is written.
// Throws Failure(environment): the disk is full, there is no such folder, a device or a FIFO stands there ...
void write_whole_file(const std::string& path, std::string_view text, std::string_view noun);

// A new file that only its owner can read: for keys. Throws Failure(environment), also where something has that name.
void write_new_secret(const std::string& path, std::string_view text, std::string_view noun);

// Throws Failure(bad_usage) where `path`, as it was given with that option, names nothing.
void require_name(const std::string& path, const std::string& option);

// For files of the tool's own naming: the folder of `path`, and those above it, where they are missing.
// Throws Failure(environment) where it cannot be made.
void make_folder_of(const std::string& path, std::string_view noun);

// Throws as write_whole_file() would, as far as that can be told before; for what is written after hours of work.
void require_writable(const std::string& path, std::string_view noun);

}  // namespace twinwire::cli
