// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/compare.h"

#include <algorithm>
#include <array>

namespace twinwire::oracle {
namespace {

// Small buffers take this for certain: the kernel charges its bookkeeping to them.
constexpr std::uint64_t surely_fits = 1000;
// And this they do not, unless somebody reads meanwhile.
constexpr std::uint32_t surely_too_much = 150'000;

// How strictly a step is compared.
enum class Strictness : std::uint8_t { exact, kind, parted };

// What may differ:
//   - How much fits where buffers are small, or were filled. From then on the counts of that direction are free; at a
//     drain it must still be "all of it", or not.
//   - What arrives of such a direction after its sender dropped the connection: some of it may not have left.
//     So its receiver may or may not have met the end before the reset, and learns ECONNRESET or EPIPE.
//   - Whether somebody who waits to write into such a direction had been able to finish before the connection died. One
//     that was told of the death has used up the error, one that was not has not: the two runs have parted.
class Comparison {
 public:
  explicit Comparison(const Script& script) : script_(script) {}

  Strictness before(const Step& step, const Outcome& one, const Outcome& other) {
    const unsigned side = sender(step);
    if ((step.op == Op::abort || step.op == Op::close) && free_[step.connection][step.side])
      cut_[step.connection][step.side] = true;
    if (is_write(step.op) && step.op != Op::await_write) {
      std::uint64_t& written = written_[step.connection][side];
      written += step.size;
      const bool small = script_.send_buffer[side] != 0 || script_.receive_buffer[1 - side] != 0;
      if (is_blocked(one) || is_blocked(other) || (small && written > surely_fits))
        free_[step.connection][side] = true;
    }
    if (step.op == Op::await_write && free_[step.connection][side] && one.kind != other.kind &&
        (one.kind == Kind::error || other.kind == Kind::error))
      parted_[step.connection] = true;
    if (parted_[step.connection]) return Strictness::parted;
    return free_[step.connection][side] ? Strictness::kind : Strictness::exact;
  }

  bool same(const Step& step, Strictness strictness, const Outcome& a, const Outcome& b) const {
    if (!a.intact || !b.intact) return false;
    if (strictness == Strictness::parted) return true;
    const bool reads = is_read(step.op);
    const bool free = strictness == Strictness::kind && (reads || is_write(step.op));
    const bool is_cut = cut_[step.connection][1u - step.side];
    if (free && !reads) {
      const bool waits = step.op == Op::begin_write || step.op == Op::await_write;
      if (goes_on(a) && goes_on(b) && (step.size < surely_too_much || waits)) return true;
    }
    if (free && reads && (is_cut || step.op != Op::drain))
      return (a.kind == Kind::absent) == (b.kind == Kind::absent);
    if (a.kind != b.kind) return false;
    if (a.kind == Kind::error && !same_error(a.error, b.error, is_cut)) return false;
    if (free) return !reads || a.kind == Kind::error || a.complete == b.complete;
    return a.bytes == b.bytes && (!reads || a.complete == b.complete);
  }

 private:
  static unsigned sender(const Step& step) { return is_read(step.op) ? 1u - step.side : step.side; }
  static bool is_blocked(const Outcome& outcome) { return outcome.kind == Kind::blocked; }
  static bool goes_on(const Outcome& outcome) {
    return outcome.kind == Kind::ok || outcome.kind == Kind::blocked;
  }
  // Where one of them does not tell the errno, the code must do: the Ring knows some failures without the kernel.
  static bool same_error(const Error& a, const Error& b, bool errno_is_free) {
    return a.code == b.code &&
           (errno_is_free || a.os_errno == b.os_errno || a.os_errno == 0 || b.os_errno == 0);
  }

  const Script& script_;
  std::array<std::array<bool, 2>, connections_max> free_{};
  std::array<std::array<bool, 2>, connections_max> cut_{};
  std::array<bool, connections_max> parted_{};
  std::array<std::array<std::uint64_t, 2>, connections_max> written_{};
};

}  // namespace

std::optional<Disagreement> compare(const Script& script, const Outcomes& truth,
                                    const Outcomes& claimed, Coverage& coverage) {
  Comparison comparison(script);
  for (std::size_t i = 0; i < script.steps.size(); ++i) {
    const Step& step = script.steps[i];
    const Strictness strictness = comparison.before(step, truth[i], claimed[i]);
    if (truth[i].kind != Kind::absent)
      ++(strictness == Strictness::exact  ? coverage.exact
         : strictness == Strictness::kind ? coverage.kind
                                          : coverage.parted);
    if (!comparison.same(step, strictness, truth[i], claimed[i]))
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
