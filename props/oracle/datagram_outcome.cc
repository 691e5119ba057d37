// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/datagram_outcome.h"

#include <algorithm>
#include <utility>

namespace twinwire::oracle {
namespace {

std::string to_text(const Got& got) {
  std::string text = "s" + std::to_string(got.from) + "#" + std::to_string(got.serial) + "(" +
                     std::to_string(got.size) + ")";
  text += " " + (got.remote ? std::string(name(*got.remote)) : "?") + ">" +
          (got.local ? std::string(name(*got.local)) : "?");
  if (got.ecn != Ecn::not_ect) text += " ECN " + std::to_string(static_cast<int>(got.ecn));
  if (!got.intact) text += " NOT WHAT WAS SENT";
  return text;
}

// Small receive buffers hold this for certain: Linux charges its bookkeeping to them, the World 512 bytes at least.
constexpr std::uint32_t surely_held_datagrams = 3;
constexpr std::uint32_t surely_held_bytes = 1000;
// And this they do not.
constexpr std::uint32_t surely_lost_datagrams = 100;

// What may differ: which datagrams found room where a small receive buffer was filled. Those that did must be whole and
// in order, the first of them among them; and of a hundred some are lost. What an unanswered wait holds is told by the
// receive that follows.
class DatagramComparison {
 public:
  explicit DatagramComparison(const DatagramScript& script) : script_(script) {}

  void before(const DatagramStep& step, const DatagramOutcome& truth) {
    if (step.op == DatagramOp::send && step.to < datagram_sockets) {
      const std::uint32_t parts = step.segment_size == 0 ? 1 : step.size / step.segment_size + 1;
      for (std::size_t socket = 0; socket < datagram_sockets; ++socket) {
        // On one host it may reach another than meant, of the same port.
        if (socket != step.to && !script_.one_host) continue;
        Room& room = rooms_[socket];
        room.datagrams += step.count * parts;
        room.bytes += step.count * step.size;
        const bool over = room.datagrams > surely_held_datagrams || room.bytes > surely_held_bytes;
        if (script_.receive_buffer[socket] != 0 && over) room.free = true;
      }
    }
    if (step.op == DatagramOp::close && truth.kind == Kind::ok)
      rooms_[step.socket].looked = false;  // what is on its way may find another of the same port
  }

  bool is_free(const DatagramStep& step) const {
    const bool receives = step.op == DatagramOp::receive || step.op == DatagramOp::await_receive;
    return receives && rooms_[step.socket].free;
  }

  bool same(const DatagramStep& step, const DatagramOutcome& a, const DatagramOutcome& b) {
    if (!is_whole(a) || !is_whole(b)) return false;
    if ((a.kind == Kind::absent) != (b.kind == Kind::absent)) return false;
    if (is_free(step)) {
      // What an earlier one left over may be nothing in one of them.
      const bool first = !std::exchange(rooms_[step.socket].looked, true);
      if (first && (a.got.empty() != b.got.empty() || (!a.got.empty() && a.got[0] != b.got[0])))
        return false;
      return some_lost(a) && some_lost(b);
    }
    return a.kind == b.kind && a.count == b.count && a.bound == b.bound && a.got == b.got &&
           (a.kind != Kind::error || same_error(a.error, b.error, step.source != Place::any6));
  }

 private:
  struct Room {
    std::uint32_t datagrams = 0;
    std::uint32_t bytes = 0;
    bool free = false;
    bool looked = false;
  };

  static bool is_whole(const DatagramOutcome& outcome) {
    return std::all_of(outcome.got.begin(), outcome.got.end(),
                       [](const Got& got) { return got.intact; });
  }
  // A single read that has everything of a burst that no small buffer holds. Bursts are of one size each, so a hundred
  // in a row that were received are a burst.
  static bool some_lost(const DatagramOutcome& outcome) {
    return outcome.got.size() < surely_lost_datagrams;
  }
  // The errno of a source that cannot be had is another in every version of Linux.
  static bool same_error(const Error& a, const Error& b, bool source_said) {
    return a.code == b.code &&
           (source_said || a.os_errno == b.os_errno || a.os_errno == 0 || b.os_errno == 0);
  }

  const DatagramScript& script_;
  std::array<Room, datagram_sockets> rooms_{};
};

}  // namespace

std::string to_text(const DatagramOutcome& outcome) {
  std::string text =
      to_text(outcome.kind == Kind::error ? Outcome::of(outcome.error) : Outcome::of(outcome.kind));
  if (outcome.count != 0) text += ", " + std::to_string(outcome.count) + " taken";
  if (!outcome.bound.empty()) text += ", at " + outcome.bound;
  std::size_t told = 0;
  for (const Got& got : outcome.got) {
    if (++told > 6) {
      text += ", ... " + std::to_string(outcome.got.size()) + " in all";
      break;
    }
    text += ", " + to_text(got);
  }
  return text;
}

std::optional<Disagreement> compare(const DatagramScript& script, const DatagramOutcomes& truth,
                                    const DatagramOutcomes& claimed, Coverage& coverage) {
  DatagramComparison comparison(script);
  for (std::size_t i = 0; i < script.steps.size(); ++i) {
    const DatagramStep& step = script.steps[i];
    comparison.before(step, truth[i]);
    if (truth[i].kind != Kind::absent)
      ++(comparison.is_free(step) ? coverage.kind : coverage.exact);
    if (!comparison.same(step, truth[i], claimed[i]))
      return Disagreement{
          i, to_text(step) + ": " + to_text(claimed[i]) + " instead of " + to_text(truth[i])};
  }
  return std::nullopt;
}

std::string side_by_side(const DatagramScript& script, const DatagramOutcomes& truth,
                         const DatagramOutcomes& claimed) {
  DatagramScript header = script;
  header.steps.clear();
  std::string text = to_text(header);
  for (std::size_t i = 0; i < script.steps.size(); ++i) {
    text += "  " + to_text(script.steps[i]) + "\n";
    if (truth[i].kind != Kind::absent || claimed[i].kind != Kind::absent)
      text += "      " + to_text(truth[i]) + "\n      " + to_text(claimed[i]) + "\n";
  }
  return text;
}

}  // namespace twinwire::oracle
