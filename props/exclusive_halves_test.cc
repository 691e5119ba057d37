// SPDX-License-Identifier: Apache-2.0
// One fiber at a time inside a writer, and one inside a reader: a second one is a bug of the caller, and aborts rather
// than mix two batches.
// ctest: no_tsan
#include <gtest/gtest.h>

#include "props/conformance/rig.h"
#include "props/laws/run_in_world.h"

namespace twinwire::props {
namespace {

template <Transport T>
struct TwoFibers {
  static void send(Env& env) {
    with_pair<T>(env, {2304, 2304}, [&](End<T>& client, End<T>&) {
      laws::Witness witness(env.judge(), "two senders", env.seed());
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        for (int i = 0; i < 2; ++i)
          scope.spawn("sender", [&] {
            Batch batch(
                512);  // more than the buffers hold: the first is still inside when the second comes
            push(env, witness, *client.network, batch, 512, 20'000);
            (void)client.writer.send_batch(batch, client.in(std::chrono::seconds(1)));
          });
      });
    });
  }
  static void read(Env& env) {
    with_pair<T>(env, {}, [&](End<T>& client, End<T>&) {
      run_scope(client.network->scheduler(), [&](Scope& scope) {
        for (int i = 0; i < 2; ++i)
          scope.spawn("reader", [&] {
            (void)client.reader.read_message(any_size, client.in(std::chrono::seconds(1)));
          });
      });
    });
  }
};

void run(std::size_t transport, laws::ScenarioBody body) {
  laws::ScenarioEntry entry{"two_fibers", "a bug of the caller", {}, nullptr};
  entry.bodies[transport] = body;
  StackPool stacks;
  laws::WorldRun run;
  run.scenario = &entry;
  run.transport = transport;
  (void)laws::run_in_world(run, stacks);
}

TEST(ExclusiveHalvesDeathTest, a_second_fiber_inside_a_half_aborts) {
  std::size_t transport = 0;
  const auto check = [&]<class T>(std::type_identity<T>) {
    SCOPED_TRACE(std::string(T::name));
    EXPECT_DEATH(run(transport, &TwoFibers<T>::send), "two fibers inside one writer");
    EXPECT_DEATH(run(transport, &TwoFibers<T>::read), "two fibers inside one reader");
    ++transport;
  };
  [&]<class... T>(std::type_identity<std::tuple<T...>>) {
    (check(std::type_identity<T>{}), ...);
  }(std::type_identity<laws::Transports>{});
}

}  // namespace
}  // namespace twinwire::props
