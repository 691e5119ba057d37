// SPDX-License-Identifier: Apache-2.0
// TLS in the World: real handshakes and records between two simulated nodes.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/sim_rig.h"
#include "props/tls_rig.h"
#include "transport/tls/tls_stream.h"

namespace twinwire::sim {
namespace {

TEST(tls_world, one_message_each_way) {
  const RunReport report = run_tls_rig([&](TlsRig& rig) {
    ASSERT_TRUE(rig.client && rig.server);
    EXPECT_EQ(rig.client->description(), "TLS1.3 AES-128-GCM");
    ASSERT_TRUE(write_all(*rig.client, pattern(1000), rig.in(1s)));
    Bytes got;
    ASSERT_TRUE(read_up_to(*rig.server, got, 1000, rig.in(1s)));
    EXPECT_EQ(got, pattern(1000));
    ASSERT_TRUE(write_all(*rig.server, pattern(300'000), rig.in(1s)));
    got.clear();
    ASSERT_TRUE(read_up_to(*rig.client, got, 300'000, rig.in(1s)));
    EXPECT_EQ(got, pattern(300'000));
    ASSERT_TRUE(rig.client->shutdown_write(rig.in(1s)));
    EXPECT_TRUE(rig.server->read(rig.in(1s))->empty());
    ASSERT_TRUE(rig.server->shutdown_write(rig.in(1s)));
    EXPECT_TRUE(rig.client->read(rig.in(1s))->empty());
    EXPECT_TRUE(rig.server->read(rig.in(1s))->empty());
  });
  expect_clean(report);
}

}  // namespace
}  // namespace twinwire::sim
