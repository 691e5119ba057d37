// SPDX-License-Identifier: Apache-2.0
#include "props/laws/told.h"

namespace twinwire::laws {

void Told::note_batch(const Result<void>& sent) noexcept {
  if (sent) return env_->reached(Sometimes::batch_of_512);
  if (sent.error() == Errc::timed_out) env_->reached(Sometimes::batch_ran_out_of_time);
  if (sent.error() == Errc::canceled) env_->reached(Sometimes::batch_canceled);
}

std::string Told::described(const Batch& batch) {
  if (batch.empty()) return "no message";
  std::string text = number(batch.size()) + (batch.size() == 1 ? " message of " : " messages of ");
  for (std::size_t i = 0; i < batch.size();) {
    std::size_t same = i + 1;
    while (same < batch.size() && batch[same].size() == batch[i].size()) ++same;
    if (i != 0) text += '+';
    if (same - i > 1) text += number(same - i) + "x";
    text += number(batch[i].size());
    i = same;
  }
  return text + " bytes";
}

}  // namespace twinwire::laws
