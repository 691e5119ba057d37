// SPDX-License-Identifier: Apache-2.0
#include "real/prometheus_text.h"

namespace twinwire::real {
namespace {

void append_escaped(std::string& text, std::string_view raw, bool quotes) {
  for (const char c : raw) {
    if (c == '\\' || (quotes && c == '"')) text += '\\';
    if (c == '\n')
      text += "\\n";
    else
      text += c;
  }
}

// Exactly, which a double would not be.
std::string seconds(std::uint64_t ns) {
  std::string fraction = std::to_string(1'000'000'000 + ns % 1'000'000'000).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return std::to_string(ns / 1'000'000'000) + (fraction.empty() ? "" : "." + fraction);
}

}  // namespace

void PrometheusText::family(std::string_view name, Type type, std::string_view help) {
  constexpr std::string_view types[] = {"counter", "gauge", "histogram"};
  name_ = name;
  text_.append("# HELP ").append(name).append(" ");
  append_escaped(text_, help, false);
  text_.append("\n# TYPE ").append(name).append(" ");
  text_.append(types[static_cast<std::size_t>(type)]).append("\n");
}

void PrometheusText::line(std::string_view suffix, std::string_view labels,
                          std::string_view value) {
  text_.append(name_).append(suffix);
  if (!labels.empty()) text_.append("{").append(labels).append("}");
  text_.append(" ").append(value).append("\n");
}

void PrometheusText::sample(std::string_view labels, std::uint64_t value) {
  line("", labels, std::to_string(value));
}

void PrometheusText::histogram(std::string_view labels, const LatencyHistogram& values) {
  const std::string before = labels.empty() ? std::string() : std::string(labels) + ",";
  std::uint64_t so_far = 0;
  for (std::size_t i = 0; i < LatencyHistogram::bounds; ++i) {
    so_far += values.count(i);
    line("_bucket", before + label("le", seconds(LatencyHistogram::bound_ns(i))),
         std::to_string(so_far));
  }
  so_far += values.count(LatencyHistogram::bounds);
  line("_bucket", before + label("le", "+Inf"), std::to_string(so_far));
  line("_sum", labels, seconds(values.sum_ns()));
  line("_count", labels, std::to_string(so_far));
}

std::string label(std::string_view name, std::string_view value) {
  std::string text(name);
  text += "=\"";
  append_escaped(text, value, true);
  return text + "\"";
}

}  // namespace twinwire::real
