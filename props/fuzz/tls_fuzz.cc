// SPDX-License-Identifier: Apache-2.0
// The TLS engine. Input: a byte that chooses, two for the cut, then
//
//   0, 1   bytes for a server, or for a client, that nobody encrypted
//   2      patches for a handshake between the two: three bytes each, where and what to change
//   3      the same for what a client sends after the handshake
//
// Holds for all: cutting the bytes otherwise changes nothing; nobody is done without the other's keys; two that are
// done understand each other; what is decrypted is a prefix of what was sent, whatever was changed on its way (RFC
// 8446, section 5.2); the good-bye cannot be forged; output and memory are bounded, and given back.
#include "props/fuzz/fuzz.h"
#include "props/laws/test_credentials.h"
#include "sim/entropy.h"
#include "transport/tls/tls_engine.h"

namespace twinwire::fuzz {
namespace {

// Drawn from a seed; the time is the machine's: libFuzzer's own clock would stand still with it.
struct Side {
  Side(TlsRole role, std::uint64_t seed) : random(seed) {
    TlsConfig config;
    const laws::TestCredentials& known = laws::test_credentials();
    config.credentials = (role == TlsRole::server ? known.server : known.client)->share();
    config.server_name = laws::test_server_name;
    engine = *TlsEngine::create(role, config, Address::v4(127, 0, 0, 1, 1), pool, random);
  }
  ~Side() {
    plaintext.clear();
    engine.reset();
    FUZZ_CHECK(lender.out == 0 && pool.blocks_in_use() == 0, "what was lent is given back");
  }

  void step() {
    if (failed) return;
    if (!done) {
      const auto result = engine->handshake();
      failed = !result;
      done = result && *result;
      if (failed) FUZZ_CHECK(!engine->description().empty(), "a failure has words");
    }
    if (done && engine->has_input()) failed = !engine->open(plaintext);
  }
  void take(std::span<const std::byte> bytes, Cut cut) {
    while (!bytes.empty() && !failed) {
      const std::size_t n = cut.next(bytes.size());
      engine->feed(lender.lend(bytes.first(n)));
      bytes = bytes.subspan(n);
      step();
    }
    FUZZ_CHECK(pool.bytes_in_use_max() <= 512 * 1024, "memory is bounded");
  }
  Bytes say() {
    Bytes out = drained(engine->output());
    FUZZ_CHECK(out.size() <= 64 * 1024, "no input makes it talk for long");
    return out;
  }
  static Bytes drained(BlockQueue& queue) {
    Bytes out;
    while (!queue.empty()) {
      const Slice front = queue.take_front();
      append(out, front.bytes());
    }
    return out;
  }

  BufferPool pool;
  Lender lender;
  sim::SeededRandom random;
  std::unique_ptr<TlsEngine> engine;
  BlockQueue plaintext{pool};
  bool done = false;
  bool failed = false;
};

struct Outcome {
  bool done, failed, ended;
  Bytes said;
  Bytes plaintext;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome outcome_of(Side& side, Bytes said) {
  append(said, side.say());
  // Which alert it is depends on how much GnuTLS had seen of what it refuses.
  if (side.failed) said.clear();
  return {side.done, side.failed, side.engine->peer_ended(), std::move(said),
          Side::drained(side.plaintext)};
}

Outcome raw(TlsRole role, std::span<const std::byte> bytes, Cut cut) {
  Side side(role, 1);
  side.step();
  side.take(bytes, cut);
  Outcome outcome = outcome_of(side, {});
  FUZZ_CHECK(!outcome.done && outcome.plaintext.empty(), "nobody is done without the other's keys");
  return outcome;
}

// Changes bytes in what is on its way; the offsets count from the start of the direction.
class Patches {
 public:
  explicit Patches(std::span<const std::byte> list) : list_(list) {}
  void apply(Bytes& bytes) {
    Input input(reinterpret_cast<const std::uint8_t*>(list_.data()), list_.size());
    while (!input.empty()) {
      const std::size_t at = input.word();
      const auto change = static_cast<std::byte>(input.byte());
      if (at >= seen_ && at - seen_ < bytes.size()) bytes[at - seen_] ^= change;
    }
    seen_ += bytes.size();
  }

 private:
  std::span<const std::byte> list_;
  std::size_t seen_ = 0;
};

constexpr std::string_view sent = "one message, and another, and the last of them";

void say_all(Side& side) {
  for (std::size_t at = 0; at < sent.size(); at += 20) {
    const auto part = sent.substr(at, 20);
    const iovec piece{const_cast<char*>(part.data()), part.size()};
    FUZZ_CHECK(side.engine->seal({&piece, 1}, part.size()).has_value(), "sealing works");
  }
  FUZZ_CHECK(side.engine->bye().has_value(), "and so does the good-bye");
}

Outcome between(std::span<const std::byte> patches, bool after, Cut cut) {
  Side client(TlsRole::client, 2);
  Side server(TlsRole::server, 3);
  const std::size_t half = patches.size() / 2;
  Patches up(after ? std::span<const std::byte>() : patches.first(half));
  Patches down(after ? std::span<const std::byte>() : patches.subspan(half));
  Bytes said;
  client.step();
  for (int round = 0; round < 6; ++round) {
    Bytes flight = client.say();
    up.apply(flight);
    server.take(flight, cut);
    Bytes answer = server.say();
    append(said, answer);
    down.apply(answer);
    client.take(answer, cut);
  }
  if (!server.done || !client.done || server.failed || client.failed) {
    FUZZ_CHECK(!after, "without a patch the two shake hands");
    return outcome_of(server, std::move(said));
  }
  say_all(client);
  Bytes ciphertext = client.say();
  const Bytes original = ciphertext;
  Patches later(after ? patches : std::span<const std::byte>());
  later.apply(ciphertext);
  server.take(ciphertext, cut);
  Outcome outcome = outcome_of(server, std::move(said));
  const Bytes whole = bytes_of(sent);
  FUZZ_CHECK(outcome.plaintext.size() <= whole.size() &&
                 std::equal(outcome.plaintext.begin(), outcome.plaintext.end(), whole.begin()),
             "what is decrypted is a prefix of what was sent");
  if (ciphertext == original)
    FUZZ_CHECK(outcome.plaintext == whole && outcome.ended && !outcome.failed,
               "two that are done understand each other");
  if (outcome.ended) FUZZ_CHECK(outcome.plaintext == whole, "the good-bye cannot be forged");
  return outcome;
}

Outcome run(unsigned mode, std::span<const std::byte> bytes, Cut cut) {
  switch (mode % 4) {
    case 0: return raw(TlsRole::server, bytes, cut);
    case 1: return raw(TlsRole::client, bytes, cut);
    default: return between(bytes, mode % 4 == 3, cut);
  }
}

}  // namespace

std::vector<Bytes> seeds() {
  const auto head = [](std::uint8_t mode) {
    return Bytes{static_cast<std::byte>(mode), std::byte{1}, std::byte{2}};
  };
  std::vector<Bytes> all;
  Side client(TlsRole::client, 9);
  client.step();
  const Bytes hello = client.say();
  Bytes seed = head(0);
  append(seed, hello);
  all.push_back(seed);
  Side server(TlsRole::server, 9);
  server.take(hello, {});
  seed = head(1);
  append(seed, server.say());
  all.push_back(seed);
  for (const std::uint8_t mode : {2, 3}) {
    all.push_back(head(mode));
    for (const unsigned at : {0U, 3U, 5U, 20U, 60U, 100U}) {
      seed = head(mode);
      append(seed, Bytes{static_cast<std::byte>(at), std::byte{0}, std::byte{1}});
      all.push_back(seed);
    }
  }
  seed = head(0);
  append(seed, bytes_of("GET / HTTP/1.1\r\n\r\n"));
  all.push_back(seed);
  return all;
}

}  // namespace twinwire::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace twinwire::fuzz;
  Input input(data, size);
  const unsigned mode = input.byte();
  const std::uint16_t salt = input.word();
  const auto rest = input.rest();
  const Outcome whole = run(mode, rest, {Cut::How::whole});
  FUZZ_CHECK(run(mode, rest, {Cut::How::pieces, salt}) == whole, "the cut changes nothing");
  return 0;
}
