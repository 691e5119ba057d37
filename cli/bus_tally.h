// SPDX-License-Identifier: Apache-2.0
// What `serve --bus` replicates: a tally of the requests that `load --bus` sends. A request's body begins with who asks
// and which of its requests this is; the answer is how many were applied so far, and a sum that depends on all of them
// and their order.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "cli/refusal_log.h"
#include "transport/base/mix.h"
#include "transport/log/application.h"

namespace twinwire::cli {

inline constexpr std::size_t tally_label_size = 16;

class BusTally final : public log::Application {
 public:
  void apply(log::Op op, std::span<const std::byte> body, std::vector<std::byte>& answer) override {
    sum_ = mix(sum_, op);
    for (std::size_t at = 0; at + 8 <= body.size(); at += 8)
      sum_ = mix(sum_, load<std::uint64_t>(body.data() + at));
    ++applied_;
    answer.resize(16);
    store(answer.data(), applied_);
    store(answer.data() + 8, sum_);
  }
  void on_note(const std::string& sentence) noexcept override;
  void on_refused(bus::Plane plane, const Address& peer, std::string_view what,
                  Error why) noexcept override;
  void log_refusals_to(std::shared_ptr<RefusalLog> refusals) { refusals_ = std::move(refusals); }

  std::uint64_t applied() const noexcept { return applied_; }
  std::uint64_t sum() const noexcept { return sum_; }

 private:
  std::uint64_t applied_ = 0;
  std::uint64_t sum_ = 0;
  std::shared_ptr<RefusalLog> refusals_;
};

}  // namespace twinwire::cli
