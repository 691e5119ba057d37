// SPDX-License-Identifier: Apache-2.0
// TLS with peers that we did not write: openssl and GnuTLS's tools, each in both roles, over real sockets. A thousand
// messages of 256 B to 1 MiB each way, every one verified; and what happens where certificates do not fit.
//
// gnutls-serv echoes lines of text and nothing else: no frame, since that has bytes of 0. So what it gets are lines of
// those sizes, from the stream that lies under the transport; all else is frames.
// ctest: timeout=300 real_time no_tsan
#include <gtest/gtest.h>

#include <filesystem>

#include "props/cli_process.h"
#include "props/laws/test_credentials.h"
#include "props/laws/witness.h"
#include "props/ring_fixture.h"
#include "real/ring_network.h"
#include "transport/tls/tls.h"
#include "transport/tls/tls_stream.h"
#include "transport/wire/frame_decoder.h"

namespace twinwire::real {
namespace {

using namespace std::chrono_literals;
using laws::test_certificates;
using props::Process;

constexpr std::size_t message_count = 1000;

// From a header alone up to 1 MiB, mostly small: gnutls-cli writes what it gets byte by byte, a million system calls
// for each of the large ones.
std::size_t body_size(std::size_t i) {
  if (i % 200 == 199) return (1 << 20) - header_size;
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
        ASSERT_TRUE(halves.second.send_batch(batch, network.clock().in(120s)).has_value());
        sent.succeeded();
      }
    });
    while (seen.yielded_count() < message_count) {
      auto message = halves.first.read_message(default_max_message, network.clock().in(120s));
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

struct Peer {
  const char* name;
  const char* program;
  const char* options;  // which make it speak that version
  TlsVersions versions;
};
void PrintTo(const Peer& peer, std::ostream* out) { *out << peer.name; }
constexpr Peer openssl_peers[] = {{"openssl_13", "openssl", "-tls1_3", TlsVersions::only_13},
                                  {"openssl_12", "openssl", "-tls1_2", TlsVersions::only_12}};
constexpr Peer gnutls_peers[] = {
    {"gnutls_13", "gnutls", "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.3", TlsVersions::only_13},
    {"gnutls_12", "gnutls", "--priority=NORMAL:-VERS-ALL:+VERS-TLS1.2", TlsVersions::only_12}};

class TlsInterop : public testing::TestWithParam<Peer> {
 protected:
  void SetUp() override {
    if (std::string_view(GetParam().program) == "gnutls" &&
        !std::filesystem::exists("/usr/bin/gnutls-cli"))
      GTEST_SKIP() << "Debian's package gnutls-bin is not installed";
    auto made = Ring::create({});
    ASSERT_TRUE(made.has_value());
    ring = std::move(*made);
    network = std::make_unique<RingNetwork>(*ring);
    versions = GetParam().versions;
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

  // Their client, which believes `authority`; what it reads and writes is the stream's, and nothing else.
  std::string their_client(const Address& server, const std::string& authority) const {
    const std::string name(laws::test_server_name);
    if (GetParam().program == std::string_view("openssl"))
      return std::string("exec openssl s_client -quiet ") + GetParam().options + " -connect " +
             to_string(server) + " -servername " + name + " -verify_hostname " + name +
             " -verify_return_error -CAfile " + authority;
    return std::string("exec gnutls-cli --logfile=") + files.path("log") + " " +
           GetParam().options + " --sni-hostname=" + name + " --verify-hostname=" + name +
           " --x509cafile=" + authority + " -p " + std::to_string(server.port) + " 127.0.0.1";
  }
  std::uint16_t free_port() {  // now
    std::uint16_t port = 0;
    run([&] { port = (*network->listen(Address::v4(127, 0, 0, 1, 0), {}))->local().port; });
    return port;
  }
  // Their server may not listen yet.
  template <class F>
  auto dial_until_heard(std::uint16_t port, F&& dial) {
    const Address address = Address::v4(127, 0, 0, 1, port);
    auto conn = dial(address);
    for (int i = 0; i < 200 && !conn && conn.error() == Errc::refused; ++i) {
      (void)network->scheduler().sleep_for(50ms);
      conn = dial(address);
    }
    return conn;
  }

  Files files;
  laws::Judge judge;
  std::unique_ptr<Ring> ring;
  std::unique_ptr<RingNetwork> network;
  TlsVersions versions = TlsVersions::only_13;
};

TEST_P(TlsInterop, their_client) {
  BufferPool pool;
  laws::Witness up(judge, "from their client", 1);
  laws::Witness down(judge, "to their client", 2);
  files.write_frames("up.bin", up, pool);
  run([&] {
    run_scope(network->scheduler(), [&](Scope& background) {
      TlsOptions options = server_options();
      options.tls.versions = versions;
      auto listener = Tls::listen(*network, background, Address::v4(127, 0, 0, 1, 0), options);
      ASSERT_TRUE(listener.has_value());
      const std::string command = their_client(listener->local(), files.path("ca.pem")) + " < " +
                                  files.path("up.bin") + " > " + files.path("down.bin");
      Process client(files.folder.path(), {"/bin/sh", "-c", command});
      auto accepted = listener->accept(network->clock().in(20s));
      ASSERT_TRUE(accepted.has_value()) << client.err();
      converse(*network, std::move(accepted->first), down, up);
      background.cancel();
      EXPECT_EQ(client.wait().exit_code, 0);
    });
  });
  EXPECT_EQ(up.yielded_count(), message_count);
  files.expect_frames("down.bin", down, pool);
}

TEST_P(TlsInterop, their_client_that_does_not_believe_us_costs_nobody_else) {
  props::write_file(files.path("stranger.pem"), test_certificates().stranger.certificates);
  run([&] {
    run_scope(network->scheduler(), [&](Scope& background) {
      TlsOptions options = server_options();
      options.tls.versions = versions;
      auto listener = Tls::listen(*network, background, Address::v4(127, 0, 0, 1, 0), options);
      ASSERT_TRUE(listener.has_value());
      Process client(
          files.folder.path(),
          {"/bin/sh", "-c",
           their_client(listener->local(), files.path("stranger.pem")) + " < /dev/null"});
      for (int i = 0; i < 1000 && listener->counters().handshakes_failed == 0; ++i)
        (void)network->scheduler().sleep_for(10ms);
      EXPECT_EQ(listener->counters().handshakes_failed, 1u);
      EXPECT_NE(client.wait().exit_code, 0);
      // The listener goes on.
      TlsOptions dialing = client_options();
      dialing.tls.versions = versions;
      auto conn = Tls::dial(*network, listener->local(), dialing, network->clock().in(5s));
      EXPECT_TRUE(conn.has_value());
      background.cancel();
    });
  });
}

class TlsInteropServer : public TlsInterop {};

TEST_P(TlsInteropServer, openssl) {
  BufferPool pool;
  laws::Witness up(judge, "to openssl", 3);
  laws::Witness down(judge, "from openssl", 4);
  files.write_frames("down.bin", down, pool);
  const std::uint16_t port = free_port();
  // It ends when its input does, whatever it is still being sent: so the input stays open for a while.
  const std::string command =
      "{ cat " + files.path("down.bin") + "; sleep 4; } | openssl s_server -quiet -naccept 1 " +
      GetParam().options + " -accept 127.0.0.1:" + std::to_string(port) + " -cert " +
      files.path("cert.pem") + " -key " + files.path("key.pem") + " > " + files.path("up.bin");
  Process openssl(files.folder.path(), {"/bin/sh", "-c", command});
  run([&] {
    TlsOptions options = client_options();
    options.tls.versions = versions;
    auto conn = dial_until_heard(port, [&](const Address& address) {
      return Tls::dial(*network, address, options, network->clock().in(10s));
    });
    ASSERT_TRUE(conn.has_value()) << to_string(conn.error()) << openssl.err();
    converse(*network, std::move(*conn), up, down);
  });
  (void)openssl.wait();
  files.expect_frames("up.bin", up, pool);
}

// gnutls-serv, and our stream under the transport.
class TlsInteropEcho : public TlsInterop {
 protected:
  std::unique_ptr<Process> echo_server(std::uint16_t port, const char* cert, const char* key) {
    return std::make_unique<Process>(
        files.folder.path(),
        std::vector<std::string>{"/usr/bin/gnutls-serv", "--echo", "--quiet", "--nodb",
                                 GetParam().options, "--port=" + std::to_string(port),
                                 "--x509certfile=" + files.path(cert),
                                 "--x509keyfile=" + files.path(key)});
  }
  Result<std::unique_ptr<TlsStream>> connect(std::uint16_t port) {
    return dial_until_heard(port, [&](const Address& at) -> Result<std::unique_ptr<TlsStream>> {
      auto stream = network->dial(at, {}, network->clock().in(10s));
      if (!stream) return stream.error();
      TlsConfig config = client_options().tls;
      config.versions = versions;
      return tls_connect(*network, std::move(*stream), config, network->clock().in(10s));
    });
  }
  static std::string line(std::size_t i) {
    std::string text = std::to_string(i) + " ";
    while (text.size() + 1 < header_size + body_size(i))
      text += static_cast<char>('a' + ((text.size() * 31 + i * 131) * 0x9e37 >> 8) % 26);
    return text + "\n";
  }
};

TEST_P(TlsInteropEcho, gnutls_serv) {
  const std::uint16_t port = free_port();
  const auto server = echo_server(port, "cert.pem", "key.pem");
  run([&] {
    auto connected = connect(port);
    ASSERT_TRUE(connected.has_value()) << to_string(connected.error()) << server->err();
    TlsStream& stream = **connected;
    run_scope(network->scheduler(), [&](Scope& both) {
      both.spawn("writer", [&] {
        for (std::size_t i = 0; i < message_count; ++i) {
          const std::string text = line(i);
          for (std::size_t at = 0; at < text.size();) {
            const iovec rest{const_cast<char*>(text.data()) + at, text.size() - at};
            const auto taken = stream.write({&rest, 1}, network->clock().in(120s));
            ASSERT_TRUE(taken.has_value()) << to_string(taken.error());
            at += *taken;
          }
        }
      });
      std::string echoed;
      std::size_t count = 0;
      while (count < message_count) {
        const std::string expected = line(count);
        while (echoed.size() < expected.size()) {
          const auto more = stream.read(network->clock().in(120s));
          ASSERT_TRUE(more.has_value() && !more->empty()) << "after " << count << " lines";
          echoed.append(reinterpret_cast<const char*>(more->data()), more->size());
        }
        ASSERT_EQ(echoed.compare(0, expected.size(), expected), 0) << "line " << count;
        echoed.erase(0, expected.size());
        ++count;
      }
      EXPECT_EQ(echoed, "");
    });
    EXPECT_TRUE(stream.shutdown_write(network->clock().in(10s)).has_value());
    const auto end = stream.read(network->clock().in(10s));
    EXPECT_TRUE(end.has_value() && end->empty()) << "its close_notify";
  });
}

TEST_P(TlsInteropEcho, gnutls_serv_with_a_strangers_certificate_is_refused) {
  const auto& stranger = test_certificates().by_stranger;
  props::write_file(files.path("other.pem"), stranger.certificates);
  props::write_file(files.path("other.key"), stranger.key);
  const std::uint16_t port = free_port();
  const auto server = echo_server(port, "other.pem", "other.key");
  run([&] {
    const auto connected = connect(port);
    ASSERT_FALSE(connected.has_value());
    EXPECT_EQ(connected.error(), Errc::handshake) << to_string(connected.error());
  });
}

std::string name_of(const testing::TestParamInfo<Peer>& instance) { return instance.param.name; }
INSTANTIATE_TEST_SUITE_P(Openssl, TlsInterop, testing::ValuesIn(openssl_peers), name_of);
INSTANTIATE_TEST_SUITE_P(Gnutls, TlsInterop, testing::ValuesIn(gnutls_peers), name_of);
INSTANTIATE_TEST_SUITE_P(Openssl, TlsInteropServer, testing::ValuesIn(openssl_peers), name_of);
INSTANTIATE_TEST_SUITE_P(Gnutls, TlsInteropEcho, testing::ValuesIn(gnutls_peers), name_of);

}  // namespace
}  // namespace twinwire::real
