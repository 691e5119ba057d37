// SPDX-License-Identifier: Apache-2.0
// Options that say nothing in the mode in which a verb is run: refused, for whoever typed one meant something by it.
#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>

#include "cli/exit_code.h"

namespace twinwire::cli {

// Throws Failure(bad_usage) where one of these was given: "--batch <why>".
inline void refuse_given(const CLI::App& verb, std::initializer_list<const char*> options,
                         const std::string& why) {
  for (const char* name : options)
    if (verb.count(name) != 0) bad_usage(std::string(name) + " " + why);
}

// The same for all options of a group of the help.
inline void refuse_group(const CLI::App& verb, const std::string& group, const std::string& why) {
  for (const CLI::Option* option : verb.get_options())
    if (option->get_group() == group && option->count() != 0)
      bad_usage(option->get_name() + " " + why);
}

}  // namespace twinwire::cli
