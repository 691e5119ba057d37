// SPDX-License-Identifier: Apache-2.0
// The accounts can fail: a fault that does nothing is named, one that only counts changes no outcome, and a state that
// a planted bug keeps away is missed.
// ctest: no_asan no_tsan
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "props/account_rig.h"
#include "sim/lie.h"
#include "transport/base/plant_list.h"

namespace twinwire::props {
namespace {

using sim::Lie;
using sim::Site;

class PlantedAccount : public testing::Test {
 protected:
  void TearDown() override {
    sim::lie_told = Lie::none;
    plant::activate("");
  }
  Account account(std::string_view scenario, std::string_view transport, std::uint64_t seeds) {
    return account_of(*registry_.find(scenario), index(transport), seeds, 0, stacks_);
  }
  static std::size_t index(std::string_view transport) {
    constexpr auto names = laws::transport_names();
    return static_cast<std::size_t>(std::find(names.begin(), names.end(), transport) -
                                    names.begin());
  }
  static bool names_it(const Account& account, std::string_view transport, Site site) {
    const auto found = laws::toothless(account.faults, index(transport), false, {});
    return std::any_of(found.begin(), found.end(),
                       [site](const laws::Toothless& one) { return one.site == site; });
  }
  static bool misses(const Account& account, std::string_view transport, std::string_view scenario,
                     Sometimes state) {
    const auto missing =
        laws::missing(account.states, index(transport), scenario, laws::usual_seeds);
    return std::find(missing.begin(), missing.end(), state) != missing.end();
  }

  laws::Registry registry_ = laws::built_in_scenarios();
  StackPool stacks_;
};

TEST_F(PlantedAccount, a_fault_of_streams_that_does_nothing_is_named) {
  EXPECT_FALSE(names_it(account("traffic", "tcp", 100), "tcp", Site::short_read));
  sim::lie_told = Lie::short_read_does_nothing;
  EXPECT_TRUE(names_it(account("traffic", "tcp", 100), "tcp", Site::short_read));
}

TEST_F(PlantedAccount, a_fault_of_datagrams_that_does_nothing_is_named) {
  EXPECT_FALSE(names_it(account("traffic", "quic", 100), "quic", Site::datagram_loss));
  sim::lie_told = Lie::datagram_loss_does_nothing;
  EXPECT_TRUE(names_it(account("traffic", "quic", 100), "quic", Site::datagram_loss));
}

// As send clogging was in a simulator of renown: written, counted, and never read.
TEST_F(PlantedAccount, a_fault_that_only_counts_changes_no_outcome) {
  const laws::ScenarioEntry& traffic = *registry_.find("traffic");
  const auto honest = worth_of(Site::reset, traffic, index("tcp"), 200, stacks_);
  EXPECT_GT(honest.changed, 0U);
  sim::lie_told = Lie::reset_is_only_counted;
  const Account lying = account("traffic", "tcp", 200);
  EXPECT_GT(lying.faults[static_cast<std::size_t>(Site::reset)].count.bit, 0U);
  const auto worth = worth_of(Site::reset, traffic, index("tcp"), 200, stacks_);
  EXPECT_GT(worth.reruns, 10U);
  EXPECT_EQ(worth.changed, 0U);
}

TEST_F(PlantedAccount, a_fault_that_is_on_and_never_drawn_is_named) {
  Account nothing;
  nothing.faults[static_cast<std::size_t>(Site::clog)].seeds_on = 1000;
  EXPECT_TRUE(names_it(nothing, "tcp", Site::clog));
  EXPECT_FALSE(names_it(nothing, "quic", Site::clog)) << "datagrams know no clog";
}

TEST_F(PlantedAccount, a_state_that_a_bug_keeps_away_is_missed) {
  EXPECT_FALSE(
      misses(account("accepting", "tcp", 100), "tcp", "accepting", Sometimes::handshake_evicted));
  ASSERT_TRUE(plant::activate("handshakes_without_bound"));
  EXPECT_TRUE(
      misses(account("accepting", "tcp", 100), "tcp", "accepting", Sometimes::handshake_evicted));
}

}  // namespace
}  // namespace twinwire::props
