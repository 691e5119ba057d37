// SPDX-License-Identifier: Apache-2.0
// Where GnuTLS gets its entropy and its time: from the node in the World, from the machine elsewhere.
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gtest/gtest.h>

#include <array>
#include <ctime>
#include <thread>

#include "props/tls_rig.h"
#include "sim/entropy.h"
#include "transport/tls/self_signed.h"

namespace twinwire::sim {
namespace {

using Key = std::array<unsigned char, 32>;

// Drawn by the library for itself.
Key library_key() {
  gnutls_datum_t datum{};
  EXPECT_EQ(gnutls_key_generate(&datum, sizeof(Key)), 0);
  Key key{};
  std::copy_n(datum.data, sizeof(Key), key.begin());
  gnutls_free(datum.data);
  return key;
}

TEST(tls_entropy, the_hook_is_live) { EXPECT_TRUE(entropy_hook_is_live()); }

TEST(tls_entropy, a_seed_gives_the_librarys_keys_and_another_seed_gives_others) {
  const auto key_of = [](std::uint64_t seed) {
    SeededRandom random(seed);
    const EntropyScope scope(random);
    return library_key();
  };
  EXPECT_EQ(key_of(1), key_of(1));
  EXPECT_NE(key_of(1), key_of(2));
}

TEST(tls_entropy, without_a_node_the_library_has_the_machines) {
  EXPECT_NE(library_key(), library_key());
  EXPECT_NEAR(
      static_cast<double>(std::time(nullptr)),
      static_cast<double>(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())),
      2.0);
}

TEST(tls_entropy, scopes_nest_and_the_outer_node_goes_on_where_it_was) {
  SeededRandom outer(1);
  SeededRandom straight(1);
  SeededRandom inner(2);
  Key first;
  Key second;
  {
    const EntropyScope scope(outer);
    first = library_key();
    {
      const EntropyScope nested(inner);
      (void)library_key();
    }
    second = library_key();
  }
  const EntropyScope scope(straight);
  EXPECT_EQ(library_key(), first);
  EXPECT_EQ(library_key(), second);
}

TEST(tls_entropy, another_thread_is_not_captured) {
  SeededRandom random(1);
  const EntropyScope scope(random);
  const std::uint64_t drawn = random.drawn();
  std::thread([] { (void)library_key(); }).join();
  EXPECT_EQ(random.drawn(), drawn);
}

TEST(tls_entropy, a_certificate_depends_on_its_arguments_alone) {
  const auto mint = [](std::uint64_t seed) {
    SeededRandom random(seed);
    return mint_authority(random,
                          {"someone", {"a.test", "10.0.0.1", "::1"}, 1'000'000, 2'000'000, 7});
  };
  const auto first = mint(5);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->certificates, mint(5)->certificates);
  EXPECT_EQ(first->key, mint(5)->key);
  EXPECT_NE(first->key, mint(6)->key);
}

// On purpose: what the linker could do behind our backs.
TEST(tls_entropy_death, a_world_with_a_dead_hook_aborts_and_says_why) {
  EXPECT_FALSE([] {
    const EntropyHookOff off;
    return entropy_hook_is_live();
  }());
  EXPECT_DEATH(
      {
        const EntropyHookOff off;
        (void)run_tls_rig([](TlsRig&) {});
      },
      "GnuTLS does not draw its entropy from the World");
}

}  // namespace
}  // namespace twinwire::sim
