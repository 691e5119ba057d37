// SPDX-License-Identifier: Apache-2.0
#include "props/exhaustive/survey.h"

#include <utility>

namespace twinwire::exhaustive {
namespace {

class Listing final : public sim::Census {
 public:
  explicit Listing(std::vector<Asked>& into) noexcept : into_(&into) {}
  void on_asked(sim::Site site, EntityId entity, std::uint64_t occurrence,
                std::uint64_t bound) noexcept override {
    into_->push_back({site, entity, occurrence, bound});
  }

 private:
  std::vector<Asked>* into_;
};

}  // namespace

Survey survey(laws::WorldRun run, StackPool& stacks) {
  Survey result;
  Listing listing(result.asked);
  run.options.census = &listing;
  result.verdict = laws::run_in_world(run, stacks);
  return result;
}

}  // namespace twinwire::exhaustive
