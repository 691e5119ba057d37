// SPDX-License-Identifier: Apache-2.0
// Options of sockets that take a network of one's own to see them at work.
// ctest: real_time
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cstring>

#include "props/oracle/private_network.h"
#include "props/ring_fixture.h"

namespace twinwire::real {
namespace {

class RingOptionsAtWork : public RingTest {};

// On a wire that loses everything: after the user timeout, and not a quarter of an hour on.
TEST_F(RingOptionsAtWork, a_peer_that_acknowledges_nothing_fails_the_stream_in_time) {
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

TEST_F(RingOptionsAtWork, a_device_whose_name_is_too_long_is_not_the_one_that_it_begins_with) {
  if (const auto entered = oracle::enter_private_network(); !entered)
    GTEST_SKIP() << "no network namespace here: " << to_string(entered.error());
  // As long as a name may be.
  const std::string name(IFNAMSIZ - 1, 'x');
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  const int tun = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun < 0 || ::ioctl(tun, TUNSETIFF, &request) != 0) GTEST_SKIP() << "no TUN device here";
  run({}, [&](RingNetwork& network, Scope&) {
    ListenOptions options;
    options.stream.device = name.c_str();
    EXPECT_TRUE(network.listen(loopback, options).has_value());
    const std::string longer = name + "x";
    options.stream.device = longer.c_str();
    const auto acceptor = network.listen(loopback, options);
    ASSERT_FALSE(acceptor.has_value());
    EXPECT_EQ(acceptor.error().os_errno, ENODEV);
  });
  ::close(tun);
}

}  // namespace
}  // namespace twinwire::real
