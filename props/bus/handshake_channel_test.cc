// SPDX-License-Identifier: Apache-2.0
// What names a channel: the TLS exporter, equal at both ends, and of no two connections.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <set>

#include "props/tls_rig.h"

namespace twinwire::sim {
namespace {

class ChannelName : public testing::TestWithParam<TlsVersions> {};

TEST_P(ChannelName, both_ends_have_it_and_no_other_connection) {
  auto client = tls_client_config();
  auto server = tls_server_config();
  client.versions = server.versions = GetParam();
  std::set<ChannelBinding> names;
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    WorldOptions options;
    options.seed = seed;
    expect_clean(run_tls_rig(options, client, server, [&](TlsRig& rig) {
      ASSERT_TRUE(rig.client && rig.server);
      const auto near = rig.client->channel_binding();
      const auto far = rig.server->channel_binding();
      ASSERT_TRUE(near && far);
      EXPECT_EQ(*near, *far);
      EXPECT_TRUE(names.insert(*near).second);
      EXPECT_NE(*near, ChannelBinding{});

      // New keys, and a session that goes on, change nothing.
      EXPECT_TRUE(rig.client->update_keys(rig.in(1s)));
      EXPECT_TRUE(write_all(*rig.client, pattern(1000)));
      Bytes got;
      EXPECT_TRUE(read_up_to(*rig.server, got, 1000));
      EXPECT_EQ(*rig.client->channel_binding(), *near);
      EXPECT_EQ(*rig.server->channel_binding(), *near);
    }));
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, ChannelName,
                         testing::Values(TlsVersions::only_12, TlsVersions::only_13),
                         [](const auto& instance) {
                           return instance.param == TlsVersions::only_12 ? "tls_1_2" : "tls_1_3";
                         });

TEST(ChannelNameOfTcp, there_is_none) {
  run_rig([&](Rig& rig) {
    const auto name = rig.client->channel_binding();
    ASSERT_FALSE(name);
    EXPECT_EQ(name.error(), Errc::unsupported);
  });
}

}  // namespace
}  // namespace twinwire::sim
