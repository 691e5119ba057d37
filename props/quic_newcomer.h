// SPDX-License-Identifier: Apache-2.0
// QuicNewcomer: a client of QUIC as far as its first packets, for whoever wants to send them himself, or spoil them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>

#include "props/deaf_quic_sink.h"
#include "props/laws/test_credentials.h"
#include "sim/entropy.h"

namespace twinwire::props {

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

class QuicNewcomer {
 public:
  // Another one for each `seed`, with connection ids of its own.
  explicit QuicNewcomer(std::uint64_t seed) : random_(seed) {
    QuicOptions options;
    options.tls.credentials = laws::test_credentials().client->share();
    options.tls.server_name = laws::test_server_name;
    auto made = QuicEngine::client(options, random_, {}, path_, now_, sink_);
    EXPECT_TRUE(made.has_value());
    engine_ = std::move(*made);
  }

  // The datagram that it sends next; empty where there is none.
  std::string next() {
    std::string packet(quic_packet_max, '\0');
    QuicFate fate = QuicFate::alive;
    const auto room = std::as_writable_bytes(std::span(packet));
    packet.resize(engine_->write(room, now_, fate).size);
    engine_->end_burst(now_);
    return packet;
  }
  void hear(const std::string& datagram) {
    (void)engine_->read(path_, Ecn::not_ect, bytes_of(datagram), now_);
  }

 private:
  sim::SeededRandom random_;
  DeafQuicSink sink_;
  QuicPath path_{Address::v4(127, 0, 0, 1, 1), Address::v4(127, 0, 0, 1, 2)};
  TimePoint now_{1};
  std::unique_ptr<QuicEngine> engine_;
};

}  // namespace twinwire::props
