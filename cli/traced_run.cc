// SPDX-License-Identifier: Apache-2.0
#include "cli/traced_run.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "cli/child.h"
#include "cli/shared.h"
#include "cli/text.h"
#include "cli/watched_run.h"

namespace twinwire::cli {
namespace {

// Steps as bytes in shared memory: time, two sizes, two texts.
class SharedTrace final : public sim::TraceSink {
 public:
  static constexpr std::size_t bytes_max = std::size_t{128} << 20;

  struct Head {
    std::int64_t at;
    std::uint32_t who;
    std::uint32_t what;
  };
  struct Board {
    Pulse pulse;
    std::size_t used;
    bool cut;
    std::uint64_t hash;
    std::array<char, 200> key;
    std::array<char, 4000> detail;
  };

  SharedTrace() : bytes_(bytes_max) {}

  void on_step(const sim::TraceStep& step) override {
    const Head head{step.at.ns, static_cast<std::uint32_t>(step.who.size()),
                    static_cast<std::uint32_t>(step.what.size())};
    const std::size_t size = sizeof head + head.who + head.what;
    if (board_->used + size > bytes_max) {
      board_->cut = true;
      return;
    }
    char* to = &bytes_[board_->used];
    std::memcpy(to, &head, sizeof head);
    step.who.copy(to + sizeof head, head.who);
    step.what.copy(to + sizeof head + head.who, head.what);
    board_->used += size;
  }

  Board& board() noexcept { return *board_; }

  std::vector<ToldStep> steps() const {
    std::vector<ToldStep> result;
    for (std::size_t at = 0; at < board_[0].used;) {
      Head head{};
      std::memcpy(&head, &bytes_[at], sizeof head);
      const char* text = &bytes_[at] + sizeof head;
      result.push_back(
          {{head.at}, std::string(text, head.who), std::string(text + head.who, head.what)});
      at += sizeof head + head.who + head.what;
    }
    return result;
  }

 private:
  Shared<Board> board_;
  Shared<char> bytes_;
};

}  // namespace

TracedRun run_traced_in_child(const laws::WorldRun& run, Duration hang_after) {
  SharedTrace trace;
  Child child({.pulse = &trace.board().pulse, .hang_after = hang_after, .capture_stderr = true},
              [&] {
                laws::WorldRun traced = run;
                traced.options.trace = &trace;
                const laws::Verdict verdict = run_watched(traced, trace.board().pulse);
                trace.board().hash = verdict.report.hash;
                verdict.failure_key().copy(trace.board().key.data(), trace.board().key.size() - 1);
                verdict.detail.copy(trace.board().detail.data(), trace.board().detail.size() - 1);
                return 0;
              });
  const Death death = child.wait();
  TracedRun result;
  result.steps = trace.steps();
  result.cut = trace.board().cut;
  if (death.kind == Death::Kind::ended) {
    result.key = trace.board().key.data();
    result.detail = trace.board().detail.data();
    result.hash = trace.board().hash;
  } else {
    result.key = death.failure_key();
    result.detail = death.sentence() + (death.said.empty() ? "" : "\n" + death.said);
  }
  return result;
}

std::string story_of(const Tool& tool, const TracedRun& traced, const std::string& transport,
                     const std::string& plant) {
  std::string text = "the story of " + traced.key + ", over " + transport + "\n";
  if (const PlantSet::Plant* bug = tool.plants.find(plant))
    text += "the planted bug " + plant + ": " + std::string(bug->what) + "\n";
  std::vector<StoryLine> lines = Storyteller(transport == "tcp").tell(traced.steps);
  const TimePoint end = traced.steps.empty() ? TimePoint{0} : traced.steps.back().at;
  if (traced.key == "pass")
    lines.push_back({end, "no law was broken"});
  else if (!traced.key.starts_with("law_broken:"))
    lines.push_back({end, traced.key + ". " + traced.detail});
  else if (lines.empty() || !lines.back().text.starts_with("LAW BROKEN"))
    lines.push_back({end, "LAW BROKEN: " + traced.key.substr(11) + ". " + traced.detail});
  return text + "\n" + format_story(lines);
}

}  // namespace twinwire::cli
