// SPDX-License-Identifier: Apache-2.0
// A strict reader of Prometheus' text format 0.0.4: whatever a scraper might stumble over is an error here.
#pragma once

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace twinwire::props {

class MetricsText {
 public:
  explicit MetricsText(const std::string& text) {
    if (text.empty() || text.back() != '\n') complain("does not end with a line feed");
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) take(line);
    end_family();
  }

  const std::vector<std::string>& errors() const { return errors_; }
  // By what stands before the value: name{label="value",...}.
  bool has(const std::string& series) const { return values_.contains(series); }
  double at(const std::string& series) const { return has(series) ? values_.at(series) : -1; }
  std::size_t size() const { return values_.size(); }

 private:
  void complain(const std::string& what) { errors_.push_back(what); }

  static bool is_name(const std::string& name) {
    if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
    for (const char c : name)
      if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' && c != ':') return false;
    return true;
  }

  void take(const std::string& line) {
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ")) return comment(line);
    if (line.starts_with("#") || line.empty()) return complain("neither a sample: " + line);
    sample(line);
  }

  void comment(const std::string& line) {
    std::istringstream words(line.substr(7));
    std::string name;
    std::string type;
    words >> name >> type;
    if (!is_name(name)) return complain("no name: " + line);
    if (line[2] == 'H') {
      end_family();
      if (!families_.insert(name).second) complain("a family twice: " + name);
      if (type.empty()) complain("no help: " + name);
      family_ = name;
      type_.clear();
      return;
    }
    if (name != family_ || !type_.empty()) complain("TYPE not behind its HELP: " + line);
    if (type != "counter" && type != "gauge" && type != "histogram") complain("type: " + line);
    if (type == "counter" && !name.ends_with("_total")) complain("a counter's name: " + name);
    type_ = type;
  }

  void sample(const std::string& line) {
    const std::size_t space = line.rfind(' ');
    if (space == std::string::npos || space + 1 == line.size())
      return complain("no value: " + line);
    const std::string series = line.substr(0, space);
    char* end = nullptr;
    const std::string number = line.substr(space + 1);
    const double value = std::strtod(number.c_str(), &end);
    if (*end != '\0' || value < 0) complain("no number: " + line);
    if (!values_.emplace(series, value).second) complain("a series twice: " + series);

    const std::size_t brace = series.find('{');
    std::string name = series.substr(0, brace);
    std::string labels = brace == std::string::npos ? "" : series.substr(brace);
    if (!is_name(name)) complain("no name: " + line);
    if (brace != std::string::npos && !labels_are_right(labels)) complain("labels: " + line);
    if (type_.empty()) complain("a sample before its TYPE: " + line);
    if (type_ == "histogram") return part_of_histogram(name, labels, value, line);
    if (name != family_) complain("not of its family: " + line);
  }

  static bool labels_are_right(const std::string& text) {
    std::size_t at = 1;
    for (;;) {
      const std::size_t equals = text.find("=\"", at);
      if (equals == std::string::npos || !is_name(text.substr(at, equals - at))) return false;
      at = equals + 2;
      while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
      if (at + 1 >= text.size()) return false;
      if (text[at + 1] == '}') return at + 2 == text.size();
      if (text[at + 1] != ',') return false;
      at += 2;
    }
  }

  struct Buckets {
    double bound = -1;
    double count = 0;
    bool infinite = false;
    bool sum = false;
  };

  void part_of_histogram(const std::string& name, std::string labels, double value,
                         const std::string& line) {
    if (name == family_ + "_bucket") {
      const std::size_t le = labels.rfind("le=\"");
      if (le == std::string::npos) return complain("a bucket without a bound: " + line);
      const std::string bound = labels.substr(le + 4, labels.size() - le - 6);
      labels = le == 1 ? "" : labels.substr(0, le - 1) + "}";
      Buckets& buckets = histograms_[labels];
      const double number = bound == "+Inf" ? HUGE_VAL : std::strtod(bound.c_str(), nullptr);
      if (number <= buckets.bound) complain("bounds do not grow: " + line);
      if (value < buckets.count) complain("counts do not grow: " + line);
      buckets.bound = number;
      buckets.count = value;
      buckets.infinite = bound == "+Inf";
      return;
    }
    const auto at = histograms_.find(labels);
    if (at == histograms_.end()) return complain("a histogram without buckets: " + line);
    Buckets& buckets = at->second;
    if (name == family_ + "_sum") {
      buckets.sum = true;
    } else if (name == family_ + "_count") {
      if (!buckets.infinite || buckets.count != value) complain("count is not +Inf's: " + line);
      if (!buckets.sum) complain("no sum: " + line);
      counted_.insert(labels);
    } else {
      complain("not of its family: " + line);
    }
  }

  void end_family() {
    for (const auto& [labels, buckets] : histograms_)
      if (!counted_.contains(labels)) complain("a histogram without a count: " + family_ + labels);
    histograms_.clear();
    counted_.clear();
  }

  std::vector<std::string> errors_;
  std::map<std::string, double> values_;
  std::set<std::string> families_;
  std::string family_;
  std::string type_;
  std::map<std::string, Buckets> histograms_;  // of the present family, by labels
  std::set<std::string> counted_;
};

}  // namespace twinwire::props
