// SPDX-License-Identifier: Apache-2.0
// The options of sockets, as the kernel has them: asked back with getsockopt(2) on both ends of a connection.
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "props/ring_fixture.h"
#include "real/socket_address.h"

namespace twinwire::real {
namespace {

class RingSocketOptions : public RingTest {
 protected:
  // The descriptor of this process whose socket has that address and that peer (all zero: none).
  static int find(const Address& local, const Address& peer) {
    int found = -1;
    for (int fd = 0; fd < 1024; ++fd)
      if (local_address(fd) == local && peer_address(fd) == peer) found = fd;
    EXPECT_GE(found, 0) << "no socket on " << to_string(local);
    return found;
  }
  static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
    return value;
  }
  // Makes a connection with the options on both sides, and calls check(fd) for each.
  template <class F>
  void on_both_ends(const StreamOptions& options, F&& check) {
    run({}, [&](RingNetwork& network, Scope&) {
      auto [near, far] = connect(network, options);
      ASSERT_NE(far, nullptr);
      for (const ByteStream* end : {near.get(), far.get()}) {
        SCOPED_TRACE(end == near.get() ? "dialed" : "accepted");
        check(find(end->local(), end->peer()));
      }
    });
  }
};

TEST_F(RingSocketOptions, by_itself_a_batch_leaves_at_once_and_nothing_else_is_set) {
  on_both_ends({}, [](int fd) {
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 0);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_REUSEPORT), 0);
  });
}

TEST_F(RingSocketOptions, keepalive_is_set_in_whole_seconds_rounded_up) {
  StreamOptions options;
  options.keepalive_idle = milliseconds(29'001);
  options.keepalive_interval = seconds(7);
  options.keepalive_probes = 3;
  on_both_ends(options, [](int fd) {
    EXPECT_EQ(option(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 30);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), 7);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
  });
}

TEST_F(RingSocketOptions, of_keepalive_what_is_not_said_stays_the_kernels) {
  int interval = 0;
  int probes = 0;
  on_both_ends({}, [&](int fd) {
    interval = option(fd, IPPROTO_TCP, TCP_KEEPINTVL);
    probes = option(fd, IPPROTO_TCP, TCP_KEEPCNT);
  });
  StreamOptions options;
  options.keepalive_idle = seconds(5);
  on_both_ends(options, [&](int fd) {
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPIDLE), 5);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPINTVL), interval);
    EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_KEEPCNT), probes);
  });
}

TEST_F(RingSocketOptions, user_timeout_is_set_in_milliseconds_rounded_up) {
  StreamOptions options;
  options.user_timeout = microseconds(1'500'001);
  on_both_ends(options, [](int fd) { EXPECT_EQ(option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1501); });
}

TEST_F(RingSocketOptions, what_is_out_of_bounds_is_an_error_of_listen_and_of_dial) {
  run({}, [&](RingNetwork& network, Scope&) {
    StreamOptions idle;
    idle.keepalive_idle = std::chrono::hours(24 * 365 * 200);  // saturates, and does not wrap
    StreamOptions interval{.keepalive_idle = seconds(1)};
    interval.keepalive_interval = seconds(32'768);
    StreamOptions probes{.keepalive_idle = seconds(1)};
    probes.keepalive_probes = 128;
    StreamOptions negative;
    negative.user_timeout = milliseconds(-1);
    for (const StreamOptions& options : {idle, interval, probes, negative}) {
      ListenOptions listening;
      listening.stream = options;
      const auto acceptor = network.listen(loopback, listening);
      ASSERT_FALSE(acceptor.has_value());
      EXPECT_EQ(acceptor.error(), Errc::unsupported);
      EXPECT_EQ(acceptor.error().os_errno, EINVAL);
      const auto stream = network.dial(loopback, options, soon());
      ASSERT_FALSE(stream.has_value());
      EXPECT_EQ(stream.error(), Errc::unsupported);
      EXPECT_EQ(stream.error().os_errno, EINVAL);
    }
  });
}

TEST_F(RingSocketOptions, a_socket_is_bound_to_the_device_that_was_asked_for) {
  StreamOptions options;
  options.device = "lo";
  on_both_ends(options, [](int fd) {
    char name[IFNAMSIZ] = {};
    socklen_t size = sizeof name;
    ASSERT_EQ(::getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size), 0);
    EXPECT_STREQ(name, "lo");
  });
  run({}, [&](RingNetwork& network, Scope&) {
    auto socket = network.bind(loopback, {.device = "lo"});
    ASSERT_TRUE(socket.has_value());
    char name[IFNAMSIZ] = {};
    socklen_t size = sizeof name;
    const int fd = find((*socket)->local(), {});
    ASSERT_EQ(::getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &size), 0);
    EXPECT_STREQ(name, "lo");
  });
}

TEST_F(RingSocketOptions, a_device_that_is_not_there_is_an_error_and_leaves_nothing) {
  run({}, [&](RingNetwork& network, Scope&) {
    for (const char* device : {"nosuchdevice0", "0123456789012345"}) {
      SCOPED_TRACE(device);
      ListenOptions listening;
      listening.stream.device = device;
      const auto acceptor = network.listen(loopback, listening);
      ASSERT_FALSE(acceptor.has_value());
      EXPECT_EQ(acceptor.error(), Errc::unsupported);
      EXPECT_EQ(acceptor.error().os_errno, ENODEV);
      const auto stream = network.dial(loopback, listening.stream, soon());
      EXPECT_EQ(stream.error(), Errc::unsupported);
      EXPECT_EQ(stream.error().os_errno, ENODEV);
      EXPECT_EQ(network.bind(loopback, {.device = device}).error(), Errc::unsupported);
    }
  });
}

TEST_F(RingSocketOptions, two_listeners_share_an_address_only_if_both_ask_for_it) {
  run({}, [&](RingNetwork& network, Scope&) {
    ListenOptions sharing;
    sharing.reuse_port = true;
    auto first = network.listen(loopback, sharing);
    ASSERT_TRUE(first.has_value());
    const Address address = (*first)->local();
    const auto alone = network.listen(address, {});
    ASSERT_FALSE(alone.has_value());
    EXPECT_EQ(alone.error().os_errno, EADDRINUSE);
    auto second = network.listen(address, sharing);
    ASSERT_TRUE(second.has_value());

    // Which of the two gets a connection is drawn from its source port; after 64 each had some.
    std::vector<std::unique_ptr<ByteStream>> dialed;
    for (int i = 0; i < 64; ++i) {
      auto stream = network.dial(address, {}, soon());
      ASSERT_TRUE(stream.has_value());
      dialed.push_back(std::move(*stream));
    }
    for (Acceptor* acceptor : {first->get(), second->get()})
      EXPECT_TRUE(acceptor->accept(soon()).has_value());
  });
}

TEST_F(RingSocketOptions, a_listener_of_ipv6_alone_leaves_the_port_to_ipv4) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto both = network.listen(*parse_address("[::]:0"), {});
    if (!both) GTEST_SKIP() << "no IPv6 here";
    auto stream = network.dial(Address::v4(127, 0, 0, 1, (*both)->local().port), {}, soon());
    EXPECT_TRUE(stream.has_value());
    EXPECT_EQ(network.listen(Address::v4(0, 0, 0, 0, (*both)->local().port), {}).error().os_errno,
              EADDRINUSE);

    ListenOptions alone;
    alone.v6_only = true;
    auto v6 = network.listen(*parse_address("[::]:0"), alone);
    ASSERT_TRUE(v6.has_value());
    const std::uint16_t port = (*v6)->local().port;
    EXPECT_EQ(network.dial(Address::v4(127, 0, 0, 1, port), {}, soon()).error(), Errc::refused);
    EXPECT_TRUE(network.listen(Address::v4(0, 0, 0, 0, port), {}).has_value());
    Address to = *parse_address("[::1]:0");
    to.port = port;
    EXPECT_TRUE(network.dial(to, {}, soon()).has_value());
  });
}

TEST_F(RingSocketOptions, datagrams_of_ipv6_alone_leave_the_port_too) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto both = network.bind(*parse_address("[::]:0"), {});
    if (!both) GTEST_SKIP() << "no IPv6 here";
    const Address any4 = Address::v4(0, 0, 0, 0, (*both)->local().port);
    EXPECT_EQ(network.bind(any4, {}).error().os_errno, EADDRINUSE);
    auto v6 = network.bind(*parse_address("[::]:0"), {.v6_only = true});
    ASSERT_TRUE(v6.has_value());
    EXPECT_TRUE(network.bind(Address::v4(0, 0, 0, 0, (*v6)->local().port), {}).has_value());
  });
}

}  // namespace
}  // namespace twinwire::real
