// SPDX-License-Identifier: Apache-2.0
// Judge: where laws report. The first violation is the run's verdict; the run goes on, so that it ends in order.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace twinwire::laws {

struct Violation {
  std::string law;     // stable, short: it is the failure key that survives minimising ("prefix")
  std::string detail;  // for a person
};

class Judge {
 public:
  // Returns `ok`. `detail` is made only on a violation: a callable that returns a string, or a string.
  template <class Detail>
  bool check(bool ok, std::string_view law, Detail&& detail) {
    if (ok) [[likely]]
      return true;
    if constexpr (requires { detail(); })
      violate(law, detail());
    else
      violate(law, std::string(detail));
    return false;
  }
  void violate(std::string_view law, std::string detail);
  // Deaf while this is so: a run that did not end by itself is judged by what it did until then.
  void ignore_while(std::function<bool()> deaf) { deaf_ = std::move(deaf); }
  // To be told of the first violation at the instant at which it is seen.
  void on_violation(std::function<void(const Violation&)> told) { told_ = std::move(told); }

  const std::optional<Violation>& verdict() const noexcept { return first_; }
  std::uint64_t violations() const noexcept { return count_; }

 private:
  std::function<void(const Violation&)> told_;
  std::function<bool()> deaf_;
  std::optional<Violation> first_;
  std::uint64_t count_ = 0;
};

}  // namespace twinwire::laws
