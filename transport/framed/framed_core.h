// SPDX-License-Identifier: Apache-2.0
// FramedCore: what the reader and the writer of one connection share. Private to transport/framed/.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "transport/conn_options.h"
#include "transport/fiber/wait_queue.h"
#include "transport/net/network.h"
#include "transport/wire/frame_decoder.h"

namespace twinwire {

class FramedCore {
 public:
  FramedCore(Network& n, std::unique_ptr<ByteStream> s, const ConnOptions& options) noexcept
      : network(&n),
        stream(std::move(s)),
        decoder(n.buffers(), options.verify_seal),
        coalesce_below(options.coalesce_below),
        scheduler_(&n.scheduler()) {}

  // Ends the connection by a reset, for `why`. The first reason stays. Never suspends.
  void drop(Error why) noexcept;

  Scheduler& scheduler() noexcept { return *scheduler_; }

  Network* network;
  std::unique_ptr<ByteStream> stream;  // gone after a close that returned ok
  FrameDecoder decoder;
  const std::size_t coalesce_below;
  std::optional<Message> first_message;  // that a handshake read ahead

  std::optional<Error> write_error;  // what every later send_batch returns
  std::optional<Error> read_error;   // what every later read_message returns
  std::optional<Result<void>> close_result;
  bool closing = false;

  Fiber* reading = nullptr;  // the fiber inside read_message
  bool writing = false;      // a fiber is inside send_batch or close
  WaitQueue reader_left;     // close(), until read_message has returned
  int halves = 2;
#ifdef TWINWIRE_PLANTS
  std::vector<std::byte> owed;  // PLANT(success_before_accepted): what was promised and not written
#endif

 private:
  Scheduler* scheduler_;  // the network's: asked for several times a message
};

}  // namespace twinwire
