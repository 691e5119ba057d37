// SPDX-License-Identifier: Apache-2.0
// Corpus: a folder of small capsules, one for each way to fail, that the tests replay (props/planted_corpus_test.cc).
// `hunt --corpus` writes them, minimised.
//
// A way to fail is a failure key over a transport, with a certain planted bug or none; the file is named for it. Of two
// capsules for one the quicker stays. What is expected of each:
//
//   of a planted bug    fails with its key while the bug is live, and passes without it
//   of no planted bug   passes: it once failed, and what it showed was mended
#pragma once

#include <string>
#include <vector>

#include "cli/capsule.h"
#include "cli/tool.h"

namespace twinwire::cli {

inline constexpr const char* default_corpus = "props/corpus";

// "tcp-law_broken-prefix-resume_at_wrong_offset.capsule"
std::string corpus_name(const Capsule& capsule);

struct CorpusEntry {
  std::string path;
  Capsule capsule;
};

// Every *.capsule of that folder, the quickest first. Throws Failure for one that cannot be read.
std::vector<CorpusEntry> load_corpus(const std::string& folder);

// Puts it there, unless one that is as quick is there already. Returns what was done, for a person. Throws Failure.
std::string add_to_corpus(const Capsule& capsule, const std::string& folder);

// Replays it, with its planted bug and without. Empty if all is as it should be; else a sentence each.
std::vector<std::string> complaints_about(const Tool& tool, const CorpusEntry& entry,
                                          Duration hang_after);

}  // namespace twinwire::cli
