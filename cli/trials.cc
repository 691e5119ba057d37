// SPDX-License-Identifier: Apache-2.0
#include "cli/trials.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace twinwire::cli {
namespace {

template <std::size_t n>
void put(std::array<char, n>& to, std::string_view text) {
  const std::size_t size = std::min(text.size(), n - 1);
  text.copy(to.data(), size);
  to[size] = '\0';
}

}  // namespace

Trials::Pipe::Pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    throw Failure(ExitCode::environment,
                  "cannot make a pipe to a worker process: " + std::string(std::strerror(errno)));
  from = ends[0];
  to = ends[1];
}

Trials::Pipe::~Pipe() {
  ::close(from);
  ::close(to);
}

// Writes what a run decides straight into shared memory.
class Trials::Sink final : public sim::DecisionSink {
 public:
  explicit Sink(Trials& trials) : trials_(&trials) {}
  void on_decision(const sim::Decision& decision) noexcept override {
    Board& board = *trials_->board_;
    if (board.made == decisions_max)
      board.overflowed = true;
    else
      trials_->made_[board.made++] = decision;
  }
  void on_shape(const laws::Shape& shape) const {
    Board& board = *trials_->board_;
    if (board.shapes == knobs_max) {
      board.overflowed = true;
      return;
    }
    NamedNumber& number = trials_->shapes_[board.shapes++];
    put(number.name, shape.name);
    number.value = shape.value;
    number.plain = shape.plain;
    number.knob = shape.knob;
  }

 private:
  Trials* trials_;
};

Trials::Trials(const Tool& tool, const laws::WorldRun& run, std::string plant, Duration hang_after)
    : tool_(&tool),
      run_(run),
      plant_(std::move(plant)),
      hang_after_(hang_after),
      edits_(decisions_max),
      made_(decisions_max),
      knobs_(knobs_max),
      shapes_(knobs_max) {}

void Trials::hand_over(const Variant& variant) {
  Board& board = *board_;
  board.seeded = variant.seeded;
  board.planted = variant.planted;
  board.edits = std::min(variant.decisions.size(), decisions_max);
  for (std::size_t i = 0; i < board.edits; ++i) edits_[i] = variant.decisions[i];
  board.knobs = std::min(variant.knobs.size(), knobs_max);
  for (std::size_t i = 0; i < board.knobs; ++i) {
    put(knobs_[i].name, variant.knobs[i].name);
    knobs_[i].value = variant.knobs[i].value;
  }
  board.made = board.shapes = 0;
  board.hash = board.steps = 0;
  board.overflowed = false;
  put(board.key, "");
  put(board.detail, "");
}

void Trials::run_one(StackPool& stacks) {
  Board& board = *board_;
  Sink sink(*this);
  laws::WorldRun run = run_;
  run.options.base = board.seeded ? sim::Decisions::Base::seeded : sim::Decisions::Base::benign;
  run.options.edits.clear();
  for (std::size_t i = 0; i < board.edits; ++i) run.options.edits.push_back(edits_[i]);
  run.knobs.clear();
  for (std::size_t i = 0; i < board.knobs; ++i)
    run.knobs.push_back({knobs_[i].name.data(), knobs_[i].value});
  run.options.decision_sink = &sink;
  run.options.progress = &board.pulse.beats;
  run.on_shape = [&](const laws::Shape& shape) { sink.on_shape(shape); };
  if (!plant_.empty()) tool_->plants.activate(board.planted ? std::string_view(plant_) : "");
  const laws::Verdict verdict = laws::run_in_world(run, stacks);
  board.hash = verdict.report.hash;
  board.steps = verdict.report.steps;
  put(board.detail, verdict.detail);
  put(board.key, verdict.failure_key());
}

int Trials::work() {
  StackPool stacks;
  char word = 0;
  for (;;) {
    const ssize_t n = ::read(go_.from, &word, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n != 1) return 0;
    {
      const Running running(board_->pulse);
      run_one(stacks);
    }
    if (::write(done_.to, &word, 1) != 1) return 0;
  }
}

Outcome Trials::read_off() const {
  const Board& board = *board_;
  Outcome outcome;
  outcome.steps = board.steps;
  outcome.complete = !board.overflowed;
  for (std::size_t i = 0; i < board.made; ++i) outcome.made.push_back(made_[i]);
  for (std::size_t i = 0; i < board.shapes; ++i) {
    const NamedNumber& number = shapes_[i];
    outcome.shapes.push_back({number.name.data(), number.value, number.plain, number.knob});
  }
  return outcome;
}

std::optional<Outcome> Trials::run(const Variant& variant, const std::function<bool()>& stop) {
  hand_over(variant);
  if (!worker_)
    worker_ = std::make_unique<Child>(
        Child::Options{.pulse = &board_->pulse, .hang_after = hang_after_, .capture_stderr = true},
        [this] { return work(); });
  char word = 'x';
  if (::write(go_.to, &word, 1) != 1)
    throw Failure(ExitCode::environment, "a worker process does not listen");
  for (;;) {
    pollfd waited[2] = {{done_.from, POLLIN, 0}, {worker_->descriptor(), POLLIN, 0}};
    ::poll(waited, 2, 50);
    if ((waited[0].revents & POLLIN) != 0 && ::read(done_.from, &word, 1) == 1) {
      Outcome outcome = read_off();
      outcome.key = board_->key.data();
      outcome.detail = board_->detail.data();
      outcome.hash = board_->hash;
      return outcome;
    }
    if (const auto death = worker_->poll()) {
      worker_.reset();
      Outcome outcome = read_off();
      outcome.key = death->failure_key();
      outcome.detail = death->sentence();
      if (!death->said.empty()) outcome.detail += "\n" + death->said;
      return outcome;
    }
    if (stop()) {
      worker_.reset();
      return std::nullopt;
    }
  }
}

}  // namespace twinwire::cli
