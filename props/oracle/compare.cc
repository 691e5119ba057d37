// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/compare.h"

#include <array>

namespace twinwire::oracle {
namespace {

bool is_write(Op op) { return op == Op::write || op == Op::write_pieces; }
bool is_read(Op op) { return op == Op::read || op == Op::read_once || op == Op::drain; }

// How much fits where buffers are small, or were filled, is no part of the truth: the kernel charges its bookkeeping to
// them. From then on counts of that direction are compared only at a drain, and there as "all of it".
class Counts {
 public:
  explicit Counts(const Script& script) : script_(script) {}

  bool are_free(const Step& step) const { return free_[step.connection][sender(step)]; }
  // The peer dropped the connection while some of what it had written may still have been with it: how much of that
  // arrived, and so whether its end did, is no part of the truth either.
  bool is_cut(const Step& step) const { return cut_[step.connection][1u - step.side]; }

  void before(const Step& step, const Outcome& one, const Outcome& other) {
    const unsigned side = sender(step);
    if ((step.op == Op::abort || step.op == Op::close) && free_[step.connection][step.side])
      cut_[step.connection][step.side] = true;
    if (!is_write(step.op)) return;
    std::uint64_t& written = written_[step.connection][side];
    written += step.size;
    const bool small = script_.send_buffer[side] != 0 || script_.receive_buffer[1 - side] != 0;
    if (one.kind == Kind::blocked || other.kind == Kind::blocked ||
        (small && written > surely_fits))
      free_[step.connection][side] = true;
  }

 private:
  static constexpr std::uint64_t surely_fits = 1000;
  static unsigned sender(const Step& step) {
    return is_write(step.op) ? step.side : 1u - step.side;
  }

  const Script& script_;
  std::array<std::array<bool, 2>, connections_max> free_{};
  std::array<std::array<bool, 2>, connections_max> cut_{};
  std::array<std::array<std::uint64_t, 2>, connections_max> written_{};
};

bool same_error(const Error& a, const Error& b, bool errno_is_free) {
  return a.code == b.code &&
         (errno_is_free || a.os_errno == b.os_errno || a.os_errno == 0 || b.os_errno == 0);
}

bool same(const Step& step, const Outcome& a, const Outcome& b, bool counts_are_free, bool is_cut) {
  if (!a.intact || !b.intact) return false;
  const bool reads = is_read(step.op);
  const auto may_differ = [](const Outcome& o) { return o.kind != Kind::absent; };
  if (counts_are_free && is_write(step.op)) {
    const auto goes_on = [](const Outcome& o) {
      return o.kind == Kind::ok || o.kind == Kind::blocked;
    };
    if (goes_on(a) && goes_on(b)) return true;
  }
  if (counts_are_free && reads && (is_cut || step.op != Op::drain))
    return may_differ(a) == may_differ(b);
  if (a.kind != b.kind) return false;
  if (a.kind == Kind::error && !same_error(a.error, b.error, is_cut)) return false;
  if (counts_are_free) return !reads || a.kind == Kind::error || a.complete == b.complete;
  return a.bytes == b.bytes && (!reads || a.complete == b.complete);
}

}  // namespace

std::optional<Disagreement> compare(const Script& script, const Outcomes& truth,
                                    const Outcomes& claimed) {
  Counts counts(script);
  for (std::size_t i = 0; i < script.steps.size(); ++i) {
    const Step& step = script.steps[i];
    counts.before(step, truth[i], claimed[i]);
    if (!same(step, truth[i], claimed[i], counts.are_free(step), counts.is_cut(step)))
      return Disagreement{
          i, to_text(step) + ": " + to_text(claimed[i]) + " instead of " + to_text(truth[i])};
  }
  return std::nullopt;
}

std::string side_by_side(const Script& script, const Outcomes& truth, const Outcomes& claimed) {
  Script header = script;
  header.steps.clear();
  std::string text = to_text(header);
  for (std::size_t i = 0; i < script.steps.size(); ++i) {
    std::string line = "  " + to_text(script.steps[i]);
    line.resize(std::max<std::size_t>(line.size() + 1, 26), ' ');
    line += to_text(truth[i]);
    line.resize(std::max<std::size_t>(line.size() + 1, 66), ' ');
    text += line + to_text(claimed[i]) + "\n";
  }
  return text;
}

}  // namespace twinwire::oracle
