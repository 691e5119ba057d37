// SPDX-License-Identifier: Apache-2.0
// The main of every test executable. Where several test files are one executable (CMAKE_UNITY_BUILD), ctest runs each
// file by --file=props/NAME.cc. What a file needs to be when it is started by its own tests, it registers here.
#pragma once

#include <map>
#include <string>

namespace twinwire::props {

// Started with TWINWIRE_TEST_TOOL=<name> in its environment, a test executable is that tool and runs no tests.
inline constexpr const char* test_tool_variable = "TWINWIRE_TEST_TOOL";

using TestTool = int (*)(int argc, char** argv);

inline std::map<std::string, TestTool>& test_tools() {
  static std::map<std::string, TestTool> tools;
  return tools;
}

}  // namespace twinwire::props
