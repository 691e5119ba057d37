// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_svg.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace twinwire::cli {
namespace {

constexpr double left = 190;
constexpr double width = 560;
constexpr double row_height = 18;
constexpr double head_height = 26;

// Logarithmic: twice as fast and half as fast are as far from 1. From a power of two to another.
class RatioAxis {
 public:
  explicit RatioAxis(const std::vector<RatioGroup>& groups) {
    for (const RatioGroup& group : groups)
      for (const RatioBar& bar : group.bars) {
        low_ = std::min(low_, std::floor(std::log2(bar.low)));
        high_ = std::max(high_, std::ceil(std::log2(bar.high)));
      }
  }
  double x(double ratio) const { return left + (std::log2(ratio) - low_) / (high_ - low_) * width; }
  double low() const { return low_; }
  double high() const { return high_; }

 private:
  double low_ = -1;  // of the logarithms
  double high_ = 2;
};

[[gnu::format(printf, 2, 3)]] void append(std::string& svg, const char* format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  (void)std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  svg += text;
}

void append_axis(std::string& svg, const RatioAxis& axis, double top, double bottom) {
  for (double power = axis.low(); power <= axis.high(); ++power) {
    const double x = axis.x(std::exp2(power));
    append(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='%s'/>\n", x, top, x, bottom,
           power == 0 ? "#444" : "#ddd");
    append(svg, "<text x='%.1f' y='%.1f' text-anchor='middle'>%g</text>\n", x, top - 5,
           std::exp2(power));
  }
}

// Green where ours is faster, red where it is slower.
void append_bar(std::string& svg, const RatioAxis& axis, const RatioBar& bar, double y) {
  const double one = axis.x(1);
  const double middle = axis.x(bar.middle);
  const double center = y + row_height / 2;
  append(svg, "<text x='%.1f' y='%.1f' text-anchor='end'>%s</text>\n", left - 8, center + 4,
         bar.name.c_str());
  append(svg, "<rect x='%.1f' y='%.1f' width='%.1f' height='%.1f' fill='%s'/>\n",
         std::min(one, middle), y + 3, std::abs(middle - one), row_height - 6,
         bar.middle >= 1 ? "#5a9e6f" : "#c4574f");
  append(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#222'/>\n", axis.x(bar.low),
         center, axis.x(bar.high), center);
  for (const double end : {bar.low, bar.high})
    append(svg, "<line x1='%.1f' y1='%.1f' x2='%.1f' y2='%.1f' stroke='#222'/>\n", axis.x(end),
           center - 4, axis.x(end), center + 4);
  append(svg, "<text x='%.1f' y='%.1f'>%.2f</text>\n",
         std::max({middle, axis.x(bar.high), one}) + 6, center + 4, bar.middle);
}

}  // namespace

std::string ratio_svg(const std::vector<RatioGroup>& groups) {
  constexpr double top = 50;
  const RatioAxis axis(groups);
  double bottom = top;
  for (const RatioGroup& group : groups)
    bottom += head_height + row_height * static_cast<double>(group.bars.size());
  std::string svg;
  append(svg,
         "<svg xmlns='http://www.w3.org/2000/svg' width='%.0f' height='%.0f' "
         "font-family='sans-serif' font-size='12'>\n",
         left + width + 60, bottom + 20);
  svg += "<rect width='100%' height='100%' fill='white'/>\n";
  append(svg, "<text x='%.1f' y='18'>messages per second, ours / its</text>\n", left);
  append_axis(svg, axis, top, bottom);
  double y = top;
  for (const RatioGroup& group : groups) {
    append(svg, "<text x='8' y='%.1f' font-weight='bold'>%s</text>\n", y + head_height - 8,
           group.label.c_str());
    y += head_height;
    for (const RatioBar& bar : group.bars) {
      append_bar(svg, axis, bar, y);
      y += row_height;
    }
  }
  svg += "</svg>\n";
  return svg;
}

}  // namespace twinwire::cli
