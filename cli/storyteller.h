// SPDX-License-Identifier: Apache-2.0
// Storyteller: what happened in a run, for a reader who knows networks and not the code: who connected, which batches
// were begun and how they ended, which faults struck and where, who closed, and the law that broke. Made from the
// trace; most of a trace (fibers that run, bytes that arrive one after another) is left out.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "transport/base/time.h"

namespace twinwire::cli {

// A line of a trace, kept.
struct ToldStep {
  TimePoint at;
  std::string who;
  std::string what;
};

inline constexpr std::string_view no_more_faults = "from here on there are no faults";

struct StoryLine {
  TimePoint at;
  std::string text;
  std::uint64_t times = 1;  // that it happened, one after another
};

class Storyteller {
 public:
  // `bare_frames`: a stream's bytes are its messages' bytes, so that an offset says in which message it lies.
  explicit Storyteller(bool bare_frames) : bare_frames_(bare_frames) {}

  std::vector<StoryLine> tell(const std::vector<ToldStep>& steps);

 private:
  // One direction of bytes between two nodes.
  struct Stream {
    std::string from;
    std::string to;
    std::string label;  // "client→server"
  };
  struct SentBatch {
    std::vector<std::pair<std::uint64_t, std::uint64_t>>
        runs;  // how many messages, of how many bytes
  };
  // Lines of one kind by one teller become one.
  struct Pending {
    std::string who;
    std::string kind;
    TimePoint at;
    std::uint64_t first = 0;
    std::uint64_t last = 0;
  };

  void add(TimePoint at, std::string text);
  void flush();
  void gather(const ToldStep& step, std::string kind, std::uint64_t first, std::uint64_t last);
  bool of_a_stream(const ToldStep& step);
  bool of_a_side(const ToldStep& step);
  bool of_a_node(const ToldStep& step);
  void of_an_outage(const ToldStep& step);
  void connects(const ToldStep& step);
  void delivered(const ToldStep& step, const Stream& stream);
  void begins_batch(const ToldStep& step);
  void ends_batch(const ToldStep& step);
  std::string where(const Stream& stream, std::uint64_t offset) const;
  const std::vector<SentBatch>* batches_of(const Stream& stream) const;
  std::string node_at(std::string_view address) const;
  std::string plain(const std::string& who) const;
  static std::string in_words(std::string_view sentence);
  std::string plain_list(std::string_view list) const;
  void find_suffix(const std::vector<ToldStep>& steps);

  bool bare_frames_;
  std::string suffix_;  // of the only connection's ends: "client0" is then the client
  std::map<std::string, std::string, std::less<>> nodes_;  // by address
  std::map<std::string, Stream, std::less<>> streams_;     // by who
  std::map<std::string, int, std::less<>> between_;        // connections so far, by pair of nodes
  std::map<std::string, std::vector<SentBatch>, std::less<>> batches_;  // by who sent them
  std::set<std::string, std::less<>> closing_;
  std::set<std::string, std::less<>> tellers_;  // who says more than that it runs
  std::vector<StoryLine> lines_;
  Pending pending_;
  bool any_batch_ = false;
};

// "  3      0.350 ms  ...", one a line; long ones go on under their text.
std::string format_story(const std::vector<StoryLine>& lines);

// What a law demands, in one sentence; empty for one that is not among twinwire's own.
std::string_view law_in_words(std::string_view law);

}  // namespace twinwire::cli
