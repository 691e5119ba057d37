// SPDX-License-Identifier: Apache-2.0
// AcceptStage while descriptors are out: handshakes that have had their time make room, and only they.
// ctest: no_tsan
#include <gtest/gtest.h>

#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "sim/sim_network.h"
#include "transport/accept_stage.h"

namespace twinwire {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using Stage = AcceptStage<std::unique_ptr<ByteStream>>;

// An acceptor of a process that may have so many connections.
class Poor final : public Acceptor {
 public:
  Poor(std::unique_ptr<Acceptor> below, int& left) : below_(std::move(below)), left_(&left) {}

  Result<std::unique_ptr<ByteStream>> accept(Deadline deadline) override {
    if (*left_ == 0) return Error{Errc::no_resources, EMFILE};
    auto stream = below_->accept(deadline);
    if (stream) --*left_;
    return stream;
  }
  Address local() const noexcept override { return below_->local(); }

 private:
  std::unique_ptr<Acceptor> below_;
  int* left_;
};

struct Rig {
  StackPool stacks;
  sim::World world{{}, stacks};
  sim::SimNetwork& server = world.add_node("server");
  sim::SimNetwork& client = world.add_node("client");
  Address address;
  int left = 0;  // descriptors
  std::vector<std::string> refused;
  AcceptOptions options;

  Deadline in(Duration d) { return client.clock().in(d); }
  void sleep(Duration d) { (void)client.scheduler().sleep_for(d); }
  std::unique_ptr<ByteStream> dial() { return *client.dial(address, {}, in(seconds(1))); }
  // Past what the stage has to report of shortages.
  bool accepts(Stage& stage, Duration patience) {
    const Deadline deadline = in(patience);
    auto accepted = stage.accept(deadline);
    while (!accepted && accepted.error() == Errc::no_resources) accepted = stage.accept(deadline);
    return accepted.has_value();
  }

  // A handshake is over with the first bytes; whoever fails it gives its descriptor back.
  void run(int descriptors, const std::function<void(Stage&)>& body) {
    left = descriptors;
    options.on_refused = [this](const Address&, std::string_view why) {
      refused.emplace_back(why);
    };
    const sim::RunReport report = world.run([&](Scope& scope) {
      auto acceptor = server.listen(server.address(), {});
      ASSERT_TRUE(acceptor.has_value());
      auto stage = Stage::start(
          server, scope, std::make_unique<Poor>(std::move(*acceptor), left), options, true,
          [this](std::unique_ptr<ByteStream> stream,
                 HandshakeTerms terms) -> Result<std::unique_ptr<ByteStream>> {
            const auto bytes = stream->read(terms.deadline);
            if (bytes && !bytes->empty()) return stream;
            ++left;
            return bytes ? Error{Errc::closed} : bytes.error();
          });
      ASSERT_TRUE(stage.has_value());
      address = stage->local();
      body(*stage);
      scope.cancel();
    });
    EXPECT_FALSE(report.failure);
    EXPECT_EQ(report.ending, sim::Ending::finished);
  }
  void speak(ByteStream& stream) {
    char byte = 'x';
    iovec piece{&byte, 1};
    ASSERT_TRUE(stream.write({&piece, 1}, in(seconds(1))).has_value());
  }
};

TEST(AcceptShortage, mute_peers_make_room_long_before_their_time_is_out) {
  Rig rig;
  rig.options.handshake_timeout = seconds(3600);
  rig.run(50, [&](Stage& stage) {
    std::vector<std::unique_ptr<ByteStream>> mute;
    for (int i = 0; i < 200; ++i) mute.push_back(rig.dial());
    auto honest = rig.dial();
    rig.speak(*honest);
    // Fifty at a time have their second; the honest one is behind four times as many.
    EXPECT_TRUE(rig.accepts(stage, seconds(5)));
    EXPECT_GE(stage.counters().handshakes_evicted, 151U);
    EXPECT_EQ(rig.refused.size(), stage.counters().handshakes_evicted);
    for (const std::string& why : rig.refused) EXPECT_EQ(why, "evicted by newer handshakes");
  });
}

TEST(AcceptShortage, who_is_quick_enough_is_left_alone) {
  Rig rig;
  rig.run(1, [&](Stage& stage) {
    auto first = rig.dial();
    auto second = rig.dial();
    rig.sleep(milliseconds(900));
    rig.speak(*first);
    EXPECT_TRUE(rig.accepts(stage, seconds(1)));
    EXPECT_TRUE(rig.refused.empty());
    rig.left = 1;  // the application has closed it
    rig.speak(*second);
    // The stage sleeps no longer than a second at a time.
    EXPECT_TRUE(rig.accepts(stage, seconds(2)));
    EXPECT_TRUE(rig.refused.empty());
  });
}

// The oldest go, and no more of them at a time than newcomers need: the others keep their time.
TEST(AcceptShortage, a_shortage_that_passes_costs_few) {
  Rig rig;
  rig.options.handshake_timeout = seconds(3600);
  rig.run(50, [&](Stage& stage) {
    std::vector<std::unique_ptr<ByteStream>> mute;
    for (int i = 0; i < 40; ++i) mute.push_back(rig.dial());
    rig.sleep(seconds(60));
    EXPECT_EQ(stage.counters().handshakes_evicted, 0U);
    rig.left = 1;  // the application has opened files
    mute.push_back(rig.dial());
    rig.sleep(seconds(60));
    EXPECT_EQ(stage.counters().handshakes_evicted, 16U);
    for (std::size_t i = 0; i < mute.size(); ++i)
      EXPECT_EQ(mute[i]->read(rig.in(seconds(1))).error(),
                Error{i < 16 ? Errc::broken : Errc::timed_out});
  });
}

TEST(AcceptShortage, where_nobody_can_make_room_the_stage_waits) {
  Rig rig;
  rig.run(0, [&](Stage& stage) {
    auto waits = rig.dial();
    rig.speak(*waits);
    rig.sleep(seconds(60));
    // 5, 10, 20 ms and so on up to a second: not a spin.
    EXPECT_LE(stage.counters().errors, 70U);
    rig.left = 1;
    EXPECT_TRUE(rig.refused.empty());
    EXPECT_TRUE(rig.accepts(stage, seconds(2)));
  });
}

}  // namespace
}  // namespace twinwire
