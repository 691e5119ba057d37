// SPDX-License-Identifier: Apache-2.0
// The peer of tcp: a blocking socket; writev(2) a batch, and a read buffer in which the frames are found.
#include "props/peers/peer.h"

namespace twinwire::peers {
namespace {

class TcpPeer {
 public:
  explicit TcpPeer(const Call& call) : socket_(connection(call)), framer_(call.work.size) {}

  void send(std::span<const iovec> batch) {
    pieces_.assign(batch.begin(), batch.end());  // a short write changes them
    socket_.write_all(pieces_);
  }
  bool receive(Receiver& receiver) {
    while (!framer_.take(receiver)) {
      const std::size_t n = socket_.read(framer_.space());
      if (n == 0) return false;
      framer_.filled(n);
    }
    return true;
  }
  void end() {}

 private:
  Socket socket_;
  Framer framer_;
  std::vector<iovec> pieces_;
};

}  // namespace

void run_tcp(const Call& call) { run(TcpPeer(call), call); }

}  // namespace twinwire::peers
