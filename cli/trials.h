// SPDX-License-Identifier: Apache-2.0
// Trials: variants of one run, tried one after another in a forked worker. One that crashes or hangs costs the worker
// and not this process, and what it had decided until then is known.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/child.h"
#include "cli/shared.h"
#include "cli/tool.h"
#include "props/laws/run_in_world.h"

namespace twinwire::cli {

// What differs from variant to variant.
struct Variant {
  std::vector<sim::Decision> decisions;
  std::vector<laws::Knob> knobs;
  bool seeded = false;  // chance comes from the seed, and `decisions` override it
  bool planted = true;  // with the planted bug, where the run has one
};

struct Outcome {
  std::string key;  // "pass", "law_broken:prefix", "crash:SIGABRT"
  std::string detail;
  std::optional<std::uint64_t> hash;  // of a run that came to its end
  std::uint64_t steps = 0;
  std::vector<sim::Decision> made;  // every choice other than 0, in order
  std::vector<laws::Shape> shapes;
  bool complete = true;  // false: there were more decisions or shapes than fit

  bool died() const noexcept { return !hash; }
};

class Trials {
 public:
  // `run`: what all variants share. `plant`: its planted bug, live in this process, or empty.
  Trials(const Tool& tool, const laws::WorldRun& run, std::string plant, Duration hang_after);

  // nullopt where `stop` said so before it was over.
  std::optional<Outcome> run(const Variant& variant, const std::function<bool()>& stop);
  // Whatever the next run does, it does in a fresh process.
  void fresh() { worker_.reset(); }

 private:
  static constexpr std::size_t decisions_max = 1'000'000;
  static constexpr std::size_t knobs_max = 8192;
  struct NamedNumber {
    std::array<char, 120> name;
    std::int64_t value;
    std::int64_t plain;
    bool knob;
  };
  struct Board {
    Pulse pulse;
    bool seeded;
    bool planted;
    std::size_t edits;
    std::size_t knobs;
    std::uint64_t hash;
    std::uint64_t steps;
    std::size_t made;
    std::size_t shapes;
    bool overflowed;
    std::array<char, 200> key;
    std::array<char, 4000> detail;
  };
  struct Pipe {
    Pipe();
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    ~Pipe();
    int from = -1;
    int to = -1;
  };
  class Sink;

  void hand_over(const Variant& variant);
  int work();
  void run_one(StackPool& stacks);
  Outcome read_off() const;

  const Tool* tool_;
  laws::WorldRun run_;
  std::string plant_;
  Duration hang_after_;
  mutable Shared<Board> board_;
  Shared<sim::Decision> edits_;
  Shared<sim::Decision> made_;
  Shared<NamedNumber> knobs_;
  Shared<NamedNumber> shapes_;
  Pipe go_;
  Pipe done_;
  std::unique_ptr<Child> worker_;
};

}  // namespace twinwire::cli
