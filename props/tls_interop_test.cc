// SPDX-License-Identifier: Apache-2.0
// TLS with peers that we did not write: openssl in both roles, over real sockets. A thousand messages of mixed sizes
// each way, every one verified; and what happens where certificates do not fit.
// ctest: timeout=300 serial
#include <gtest/gtest.h>

#include <numeric>

#include "props/cli_process.h"
#include "props/laws/test_credentials.h"
#include "props/laws/witness.h"
#include "props/ring_fixture.h"
#include "real/ring_network.h"
#include "transport/tls/tls.h"
#include "transport/wire/frame_decoder.h"

namespace twinwire::real {
namespace {

using namespace std::chrono_literals;
using laws::test_certificates;
using props::Process;

constexpr std::size_t message_count = 1000;

// From a header alone up to 1 MiB, mostly small.
std::size_t body_size(std::size_t i) {
  if (i % 100 == 99) return (1 << 20) - header_size;
  return i * i * 37 % (i % 10 == 9 ? 60'000 : 900);
}

struct Files {
  props::TemporaryFolder folder;
  std::string text_of(const char* name) const { return props::read_file(folder.path() / name); }
  std::string path(const char* name) const { return (folder.path() / name).string(); }

  Files() {
    const auto& known = test_certificates();
    props::write_file(path("ca.pem"), known.authority.certificates);
    props::write_file(path("cert.pem"), known.server.certificates);
    props::write_file(path("key.pem"), known.server.key);
  }
  // The frames that `witness` makes, one after another.
  void write_frames(const char* name, laws::Witness& witness, BufferPool& pool) const {
    std::string bytes;
    Batch batch(1);
    for (std::size_t i = 0; i < message_count; ++i) {
      batch.push(*witness.make(pool, body_size(i)));
      witness.offered(batch);
      bytes.append(reinterpret_cast<const char*>(batch[0].bytes().data()), batch[0].size());
      batch.clear();
    }
    witness.succeeded();
    props::write_file(path(name), bytes);
  }
  // What a peer wrote down of the frames that `witness` made.
  void expect_frames(const char* name, laws::Witness& witness, BufferPool& pool) const {
    const std::string bytes = text_of(name);
    FrameDecoder decoder(pool, false);
    Block* block = pool.allocate(bytes.size());
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(block->data));
    decoder.feed(Slice(block, block->data, bytes.size()));
    Message message;
    for (;;) {
      const auto whole = decoder.next(default_max_message, message);
      ASSERT_TRUE(whole.has_value());
      if (!*whole) break;
      witness.yielded(message);
    }
    EXPECT_EQ(decoder.end_of_stream(), Errc::closed);
    EXPECT_EQ(witness.yielded_count(), message_count);
  }
};

// Sends what `witness` makes, in batches; then the reader's part; then closes.
void converse(RingNetwork& network, FramedConn conn, laws::Witness& sent, laws::Witness& seen) {
  auto halves = split(std::move(conn));
  run_scope(network.scheduler(), [&](Scope& both) {
    both.spawn("writer", [&] {
      Batch batch(16);
      for (std::size_t i = 0; i < message_count; ++i) {
        batch.push(*sent.make(network.buffers(), body_size(i)));
        if (batch.size() < 16 && i + 1 < message_count) continue;
        sent.offered(batch);
        ASSERT_TRUE(halves.second.send_batch(batch, network.clock().in(30s)).has_value());
        sent.succeeded();
      }
    });
    while (seen.yielded_count() < message_count) {
      auto message = halves.first.read_message(default_max_message, network.clock().in(30s));
      ASSERT_TRUE(message.has_value()) << to_string(message.error());
      seen.yielded(*message);
    }
  });
  const auto closed = halves.second.close(10s);
  EXPECT_TRUE(closed.has_value()) << to_string(closed.error());
}

TlsOptions server_options() {
  TlsOptions options;
  options.tls.credentials = laws::test_credentials().server->share();
  return options;
}
TlsOptions client_options() {
  TlsOptions options;
  options.tls.credentials = laws::test_credentials().client->share();
  options.tls.server_name = laws::test_server_name;
  return options;
}

class TlsInterop : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    auto made = Ring::create({});
    ASSERT_TRUE(made.has_value());
    ring = std::move(*made);
    network = std::make_unique<RingNetwork>(*ring);
    if (std::string_view(GetParam()) == "-tls1_2") versions = TlsVersions::only_12;
  }
  void TearDown() override {
    EXPECT_FALSE(judge.verdict().has_value())
        << judge.verdict()->law << ": " << judge.verdict()->detail;
  }
  template <class F>
  void run(F&& body) {
    Scope root(ring->scheduler());
    root.spawn("main", [&] { body(); });
    ASSERT_EQ(ring->scheduler().run(), Scheduler::Outcome::finished);
    root.rethrow_failure();
  }

  Files files;
  laws::Judge judge;
  std::unique_ptr<Ring> ring;
  std::unique_ptr<RingNetwork> network;
  TlsVersions versions = TlsVersions::only_13;
};

TEST_P(TlsInterop, openssl_as_client) {
  BufferPool pool;
  laws::Witness up(judge, "from openssl", 1);
  laws::Witness down(judge, "to openssl", 2);
  files.write_frames("up.bin", up, pool);
  run([&] {
    run_scope(network->scheduler(), [&](Scope& background) {
      TlsOptions options = server_options();
      options.tls.versions = versions;
      auto listener = Tls::listen(*network, background, Address::v4(127, 0, 0, 1, 0), options);
      ASSERT_TRUE(listener.has_value());
      const std::string command = "exec openssl s_client -quiet " + std::string(GetParam()) +
                                  " -connect " + to_string(listener->local()) + " -servername " +
                                  std::string(laws::test_server_name) + " -verify_hostname " +
                                  std::string(laws::test_server_name) +
                                  " -verify_return_error -CAfile " + files.path("ca.pem") + " < " +
                                  files.path("up.bin") + " > " + files.path("down.bin");
      Process openssl(files.folder.path(), {"/bin/sh", "-c", command});
      auto accepted = listener->accept(network->clock().in(20s));
      ASSERT_TRUE(accepted.has_value()) << openssl.err();
      converse(*network, std::move(accepted->first), down, up);
      background.cancel();
      EXPECT_EQ(openssl.wait().exit_code, 0);
    });
  });
  EXPECT_EQ(up.yielded_count(), message_count);
  files.expect_frames("down.bin", down, pool);
}

TEST_P(TlsInterop, openssl_as_server) {
  BufferPool pool;
  laws::Witness up(judge, "to openssl", 3);
  laws::Witness down(judge, "from openssl", 4);
  files.write_frames("down.bin", down, pool);
  const std::uint16_t port = [&] {  // one that is free now
    std::uint16_t free = 0;
    run([&] { free = (*network->listen(Address::v4(127, 0, 0, 1, 0), {}))->local().port; });
    return free;
  }();
  // It ends when its input does, whatever it is still being sent: so the input stays open for a while.
  const std::string command =
      "{ cat " + files.path("down.bin") + "; sleep 4; } | openssl s_server -quiet -naccept 1 " +
      std::string(GetParam()) + " -accept 127.0.0.1:" + std::to_string(port) + " -cert " +
      files.path("cert.pem") + " -key " + files.path("key.pem") + " > " + files.path("up.bin");
  Process openssl(files.folder.path(), {"/bin/sh", "-c", command});
  run([&] {
    TlsOptions options = client_options();
    options.tls.versions = versions;
    Result<FramedConn> conn = Errc::refused;
    for (int i = 0; i < 100 && !conn && conn.error() == Errc::refused; ++i) {
      (void)network->scheduler().sleep_for(50ms);
      conn =
          Tls::dial(*network, Address::v4(127, 0, 0, 1, port), options, network->clock().in(10s));
    }
    ASSERT_TRUE(conn.has_value()) << to_string(conn.error()) << openssl.err();
    converse(*network, std::move(*conn), up, down);
  });
  (void)openssl.wait();
  files.expect_frames("up.bin", up, pool);
}

TEST_P(TlsInterop, openssl_and_we_refuse_each_others_strangers) {
  props::write_file(files.path("ca.pem"), test_certificates().stranger.certificates);
  run([&] {
    run_scope(network->scheduler(), [&](Scope& background) {
      TlsOptions options = server_options();
      options.tls.versions = versions;
      auto listener = Tls::listen(*network, background, Address::v4(127, 0, 0, 1, 0), options);
      ASSERT_TRUE(listener.has_value());
      Process openssl(files.folder.path(),
                      {"/bin/sh", "-c",
                       "exec openssl s_client " + std::string(GetParam()) + " -connect " +
                           to_string(listener->local()) + " -verify_return_error -CAfile " +
                           files.path("ca.pem") + " < /dev/null"});
      (void)network->scheduler().sleep_for(1s);
      EXPECT_NE(openssl.wait().exit_code, 0);
      // The listener goes on.
      TlsOptions dialing = client_options();
      dialing.tls.versions = versions;
      auto conn = Tls::dial(*network, listener->local(), dialing, network->clock().in(5s));
      EXPECT_TRUE(conn.has_value());
      background.cancel();
    });
  });
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsInterop, testing::Values("-tls1_3", "-tls1_2"),
                         [](const auto& instance) { return std::string(instance.param + 1); });

}  // namespace
}  // namespace twinwire::real
