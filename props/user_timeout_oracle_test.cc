// SPDX-License-Identifier: Apache-2.0
// TCP_USER_TIMEOUT at work: on a wire that loses everything the stream fails after it, and not a quarter of an hour on.
// ctest: real_time
#include "props/oracle/private_network.h"
#include "props/ring_fixture.h"

namespace twinwire::real {
namespace {

class UserTimeout : public RingTest {};

TEST_F(UserTimeout, a_peer_that_acknowledges_nothing_fails_the_stream_in_time) {
  if (const auto entered = oracle::enter_private_network(); !entered)
    GTEST_SKIP() << "no network namespace here: " << to_string(entered.error());
  auto wire = oracle::HeldWire::create();
  if (!wire) GTEST_SKIP() << "no TUN device here: " << to_string(wire.error());
  run({}, [&](RingNetwork& network, Scope& scope) {
    auto acceptor = network.listen(Address::v4(10, 9, 0, 1, 0), {});
    ASSERT_TRUE(acceptor.has_value()) << to_string(acceptor.error());
    Address to = oracle::far_host;
    to.port = (*acceptor)->local().port;
    const FiberHandle mover = scope.spawn("wire", [&] {
      while (ring().scheduler().sleep_for(milliseconds(1))) (*wire)->hop();
    });
    StreamOptions options;
    options.user_timeout = milliseconds(300);
    auto near = network.dial(to, options, soon());
    ring().scheduler().cancel(mover);
    scope.join();
    ASSERT_TRUE(near.has_value()) << to_string(near.error());

    // From here on nothing moves.
    const auto bytes = pattern(1000);
    ASSERT_TRUE(write_all(**near, bytes, soon()));
    const auto answer = (*near)->read(in(seconds(15)));
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error(), Errc::broken) << to_string(answer.error());
    EXPECT_EQ(answer.error().os_errno, ETIMEDOUT);
  });
}

}  // namespace
}  // namespace twinwire::real
