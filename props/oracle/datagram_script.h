// SPDX-License-Identifier: Apache-2.0
// DatagramScript: as Script (script.h), with the calls of datagram sockets.
//
// Four sockets: 0 and 1 belong to the first host, 2 and 3 to the second; or all to one, which then speaks to itself by
// every address that it has.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "props/oracle/place.h"
#include "transport/net/datagram_socket.h"

namespace twinwire::oracle {

enum class DatagramOp : std::uint8_t {
  bind,
  send,
  send_late,      // with a deadline that has passed
  receive,        // until `count` datagrams were had, or nothing is there
  begin_receive,  // the same by somebody who waits, while the script goes on
  await_receive,
  close,
  hop,
  settle,
};
inline constexpr int datagram_op_count = static_cast<int>(DatagramOp::settle) + 1;

inline constexpr std::size_t datagram_sockets = 4;

// To whose port a datagram goes: a socket's, also one that is closed by now; or one of these.
inline constexpr std::uint8_t to_nobodys_port = datagram_sockets;
inline constexpr std::uint8_t to_port_zero = datagram_sockets + 1;

struct DatagramStep {
  DatagramOp op{};
  std::uint8_t socket = 0;
  Place place = Place::own4;  // bind: of its own; send: of the peer
  std::uint8_t port = 0;      // bind: 0, any; 1 to 3: one of three
  std::uint8_t to = 0;
  std::uint8_t count = 1;  // datagrams: of one call to send, or to wait for
  std::uint32_t size = 0;
  std::uint32_t last_size = 0;  // of the last of several, where it is another
  std::uint16_t segment_size = 0;
  Ecn ecn = Ecn::not_ect;
  Place source = Place::any6;  // to send from; any6: not said

  friend bool operator==(const DatagramStep&, const DatagramStep&) = default;
};

struct DatagramScript {
  std::uint64_t seed = 0;
  bool one_host = false;
  std::array<std::uint32_t, datagram_sockets> receive_buffer{};  // 0: not asked for
  std::vector<DatagramStep> steps;
};

inline unsigned host_of(const DatagramScript& script, std::uint8_t socket) {
  return script.one_host || socket < 2 ? 0 : 1;
}

std::string to_text(const DatagramStep& step);
std::string to_text(const DatagramScript& script);
DatagramScript without_pauses(const DatagramScript& script);
DatagramScript settled(const DatagramScript& script);

// The same seed gives the same script, on every machine. `one_host`: everything settles after each call.
DatagramScript datagram_script_of(std::uint64_t seed, bool one_host);

}  // namespace twinwire::oracle
