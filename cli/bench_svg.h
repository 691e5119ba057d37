// SPDX-License-Identifier: Apache-2.0
// A plot of ratios: a bar each, from 1, with whiskers from the least to the most.
#pragma once

#include <string>
#include <vector>

namespace twinwire::cli {

struct RatioBar {
  std::string name;
  double middle;
  double low;
  double high;
};
struct RatioGroup {
  std::string label;
  std::vector<RatioBar> bars;
};

std::string ratio_svg(const std::vector<RatioGroup>& groups);

}  // namespace twinwire::cli
