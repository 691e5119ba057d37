// SPDX-License-Identifier: Apache-2.0
#include "props/test_main.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

namespace twinwire::props {
namespace {

// A filter that passes the tests that stand in this file. Empty, after a sentence, if ctest could leave out a test of
// this executable by it, or run another file's.
std::string only_tests_of(std::string_view file) {
  const testing::UnitTest& all = *testing::UnitTest::GetInstance();
  std::string filter;
  std::map<std::string, std::string_view> places;
  for (int i = 0; i < all.total_test_suite_count(); ++i) {
    const testing::TestSuite& suite = *all.GetTestSuite(i);
    for (int j = 0; j < suite.total_test_count(); ++j) {
      const testing::TestInfo& test = *suite.GetTestInfo(j);
      const std::string name = std::string(suite.name()) + "." + test.name();
      const std::string_view place = test.file();
      if (!place.ends_with("_test.cc") && !place.ends_with("_prop.cc")) {
        std::cerr << name << " stands in " << place
                  << ", and ctest runs the tests of no such file\n";
        return "";
      }
      if (!places.emplace(name, place).second) {
        std::cerr << name << " stands in " << places[name] << " and in " << place
                  << ": rename one\n";
        return "";
      }
      if (place == file) filter += name + ":";
    }
  }
  if (filter.empty()) std::cerr << "no test of this executable stands in " << file << "\n";
  return filter;
}

int main_of_tests(int argc, char** argv) {
  if (const char* name = std::getenv(test_tool_variable)) {
    const auto tool = test_tools().find(name);
    if (tool != test_tools().end()) return tool->second(argc, argv);
    std::cerr << "this test executable has no tool '" << name << "'\n";
    return 2;
  }
  testing::InitGoogleTest(&argc, argv);
  constexpr std::string_view option = "--file=";
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with(option)) {
      std::cerr << "a test executable knows no '" << argument << "'\n";
      return 2;
    }
    if (testing::GTEST_FLAG(filter) != "*") continue;  // a death test's child, or asked for by hand
    const std::string filter = only_tests_of(argument.substr(option.size()));
    if (filter.empty()) return 1;
    testing::GTEST_FLAG(filter) = filter;
  }
  return RUN_ALL_TESTS();
}

}  // namespace
}  // namespace twinwire::props

int main(int argc, char** argv) { return twinwire::props::main_of_tests(argc, argv); }
