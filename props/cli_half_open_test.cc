// SPDX-License-Identifier: Apache-2.0
// `serve` and ten thousand handshakes that are begun and never finished, over each transport on streams: whoever was
// there before is served all the while, so is whoever comes in the middle and after, and memory stays bounded.
// ctest: timeout=240 real_time no_tsan
#include "props/bad_input_rig.h"

namespace twinwire::props {
namespace {

// What a newcomer sends before it falls silent.
std::string beginning_of(const std::string& transport) {
  if (transport == "tcp") return frame_of_size(300).substr(0, 100);
  if (transport == "ws") return "GET / HTTP/1.1\r\nHost: ser";
  return {"\x16\x03\x01\x02\x00\x01\x00\x01", 8};  // of a TLS record with a ClientHello
}

constexpr std::size_t memory_of_half_open = memory_factor * 64 * 1024;
#if defined(TWINWIRE_TSAN)
// A fiber is a thread to ThreadSanitizer, which bears 8,128 of them at a time.
constexpr std::uint64_t half_open_count = 3000;
#else
constexpr std::uint64_t half_open_count = 10'000;
#endif

class HalfOpen : public BadInput, public ::testing::WithParamInterface<const char*> {
 protected:
  // `many` at a time, or as many as descriptors allow.
  void flood(const std::string& bytes) {
    const std::size_t at_once = std::min<std::size_t>(half_open_count, descriptors() - 200);
    for (std::uint64_t i = 0; i < half_open_count; ++i) {
      if (open_.size() == at_once) hang_up();
      const int socket = connect();
      ASSERT_GE(socket, 0) << "after " << i << ": " << std::strerror(errno);
      open_.push_back(socket);
      ASSERT_EQ(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(bytes.size()));
    }
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
  (void)descriptors();
  serve(GetParam());
  begin();
  const std::size_t before = server_->resident();
  flood(beginning_of(GetParam()));
  honest();
  const std::size_t each = (server_->resident() - before) / half_open_count;
  EXPECT_LT(each, memory_of_half_open) << "bytes for each";
  hang_up();
  expect_sum(half_open_count);
  finish(half_open_count);
  std::printf("%zu bytes for each\n", each);
}

}  // namespace
}  // namespace twinwire::props
