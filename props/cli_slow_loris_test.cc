// SPDX-License-Identifier: Apache-2.0
// `serve` and newcomers that are slow on purpose: each sends a byte now and then, and never comes to an end. None has
// more time than a handshake has; and where they hold every descriptor, not even that: honest clients get in.
// ctest: timeout=120 real_time no_tsan
#include <algorithm>
#include <set>

#include "props/bad_input_rig.h"
#include "props/bad_ws_bytes.h"

namespace twinwire::props {
namespace {

class SlowLoris : public BadInput, public ::testing::WithParamInterface<const char*> {
 protected:
  // What an honest client would begin with, as far as it can be told without a session. Long enough, at the pace
  // below, that only the server can end it.
  std::string beginning() const {
    if (transport_ == "tcp") return good_request();
    if (transport_ == "ws") return ws_upgrade() + std::string(1000, ' ');
    return std::string("\x16\x03\x01\x03\xe8\x01\0\x03\xe4\x03\x03", 11) + std::string(989, 'r');
  }
  // One byte at a time on each of `many` sockets, until the server has ended them all.
  void trickle(std::size_t many) {
    const std::string bytes = beginning();
    std::vector<int> open;
    for (std::size_t i = 0; i < many; ++i) open.push_back(connect());
    ASSERT_EQ(std::count(open.begin(), open.end(), -1), 0);
    for (std::size_t at = 0; at < bytes.size() && !open.empty(); ++at) {
      std::erase_if(open, [&](int socket) {
        char answer = 0;
        // The server's end is an error or the end of the stream; nothing else is expected from it.
        const bool ended = ::recv(socket, &answer, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN ||
                           ::send(socket, &bytes[at], 1, MSG_NOSIGNAL) != 1;
        if (ended) ::close(socket);
        return ended;
      });
      std::this_thread::sleep_for(100ms);
    }
    EXPECT_TRUE(open.empty()) << "the server waits for ever";
    for (const int socket : open) ::close(socket);
  }
};
INSTANTIATE_TEST_SUITE_P(BadInput, SlowLoris, ::testing::Values("tcp", "tls", "ws", "wss"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(SlowLoris, has_the_time_of_a_handshake) {
  serve(GetParam(), {}, "--handshake-timeout 2s");
  begin();
  // So few that each has a line of its own.
  trickle(8);
  wait_for([this] { return lines().size() >= 8; });
  std::set<std::string> told;
  for (const std::string& line : lines()) {
    EXPECT_TRUE(line.starts_with("twinwire: connection from 127.0.0.1:")) << line;
    EXPECT_TRUE(line.ends_with(" refused: handshake timed out")) << line;
    told.insert(line);
  }
  EXPECT_EQ(told.size(), 8U) << server_->err();
  lines_ = 8;
  finish(8);
}

// More of them than the server has descriptors, and time without end: they make room when it is short of them.
TEST_P(SlowLoris, crowds_make_room_when_descriptors_run_out) {
  using clock = std::chrono::steady_clock;
  const auto started = clock::now();
  limit_ = "100";
  serve(GetParam(), {}, "--handshake-timeout 1h");
  begin();
  (void)descriptors();
  std::vector<int> open;
  const std::string bytes = beginning().substr(0, 20);
  for (int i = 0; i < 150; ++i) {
    open.push_back(connect());
    ASSERT_GE(open.back(), 0);
    (void)::send(open.back(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  const Ended during = load(honest_options() + " --patience 30s");
  EXPECT_EQ(during.exit_code, 0) << during.out << during.err;
  ++served_;
  const auto complaints = lines_with(server_->err(), "a connection was not accepted: no_resources");
  EXPECT_FALSE(complaints.empty()) << server_->err();
  // One a second, however often accept fails.
  EXPECT_LE(complaints.size(), 1 + static_cast<std::size_t>((clock::now() - started) / 1s));
  EXPECT_FALSE(lines_with(server_->err(), "evicted by newer handshakes").empty());
  EXPECT_LE(lines().size(), 150U) << server_->err();
  for (const int socket : open) ::close(socket);
  wait_for([this] { return refused() >= 150; });
  EXPECT_EQ(refused(), 150U) << server_->err();
  lines_ = lines().size();
  finish(150);
}

}  // namespace
}  // namespace twinwire::props
