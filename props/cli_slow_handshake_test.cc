// SPDX-License-Identifier: Apache-2.0
// `serve` over each transport, and a client whose handshake never ends: a byte now and then, or over quic its first
// packet again and again. It is given its time and no more; nobody waits for it.
// ctest: timeout=120 serial
#include "props/bad_input_rig.h"
#include "props/quic_newcomer.h"

namespace twinwire::props {
namespace {

// A server with an honest client and a slow one.
struct SlowHandshake : BadInput {
  explicit SlowHandshake(const char* transport) : name(transport) {}
  void TestBody() override {}

  void start() {
    SetUp();
    serve(name);
    begin();
    beginning = name == "quic"  ? QuicNewcomer(1).next()
                : name == "tcp" ? frame_of_size(10'000)
                : name == "ws"  ? "GET / HTTP/1.1\r\nX-Slow: "
                                : std::string("\x16\x03\x01\x10\x00\x01\x00\x0f\xfc\x03\x03", 11);
    socket = connect(name == "quic" ? SOCK_DGRAM : SOCK_STREAM);
  }
  // False: the server has had enough.
  bool step() {
    if (lines().size() != lines_) return false;
    const std::string next = name == "quic"            ? beginning
                             : sent < beginning.size() ? beginning.substr(sent, 1)
                                                       : "x";
    ++sent;
    (void)::send(socket, next.data(), next.size(), MSG_NOSIGNAL);
    return true;
  }
  void end() {
    expect_refused("handshake timed out");
    EXPECT_GT(sent, beginning.size() < 100 ? beginning.size() : 10);
    finish(1);
    ::close(socket);
  }

  std::string name;
  std::string beginning;
  std::size_t sent = 0;
  int socket = -1;
};

TEST(BadInput, handshakes_that_never_end) {
  std::vector<std::unique_ptr<SlowHandshake>> all;
  for (const char* transport : {"tcp", "tls", "ws", "wss", "quic"}) {
    all.push_back(std::make_unique<SlowHandshake>(transport));
    all.back()->start();
    ASSERT_FALSE(HasFatalFailure());
  }
  bool anybody = true;
  for (int i = 0; anybody && i < 300; ++i) {  // ten seconds are a hundred steps
    anybody = false;
    for (const auto& one : all) anybody = one->step() || anybody;
    std::this_thread::sleep_for(100ms);
  }
  EXPECT_FALSE(anybody) << "a server waits for ever";
  for (const auto& one : all) one->end();
}

}  // namespace
}  // namespace twinwire::props
