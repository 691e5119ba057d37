// SPDX-License-Identifier: Apache-2.0
// What the tests of `serve` and peers that mean it no good share: a server process, an honest client that is there
// before, another that comes after, and the lines that the server may print meanwhile.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/text.h"
#include "props/cli_process.h"
#include "props/laws/test_credentials.h"
#include "props/steady_client.h"
#include "transport/base/sanitizers.h"
#include "transport/net/write_all.h"
#include "transport/tls/tls_stream.h"
#include "transport/wire/header.h"

namespace twinwire::props {

using namespace std::chrono_literals;

// Descriptors for this process and those that it starts from now on: all that it may have.
inline std::size_t descriptors() {
  rlimit limit{};
  EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

inline bool is_secure(const std::string& transport) {
  return transport == "tls" || transport == "wss" || transport == "quic";
}

// What costs the server memory: sanitizers keep more, and for longer.
#if defined(TWINWIRE_TSAN)
inline constexpr std::size_t memory_factor = 32;
#elif defined(TWINWIRE_ASAN)
inline constexpr std::size_t memory_factor = 16;
#else
inline constexpr std::size_t memory_factor = 1;
#endif

inline constexpr std::string_view http_request = "GET / HTTP/1.1\r\nHost: server\r\n\r\n";

inline std::string frame_of_size(std::uint32_t size) {
  std::string header(header_size, '\0');
  header.replace(offset::size, sizeof size, reinterpret_cast<const char*>(&size), sizeof size);
  header[offset::command] = 5;
  return header;
}

// A request as `load` begins with one.
inline std::string good_request() {
  BufferPool pool;
  const auto message = cli::make_request(pool, 0, header_size, false);
  const auto bytes = message->bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class BadInput : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto& known = laws::test_certificates();
    write("ca", known.authority.certificates);
    write("strange-ca", known.stranger.certificates);
    for (const auto& [name, identity] : {std::pair{"server", &known.server},
                                         {"client", &known.client},
                                         {"expired", &known.expired},
                                         {"forged", &known.forged}}) {
      write(std::string(name) + ".cert", identity->certificates);
      write(std::string(name) + ".key", identity->key);
    }
  }
  void write(const std::string& name, const std::string& text) {
    write_file(folder_.path() / name, text);
    ::chmod((folder_.path() / name).c_str(), 0600);
  }

  // --- The server --------------------------------------------------------------------------------------------------

  // With the server's certificate where it needs one, unless others are given. `more`: other options of its own.
  void serve(const std::string& transport, std::string certificates = {},
             const std::string& more = {}) {
    if (is_secure(transport) && certificates.empty())
      certificates = "--cert server.cert --key server.key";
    std::vector<std::string> command = words("serve --listen 127.0.0.1:0 --transport " + transport +
                                             " " + certificates + " " + more);
    command.insert(command.begin(), tool_path());
    if (!limit_.empty()) {
      const auto shell = {std::string("/bin/sh"), std::string("-c"),
                          "ulimit -n " + limit_ + " && exec \"$0\" \"$@\""};
      command.insert(command.begin(), shell);
    }
    server_ = std::make_unique<Process>(folder_.path(), command);
    ASSERT_TRUE(server_->says("serving " + transport + " on 127.0.0.1:")) << server_->err();
    transport_ = transport;
    const std::string line = server_->out();
    port_ = line.substr(line.rfind(':') + 1);
    port_.pop_back();
    lines_ = served_ = 0;
  }
  Address address() const {
    std::uint16_t port = 0;
    std::from_chars(port_.data(), port_.data() + port_.size(), port);
    return Address::v4(127, 0, 0, 1, port);
  }

  // --- Honest clients ----------------------------------------------------------------------------------------------

  std::string honest_options() const {
    std::string options = "--transport " + transport_;
    if (is_secure(transport_)) options += " --ca ca --server-name " + server_name();
    for (const std::string& protocol : alpn_) options += " --alpn " + protocol;
    return mutual_ ? options + " --cert client.cert --key client.key" : options;
  }
  static std::string server_name() { return std::string(laws::test_server_name); }
  Ended load(const std::string& arguments) {
    return run_tool_in(folder_.path(), tool_path(),
                       "load --connect 127.0.0.1:" + port_ +
                           " --connections 1 --messages 20 --batch 5 " + arguments);
  }
  // One that comes now and is turned away, here or there.
  void dishonest(const std::string& arguments, const std::string& why) {
    const Ended ended = load(arguments);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    expect_refused(why);
  }
  // Five clients that the certificates do not fit, of a server that demands the client's.
  void strangers() {
    const std::string name = "--transport " + transport_ + " --server-name ";
    const std::string good = name + server_name();
    dishonest(good + " --ca ca --cert expired.cert --key expired.key", "certificate expired");
    dishonest(good + " --ca ca --cert forged.cert --key forged.key",
              "certificate with a wrong signature");
    dishonest(good + " --ca ca", "no certificate shown");
    dishonest(good + " --ca strange-ca", "the peer refused: CA is unknown");
    dishonest(name + "other.test --ca ca", "the peer refused: Certificate is bad");
  }
  // One that comes now, and is served to its end.
  void honest() {
    const Ended ended = load(honest_options());
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
    EXPECT_NE(ended.out.find("sums verified"), std::string::npos) << ended.out;
    ++served_;
  }
  // One that stays until finish().
  void begin() {
    cli::TlsOptionsText tls;
    if (is_secure(transport_)) {
      tls.ca = folder_.path() / "ca";
      tls.server_name = laws::test_server_name;
    }
    if (mutual_) {
      tls.cert = folder_.path() / "client.cert";
      tls.key = folder_.path() / "client.key";
    }
    tls.alpn = alpn_;
    steady_.emplace(transport_, address(), tls);
  }
  // Whoever was there before is served to the end, so is one that comes now, and the server ends well.
  Ended finish(std::uint64_t refused, std::uint64_t broken = 0, std::uint64_t damaged = 0) {
    honest();
    if (steady_) {
      EXPECT_EQ(steady_->stop(), "");
      steady_.reset();
      ++served_;
    }
    server_->signal(SIGINT);
    Ended ended = server_->wait();
    EXPECT_EQ(ended.exit_code, damaged != 0 ? 1 : broken == 0 ? 0 : 6) << ended.out << ended.err;
    const std::string sum = std::to_string(served_) + " ended well, 0 were stopped, " +
                            std::to_string(broken) + " broke";
    EXPECT_NE(ended.out.find(sum), std::string::npos) << ended.out << "\nwanted: " << sum;
    const std::string newcomers = "refused    " + cli::with_commas(refused) + " newcomers";
    EXPECT_EQ(ended.out.find(newcomers) != std::string::npos, refused != 0) << ended.out;
    EXPECT_EQ(ended.out.find("sums verified") != std::string::npos, damaged == 0) << ended.out;
    EXPECT_EQ(lines().size(), lines_) << ended.err;
    return ended;
  }

  // --- The server's lines ------------------------------------------------------------------------------------------

  std::vector<std::string> lines() const { return lines_with(server_->err(), ""); }
  // Exactly one line more on the server's standard error, and these words in it.
  void expect_line(const std::string& part) {
    wait_for([this] { return lines().size() != lines_; });
    const auto all = lines();
    ASSERT_EQ(all.size(), lines_ + 1) << server_->err() << "wanted: " << part;
    lines_ = all.size();
    EXPECT_TRUE(all.back().starts_with("twinwire: connection from 127.0.0.1:")) << all.back();
    EXPECT_NE(all.back().find(part), std::string::npos) << all.back() << "\nwanted: " << part;
  }
  void expect_refused(const std::string& why) { expect_line("refused: " + why); }
  // How many newcomers the server has said it refused: one by one, or in a sum.
  std::uint64_t refused() const {
    std::uint64_t count = 0;
    for (const std::string& line : lines()) {
      if (line.find(" refused: ") == std::string::npos) continue;
      std::string digits = "1";
      if (line.starts_with("twinwire: ... and ")) {
        digits.clear();
        for (std::size_t at = 18; line[at] == ',' || std::isdigit(line[at]) != 0; ++at)
          if (line[at] != ',') digits += line[at];
      }
      count += std::stoull(digits);
    }
    return count;
  }
  // So many in all, in few lines: ten a second, and a loaded machine takes its time.
  void expect_sum(std::uint64_t count) {
    wait_for([&] { return refused() >= count; });
    EXPECT_EQ(refused(), count) << server_->err();
    EXPECT_LE(lines().size(), std::max<std::uint64_t>(250, count / 20)) << server_->err();
    lines_ = lines().size();
  }
  template <class F>
  static bool wait_for(F&& done, std::chrono::seconds patience = 20s) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!done()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(5ms);
    }
    return true;
  }

  // --- Bare sockets ------------------------------------------------------------------------------------------------

  int connect(int type = SOCK_STREAM) const {
    const int socket = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address().port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return socket;
    ::close(socket);
    return -1;
  }
  // Sends it, and reads until the server has had enough.
  void send_and_wait(const std::string& bytes) {
    const int socket = connect();
    ASSERT_GE(socket, 0);
    const timeval patience{10, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    char buffer[4096];
    while (::recv(socket, buffer, sizeof buffer, 0) > 0) {}
    ::close(socket);
  }

  // The same, inside a TLS session where the server speaks TLS.
  void send_inside(const std::string& bytes);

  TemporaryFolder folder_;
  std::unique_ptr<Process> server_;
  std::optional<SteadyClient> steady_;
  std::string transport_;
  std::string port_;
  std::string limit_;              // of the server's descriptors; empty: as this process
  std::vector<std::string> alpn_;  // application protocols of the honest
  bool mutual_ = false;            // clients show certificates
  std::size_t lines_ = 0;          // of the server's standard error, seen so far
  std::uint64_t served_ = 0;       // to their end
};

inline void BadInput::send_inside(const std::string& bytes) {
  const auto ring = cli::open_ring();
  real::RingNetwork network(*ring);
  Scope root(ring->scheduler());
  root.spawn("inside", [&] {
    const auto soon = [&] { return network.clock().in(20s); };
    auto stream = network.dial(address(), {}, soon());
    ASSERT_TRUE(stream.has_value());
    if (is_secure(transport_)) {
      TlsConfig config;
      config.credentials = laws::test_credentials().client->share();
      config.server_name = laws::test_server_name;
      auto secured = tls_connect(network, std::move(*stream), config, soon());
      ASSERT_TRUE(secured.has_value());
      stream = std::move(*secured);
    }
    iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
    (void)write_all(**stream, {&piece, 1}, soon());
    for (auto got = (*stream)->read(soon()); got && !got->empty(); got = (*stream)->read(soon())) {}
  });
  (void)ring->scheduler().run();
}

}  // namespace twinwire::props
