// SPDX-License-Identifier: Apache-2.0
// `serve` and ten thousand handshakes that are begun and never finished, over each transport on streams: whoever was
// there before is served all the while, so is whoever comes in the middle and after, and memory stays bounded.
// ctest: timeout=240 serial
#include "props/bad_input_rig.h"

namespace twinwire::props {
namespace {

// What a newcomer sends before it falls silent.
std::string beginning_of(const std::string& transport) {
  if (transport == "tcp") return frame_of_size(300).substr(0, 100);
  if (transport == "ws") return "GET / HTTP/1.1\r\nHost: ser";
  return {"\x16\x03\x01\x02\x00\x01\x00\x01", 8};  // of a TLS record with a ClientHello
}

constexpr std::size_t memory_of_one = memory_factor * 64 * 1024;

class HalfOpen : public BadInput, public ::testing::WithParamInterface<const char*> {
 protected:
  // `many` at a time, or as many as descriptors allow.
  void flood(std::uint64_t many, const std::string& bytes) {
    const std::size_t at_once = std::min<std::size_t>(many, descriptors() - 200);
    for (std::uint64_t i = 0; i < many; ++i) {
      if (open_.size() == at_once) hang_up();
      const int socket = connect();
      ASSERT_GE(socket, 0) << "after " << i << ": " << std::strerror(errno);
      open_.push_back(socket);
      ASSERT_EQ(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(bytes.size()));
    }
  }
  // For processes that are started from now on.
  static void limit_descriptors(std::size_t count) {
    rlimit limit{};
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  void hang_up() {
    for (const int socket : open_) ::close(socket);
    open_.clear();
  }
  void TearDown() override { hang_up(); }

  std::vector<int> open_;
};
INSTANTIATE_TEST_SUITE_P(BadInput, HalfOpen, ::testing::Values("tcp", "tls", "ws", "wss"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(HalfOpen, ten_thousand_at_a_time) {
  constexpr std::uint64_t many = 10'000;
  (void)descriptors();
  serve(GetParam());
  begin();
  const std::size_t before = server_->resident();
  flood(many, beginning_of(GetParam()));
  honest();
  const std::size_t each = (server_->resident() - before) / many;
  EXPECT_LT(each, memory_of_one) << "bytes for each";
  hang_up();
  expect_sum(many);
  const std::string why = GetParam() == std::string("tcp")
                              ? "it ended the connection before its first message was whole"
                              : "it ended the connection during the handshake";
  EXPECT_EQ(lines_with(server_->err(), why).size(), lines_) << server_->err();
  finish(many);
  std::printf("%zu bytes for each\n", each);
}

// A crowd takes all the descriptors that the server may have, and says nothing. Whoever comes then is not to wait until
// the handshake's time is over for each of them.
class Shortage : public HalfOpen {};
INSTANTIATE_TEST_SUITE_P(BadInput, Shortage, ::testing::Values("tcp", "wss"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(Shortage, more_than_there_are_descriptors) {
  const std::size_t all = descriptors();
  limit_descriptors(200);
  serve(GetParam());
  limit_descriptors(all);
  begin();
  flood(600, beginning_of(GetParam()));
  honest();
  EXPECT_GE(refused(), 300U) << server_->err();
  EXPECT_EQ(server_->err().find("handshake timed out"), std::string::npos) << server_->err();
  hang_up();
}

}  // namespace
}  // namespace twinwire::props
