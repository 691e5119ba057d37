// SPDX-License-Identifier: Apache-2.0
// Metrics as text: what is written, and that the strict reader of the other tests finds what is wrong.
// ctest: no_tsan
#include "real/prometheus_text.h"

#include <gtest/gtest.h>

#include "props/metrics_text.h"

namespace twinwire::real {
namespace {

using Type = PrometheusText::Type;
using props::MetricsText;

TEST(PrometheusText, a_family_is_help_type_and_its_samples) {
  PrometheusText text;
  text.family("things_total", Type::counter, "Things\nof C:\\ all \"kinds\".");
  text.sample("", 18446744073709551615U);
  text.sample(label("path", "C:\\ \"x\"\n"), 7);
  EXPECT_EQ(text.text(),
            "# HELP things_total Things\\nof C:\\\\ all \"kinds\".\n"
            "# TYPE things_total counter\n"
            "things_total 18446744073709551615\n"
            "things_total{path=\"C:\\\\ \\\"x\\\"\\n\"} 7\n");
  EXPECT_TRUE(MetricsText(text.text()).errors().empty());
}

TEST(PrometheusText, a_histogram_counts_up_to_each_bound_and_its_sum_is_exact) {
  LatencyHistogram values;
  for (const std::int64_t ns : {0, 1, 1024, 1025, 2048, 2049, -5}) values.add(Duration(ns));
  values.add(std::chrono::hours(1));
  PrometheusText text;
  text.family("took_seconds", Type::histogram, "How long.");
  text.histogram(label("shard", "3"), values);
  const MetricsText read(text.text());
  EXPECT_TRUE(read.errors().empty()) << read.errors().front();
  EXPECT_EQ(read.at("took_seconds_bucket{shard=\"3\",le=\"0.000001024\"}"), 4);
  EXPECT_EQ(read.at("took_seconds_bucket{shard=\"3\",le=\"0.000002048\"}"), 6);
  EXPECT_EQ(read.at("took_seconds_bucket{shard=\"3\",le=\"0.000004096\"}"), 7);
  EXPECT_EQ(read.at("took_seconds_bucket{shard=\"3\",le=\"17.179869184\"}"), 7);
  EXPECT_EQ(read.at("took_seconds_bucket{shard=\"3\",le=\"+Inf\"}"), 8);
  EXPECT_EQ(read.at("took_seconds_count{shard=\"3\"}"), 8);
  EXPECT_NE(text.text().find("took_seconds_sum{shard=\"3\"} 3600.000006147\n"), std::string::npos)
      << text.text();
}

TEST(PrometheusText, every_bound_is_the_last_value_of_its_bucket) {
  for (std::size_t i = 0; i < LatencyHistogram::bounds; ++i) {
    LatencyHistogram values;
    values.add(Duration(static_cast<std::int64_t>(LatencyHistogram::bound_ns(i))));
    values.add(Duration(static_cast<std::int64_t>(LatencyHistogram::bound_ns(i) + 1)));
    EXPECT_EQ(values.count(i), 1u) << i;
    EXPECT_EQ(values.count(i + 1), 1u) << i;
  }
}

TEST(MetricsText, what_is_wrong_is_found) {
  const std::string head = "# HELP a_total A.\n# TYPE a_total counter\n";
  const std::string histogram = "# HELP h H.\n# TYPE h histogram\n";
  const std::string buckets = "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n";
  EXPECT_TRUE(MetricsText(head + "a_total 1\n").errors().empty());
  EXPECT_TRUE(MetricsText(histogram + buckets + "h_sum 3\nh_count 2\n").errors().empty());
  for (const std::string& wrong : {
           std::string("a_total 1\n"),
           std::string("# TYPE a_total counter\na_total 1\n"),
           head + "a_total 1",
           head + "b_total 1\n",
           head + "a_total one\n",
           head + "a_total\n",
           head + "a_total 1\na_total 1\n",
           head + "a_total{x=1} 1\n",
           head + "a_total{x=\"1\" 1\n",
           head + "a_total{} 1\n",
           head + "\na_total 1\n",
           head + head + "a_total 1\n",
           std::string("# HELP a A.\n# TYPE a counter\na 1\n"),
           histogram + "h_bucket{le=\"1\"} 1\nh_sum 3\nh_count 1\n",
           histogram + buckets + "h_sum 3\nh_count 3\n",
           histogram + buckets + "h_sum 3\n",
           histogram + buckets + "h_count 2\n",
           histogram + "h_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
           histogram + "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 2\n" + buckets,
       })
    EXPECT_FALSE(MetricsText(wrong).errors().empty()) << wrong;
}

}  // namespace
}  // namespace twinwire::real
