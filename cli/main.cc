// SPDX-License-Identifier: Apache-2.0
#include "cli/tool.h"

int main(int argc, char** argv) {
  const auto registry = twinwire::laws::built_in_scenarios();
  return twinwire::cli::tool_main(argc, argv, registry);
}
