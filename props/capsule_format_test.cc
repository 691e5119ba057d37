// SPDX-License-Identifier: Apache-2.0
// The capsule: what goes in comes out; whatever was cut, flipped or unknown is refused in one sentence.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <xxhash.h>

#include <csignal>

#include "cli/capsule.h"
#include "props/cli_process.h"

namespace twinwire::props {
namespace {

cli::Capsule sample() {
  cli::Capsule capsule;
  capsule.build = 0x0123456789abcdef;
  capsule.versions = {{"compiler", "g++ 12.2.0"}, {"boost", "1.81.0"}};
  capsule.scenario = "traffic";
  capsule.transport = "tcp";
  capsule.seed = 18446744073709551615ULL;
  capsule.plant = "drop_by_fin";
  capsule.faults = "wake_order=1:4294967296 short_write=0.1:20";
  capsule.knobs = {{"messages", 200}, {"skew", -5}};
  capsule.key = "law_broken:prefix";
  capsule.hash = 0;
  capsule.detail = "first line\nsecond line";
  capsule.decisions = {{sim::Site::wake_order, 1, 0, 4294967295},
                       {sim::Site::reset, UINT64_MAX, 7, 71}};
  return capsule;
}

// The checksum is put right again, so that what is behind it is reached.
std::string with_checksum(std::string body) {
  const std::uint64_t sum = XXH3_64bits(body.data(), body.size());
  std::array<char, 32> line{};
  std::snprintf(line.data(), line.size(), "checksum %016llx\n",
                static_cast<unsigned long long>(sum));
  return body + line.data();
}

std::string refusal(const std::string& text) {
  try {
    (void)cli::decode(text, "it");
  } catch (const cli::Failure& failure) {
    EXPECT_EQ(failure.code(), cli::ExitCode::bad_usage);
    return failure.what();
  }
  return "accepted";
}

TEST(Capsule, comes_out_as_it_went_in) {
  const cli::Capsule in = sample();
  const cli::Capsule out = cli::decode(cli::encode(in), "it");
  EXPECT_EQ(out.build, in.build);
  EXPECT_EQ(out.versions, in.versions);
  EXPECT_EQ(out.scenario, in.scenario);
  EXPECT_EQ(out.transport, in.transport);
  EXPECT_EQ(out.seed, in.seed);
  EXPECT_EQ(out.plant, in.plant);
  EXPECT_EQ(out.faults, in.faults);
  ASSERT_EQ(out.knobs.size(), 2U);
  EXPECT_EQ(out.knobs[1].name, "skew");
  EXPECT_EQ(out.knobs[1].value, -5);
  EXPECT_EQ(out.key, in.key);
  EXPECT_EQ(out.hash, in.hash);
  EXPECT_EQ(out.detail, in.detail);
  EXPECT_EQ(out.decisions, in.decisions);
  EXPECT_EQ(cli::encode(out), cli::encode(in));
}

TEST(Capsule, without_hash_plant_or_decisions_it_is_whole_too) {
  cli::Capsule in = sample();
  in.hash.reset();
  in.plant.clear();
  in.decisions.clear();
  in.detail.clear();
  in.faults.clear();
  const cli::Capsule out = cli::decode(cli::encode(in), "it");
  EXPECT_FALSE(out.hash.has_value());
  EXPECT_EQ(out.plant, "");
  EXPECT_EQ(out.faults, "");
  EXPECT_TRUE(out.decisions.empty());
}

TEST(Capsule, cut_anywhere_it_is_refused) {
  const std::string text = cli::encode(sample());
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_NE(refusal(text.substr(0, size)), "accepted") << size;
}

TEST(Capsule, with_any_byte_changed_it_is_refused) {
  const std::string text = cli::encode(sample());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_NE(refusal(damaged), "accepted") << i;
  }
}

TEST(Capsule, what_this_build_does_not_know_is_named) {
  const std::string begin =
      "twinwire-capsule 1\nscenario traffic\ntransport tcp\nkey law_broken:prefix\n";
  const auto after = [&](const std::string& lines) {
    return refusal(with_checksum(begin + lines));
  };
  EXPECT_EQ(after(""), "accepted");
  EXPECT_EQ(after("decisions 1\nwormhole 0123456789abcdef 1 1\n"),
            "the capsule it is malformed: line 6 names the site 'wormhole', which this build does "
            "not have");
  EXPECT_NE(after("decisions 2\nreset 0123456789abcdef 1 1\n").find("announces more decisions"),
            std::string::npos);
  EXPECT_NE(after("decisions 1\nreset 0123456789abcdef 1\n").find("is no decision"),
            std::string::npos);
  EXPECT_NE(after("decisions 1\nreset 0x1 1 1\n").find("holds no entity"), std::string::npos);
  EXPECT_NE(after("colour blue\n").find("line 5 is not known to format 1"), std::string::npos);
  EXPECT_NE(after("seed -1\n").find("holds no seed"), std::string::npos);
  EXPECT_NE(after("seed 18446744073709551616\n").find("holds no seed"), std::string::npos);
  EXPECT_NE(after("faults wormhole=1\n").find("no fault named 'wormhole'"), std::string::npos);
  EXPECT_NE(refusal(with_checksum("twinwire-capsule 1\nseed 1\n")).find("names no scenario"),
            std::string::npos);
}

TEST(Capsule, a_full_disk_leaves_no_half_of_it) {
  const TemporaryFolder folder;
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{64, before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  std::string said;
  try {
    (void)cli::save_capsule(sample(), folder.path().string());
  } catch (const cli::Failure& failure) {
    said = failure.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_NE(said.find("cannot write the capsule"), std::string::npos) << said;
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Capsule, a_folder_that_is_missing_is_made) {
  const TemporaryFolder folder;
  const std::string path = cli::save_capsule(sample(), (folder.path() / "a" / "b").string());
  EXPECT_EQ(cli::load_capsule(path).seed, sample().seed);
}

}  // namespace
}  // namespace twinwire::props
