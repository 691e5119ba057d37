// SPDX-License-Identifier: Apache-2.0
// UDP on a Ring, over loopback: what DatagramSocket promises, against the real kernel.
// ctest: no_tsan
#include <netinet/udp.h>

#include <algorithm>
#include <map>

#include "props/kernel_in_between.h"
#include "props/ring_fixture.h"

namespace twinwire::real {
namespace {

class RingDatagrams : public RingTest {
 protected:
  std::unique_ptr<DatagramSocket> bind(RingNetwork& network, const Address& address = loopback) {
    DatagramOptions options;
    options.receive_buffer = 4 << 20;
    auto socket = network.bind(address, options);
    EXPECT_TRUE(socket.has_value());
    return std::move(*socket);
  }
  // Receives until `count` datagrams are there; glued ones are cut apart.
  std::vector<ReceivedDatagram> receive(DatagramSocket& socket, std::size_t count) {
    std::vector<ReceivedDatagram> all;
    while (all.size() < count) {
      auto batch = socket.receive(soon());
      EXPECT_TRUE(batch.has_value()) << to_string(batch.error());
      if (!batch) break;
      EXPECT_FALSE(batch->empty());
      for (ReceivedDatagram& datagram : *batch) {
        while (datagram.segment_size != 0 && datagram.bytes.size() > datagram.segment_size) {
          ReceivedDatagram first = datagram;
          first.bytes = datagram.bytes.take_front(datagram.segment_size);
          all.push_back(std::move(first));
        }
        all.push_back(std::move(datagram));
      }
    }
    return all;
  }
};

TEST_F(RingDatagrams, datagrams_arrive_whole_in_both_directions) {
  const Counters counters = run({}, [&](RingNetwork& network, Scope&) {
    auto near = bind(network);
    auto far = bind(network);
    for (const std::size_t size : {0, 1, 1200, 9000, 65'507}) {
      const auto bytes = pattern(size);
      Datagram datagram{.remote = far->local(), .bytes = bytes};
      ASSERT_EQ(*near->send({&datagram, 1}, soon()), 1u);
      auto there = receive(*far, 1);
      ASSERT_EQ(there.size(), 1u);
      EXPECT_EQ(there[0].remote, near->local());
      EXPECT_EQ(there[0].local, far->local());
      EXPECT_TRUE(std::ranges::equal(there[0].bytes.bytes(), bytes));
      Datagram answer{.remote = there[0].remote, .local = there[0].local, .bytes = bytes};
      ASSERT_EQ(*far->send({&answer, 1}, soon()), 1u);
      auto back = receive(*near, 1);
      ASSERT_EQ(back.size(), 1u);
      EXPECT_TRUE(std::ranges::equal(back[0].bytes.bytes(), bytes));
    }
  });
  EXPECT_EQ(counters.datagrams_sent, 10u);
}

TEST_F(RingDatagrams, many_are_sent_and_received_in_few_calls_and_in_order) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto near = bind(network);
    auto far = bind(network);
    std::vector<std::vector<std::byte>> contents;
    std::vector<Datagram> datagrams;
    for (std::size_t i = 0; i < 100; ++i) contents.push_back(pattern(10 + i, i));
    for (const auto& bytes : contents)
      datagrams.push_back({.remote = far->local(), .bytes = bytes});
    std::size_t sent = 0;
    while (sent < datagrams.size()) {
      auto n = near->send(std::span(datagrams).subspan(sent), soon());
      ASSERT_TRUE(n.has_value());
      ASSERT_GE(*n, 1u);
      sent += *n;
    }
    auto all = receive(*far, 100);
    ASSERT_EQ(all.size(), 100u);
    for (std::size_t i = 0; i < 100; ++i)
      EXPECT_TRUE(std::ranges::equal(all[i].bytes.bytes(), contents[i])) << i;
  });
}

TEST_F(RingDatagrams, an_ecn_mark_arrives) {
  for (const char* text : {"127.0.0.1:0", "[::1]:0"})
    run({}, [&](RingNetwork& network, Scope&) {
      auto bound = network.bind(*parse_address(text), {});
      if (!bound) GTEST_SKIP() << "no IPv6 loopback here";
      auto far = std::move(*bound);
      auto near = bind(network, *parse_address(text));
      for (const Ecn ecn : {Ecn::not_ect, Ecn::ect0, Ecn::ect1, Ecn::ce}) {
        const auto bytes = pattern(100);
        Datagram datagram{.remote = far->local(), .ecn = ecn, .bytes = bytes};
        ASSERT_TRUE(near->send({&datagram, 1}, soon()).has_value());
        auto there = receive(*far, 1);
        EXPECT_EQ(there[0].ecn, ecn);
        EXPECT_EQ(there[0].local, far->local());
        EXPECT_EQ(there[0].remote, near->local());
      }
    });
}

TEST_F(RingDatagrams, the_local_address_is_the_one_that_the_datagram_was_sent_to) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto near = bind(network);
    auto far = bind(network, Address::v4(0, 0, 0, 0, 0));
    for (const std::uint8_t host : {1, 2, 77}) {
      const Address to = Address::v4(127, 0, 0, host, far->local().port);
      const auto bytes = pattern(10);
      Datagram datagram{.remote = to, .bytes = bytes};
      ASSERT_TRUE(near->send({&datagram, 1}, soon()).has_value());
      auto there = receive(*far, 1);
      EXPECT_EQ(there[0].local, to);
      // And an answer leaves from there.
      Datagram answer{.remote = near->local(), .local = to, .bytes = bytes};
      ASSERT_TRUE(far->send({&answer, 1}, soon()).has_value());
      EXPECT_EQ(receive(*near, 1)[0].remote, to);
    }
  });
}

TEST_F(RingDatagrams, a_dual_stack_socket_speaks_both_families) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto bound = network.bind(*parse_address("[::]:0"), {});
    if (!bound) GTEST_SKIP() << "no IPv6 here";
    auto near = bind(network);
    const Address to = Address::v4(127, 0, 0, 1, (*bound)->local().port);
    const auto bytes = pattern(10);
    Datagram datagram{.remote = to, .ecn = Ecn::ect0, .bytes = bytes};
    ASSERT_TRUE(near->send({&datagram, 1}, soon()).has_value());
    auto there = receive(**bound, 1);
    EXPECT_EQ(there[0].remote, near->local());
    EXPECT_EQ(there[0].local, to);
    EXPECT_EQ(there[0].ecn, Ecn::ect0);
    Datagram answer{.remote = near->local(), .local = to, .ecn = Ecn::ce, .bytes = bytes};
    auto n = (*bound)->send({&answer, 1}, soon());
    ASSERT_TRUE(n.has_value()) << to_string(n.error());
    auto back = receive(*near, 1);
    EXPECT_EQ(back[0].remote, to);
    EXPECT_EQ(back[0].ecn, Ecn::ce);
  });
}

TEST_F(RingDatagrams, a_segment_size_cuts_the_bytes_into_datagrams) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto near = bind(network);
    auto far = bind(network);
    // One piece of the kernel's, several of them (more than 64 segments), and one that is not longer than a segment.
    for (const std::size_t size : {12'345, 100'000, 1000, 500}) {
      constexpr std::size_t segment = 1000;
      const auto bytes = pattern(size);
      Datagram datagram{.remote = far->local(), .segment_size = segment, .bytes = bytes};
      auto n = near->send({&datagram, 1}, soon());
      ASSERT_TRUE(n.has_value()) << to_string(n.error());
      EXPECT_EQ(*n, 1u);
      const std::size_t count = (size + segment - 1) / segment;
      auto all = receive(*far, count);
      ASSERT_EQ(all.size(), count);
      std::size_t at = 0;
      for (const ReceivedDatagram& received : all) {
        const std::size_t expected = std::min(segment, size - at);
        ASSERT_EQ(received.bytes.size(), expected);
        EXPECT_TRUE(std::ranges::equal(received.bytes.bytes(), pattern(expected, at)));
        at += expected;
      }
    }
  });
}

TEST_F(RingDatagrams, a_datagram_over_the_limit_is_too_large_and_others_go_on) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto near = bind(network);
    auto far = bind(network);
    const auto large = pattern(65'508);
    const auto small = pattern(10);
    const Datagram datagrams[3] = {{.remote = far->local(), .bytes = small},
                                   {.remote = far->local(), .bytes = large},
                                   {.remote = far->local(), .bytes = small}};
    EXPECT_EQ(*near->send(datagrams, soon()), 1u);
    EXPECT_EQ(near->send(std::span(datagrams).subspan(1), soon()).error(), Errc::too_large);
    EXPECT_EQ(*near->send(std::span(datagrams).subspan(2), soon()), 1u);
    EXPECT_EQ(receive(*far, 2).size(), 2u);
  });
}

TEST_F(RingDatagrams, a_port_in_use_is_unreachable) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto first = bind(network);
    auto second = network.bind(first->local(), {});
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error(), Errc::unreachable);
    EXPECT_EQ(second.error().os_errno, EADDRINUSE);
  });
}

TEST_F(RingDatagrams, an_address_that_cannot_be_had_is_unreachable) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto near = bind(network);
    for (const Address& to : {Address::v4(127, 0, 0, 1, 0), Address{{0xfd}, 4000}}) {
      Datagram datagram{.remote = to, .bytes = {}};
      EXPECT_EQ(near->send({&datagram, 1}, soon()).error(), Errc::unreachable) << to_string(to);
    }
    Datagram foreign{.remote = near->local(), .local = Address::v4(10, 99, 99, 99, 0), .bytes = {}};
    EXPECT_EQ(near->send({&foreign, 1}, soon()).error(), Errc::unreachable);
  });
}

TEST_F(RingDatagrams, one_address_that_cannot_be_had_costs_others_nothing) {
  const auto bytes = pattern(1000);
  const auto messages = [&](bool fails_before) {
    return run({},
               [&](RingNetwork& network, Scope&) {
                 auto near = bind(network);
                 auto far = bind(network);
                 Datagram nowhere{
                     .remote = Address::v4(127, 0, 0, 1, 0), .segment_size = 100, .bytes = bytes};
                 if (fails_before) {
                   EXPECT_FALSE(near->send({&nowhere, 1}, soon()).has_value());
                 }
                 Datagram datagram{.remote = far->local(), .segment_size = 100, .bytes = bytes};
                 EXPECT_TRUE(near->send({&datagram, 1}, soon()).has_value());
                 EXPECT_EQ(receive(*far, 10).size(), 10u);
               })
        .datagrams_sent;
  };
  EXPECT_EQ(messages(true), messages(false)) << "the kernel cuts as before";
}

TEST_F(RingDatagrams, a_send_whose_deadline_has_passed_does_nothing) {
  run({}, [&](RingNetwork& network, Scope&) {
    auto near = bind(network);
    auto far = bind(network);
    Datagram datagram{.remote = far->local(), .bytes = {}};
    EXPECT_EQ(near->send({&datagram, 1}, network.clock().in(Duration(-1))).error(),
              Errc::timed_out);
    EXPECT_EQ(far->receive(network.clock().in(milliseconds(5))).error(), Errc::timed_out);
  });
}

// A device without checksum offload, or with a transformation on its way, answers UDP_SEGMENT by EIO (udp(7)).
class NoSegmentation final : public KernelInBetween {
 public:
  int send_datagrams(int fd, mmsghdr* messages, unsigned count) noexcept override {
    for (unsigned i = 0; i < count; ++i)
      for (cmsghdr* c = CMSG_FIRSTHDR(&messages[i].msg_hdr); c != nullptr;
           c = CMSG_NXTHDR(&messages[i].msg_hdr, c))
        if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_SEGMENT) {
          ++refused;
          errno = 0;  // what a system call leaves there is nobody's to look at
          return -EIO;
        }
    return KernelInBetween::send_datagrams(fd, messages, count);
  }
  int refused = 0;
};

TEST_F(RingDatagrams, where_the_kernel_cannot_cut_they_are_sent_one_by_one) {
  NoSegmentation kernel;
  RingOptions options;
  options.kernel = &kernel;
  run(options, [&](RingNetwork& network, Scope&) {
    auto near = bind(network);
    auto far = bind(network);
    const auto bytes = pattern(1000);
    for (int round = 0; round < 2; ++round) {
      const Datagram datagram{.remote = far->local(), .segment_size = 300, .bytes = bytes};
      ASSERT_EQ(near->send({&datagram, 1}, soon()).value(), 1u);
      const auto got = receive(*far, 4);
      ASSERT_EQ(got.size(), 4u);
      std::vector<std::byte> whole;
      for (const ReceivedDatagram& one : got) {
        EXPECT_LE(one.bytes.size(), 300u);
        const auto part = one.bytes.bytes();
        whole.insert(whole.end(), part.begin(), part.end());
      }
      EXPECT_EQ(whole, bytes);
    }
  });
  EXPECT_EQ(kernel.refused, 1) << "asked once, and not again on that socket";
}

TEST_F(RingDatagrams, a_sender_without_pause_starves_nobody) {
  run({}, [&](RingNetwork& network, Scope& scope) {
    auto near = bind(network);
    auto far = bind(network);
    bool stop = false;
    scope.spawn("flood", [&] {
      const auto bytes = pattern(100);
      Datagram datagram{.remote = far->local(), .bytes = bytes};
      while (!stop) ASSERT_TRUE(near->send({&datagram, 1}, soon()).has_value());
    });
    ASSERT_TRUE(ring().scheduler().sleep_for(milliseconds(5)).has_value());
    EXPECT_GE(receive(*far, 10).size(), 10u);
    stop = true;
    scope.join();
  });
}

}  // namespace
}  // namespace twinwire::real
