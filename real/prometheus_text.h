// SPDX-License-Identifier: Apache-2.0
// PrometheusText: metrics in the text exposition format, version 0.0.4
// (prometheus.io/docs/instrumenting/exposition_formats).
//
//   PrometheusText text;
//   text.family("twinwire_enters_total", PrometheusText::Type::counter, "Calls of io_uring_enter(2).");
//   text.sample(label("shard", "0"), 17);
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "real/latency_histogram.h"

namespace twinwire::real {

class PrometheusText {
 public:
  static constexpr std::string_view content_type = "text/plain; version=0.0.4; charset=utf-8";
  enum class Type : std::uint8_t { counter, gauge, histogram };

  // Begins a family: HELP and TYPE. Its samples follow at once.
  void family(std::string_view name, Type type, std::string_view help);
  // `labels`: what label() made, with commas between; or empty.
  void sample(std::string_view labels, std::uint64_t value);
  // One set of a histogram's lines, in seconds.
  void histogram(std::string_view labels, const LatencyHistogram& values);

  const std::string& text() const noexcept { return text_; }

 private:
  void line(std::string_view suffix, std::string_view labels, std::string_view value);

  std::string name_;  // of the family
  std::string text_;
};

// name="value", with what has to be escaped in it escaped.
std::string label(std::string_view name, std::string_view value);

}  // namespace twinwire::real
