// SPDX-License-Identifier: Apache-2.0
// Reading: the pump fills the inbox, and the reader takes from it. What arrived stays there whoever stops waiting.
#include "transport/ws/ws_conn.h"
#include "transport/ws/ws_core.h"

namespace twinwire {
namespace {

class InsideWsReader {
 public:
  explicit InsideWsReader(WsCore& core) noexcept : core_(core) {
    TWINWIRE_CHECK(!core.reading, "two fibers inside one reader");
    core.reading = true;
    core.shortage = false;
  }
  InsideWsReader(const InsideWsReader&) = delete;
  InsideWsReader& operator=(const InsideWsReader&) = delete;
  ~InsideWsReader() {
    core_.reading = false;
    core_.reader_max = 0;
  }

 private:
  WsCore& core_;
};

// Until the inbox has a message of at most `max` bytes.
// Errors     as WsReader::read_message
Result<void> await_message(WsCore& core, std::size_t max, Deadline deadline) {
  for (;;) {
    if (core.read_error) return *core.read_error;
    if (core.closing) return Errc::closed;
    if (core.scheduler.cancel_pending()) return Errc::canceled;
    if (!core.inbox.empty()) {
      if (core.inbox.front().size() <= max) return {};
      core.violate(ws::close_too_big);
      if (core.dropped()) {
        core.read_error = Error{Errc::invalid, 0};
        core.inbox.clear();
        continue;
      }
    } else if (core.inbound_end) {
      core.read_error = core.inbound_end;
      continue;
    } else if (core.shortage) {
      return Errc::no_resources;
    }
    core.reader_max = max;
    core.room.wake_one(core.scheduler);
    const Wake wake = core.arrivals.wait(core.scheduler, deadline, "a message");
    core.reader_max = 0;
    const bool nothing = core.inbox.empty() || core.inbox.front().size() > max;
    if (wake != Wake::ready && nothing && !core.inbound_end && !core.read_error && !core.closing)
      return to_errc(wake);
  }
}

}  // namespace

Result<Message> WsReader::read_message(std::size_t max, Deadline deadline) {
  WsCore& core = *core_;
  TWINWIRE_CHECK(max >= header_size, "no frame is smaller than its header");
  InsideWsReader mark(core);
  auto there = await_message(core, max, deadline);
  if (!there) return there.error();
  Message message = core.inbox.pop();
  if (core.inbox.empty() || core.inbox.has_room()) core.room.wake_one(core.scheduler);
  return message;
}

Result<void> WsConn::await_first_message(std::size_t max, Deadline deadline) {
  WsCore& core = *reader_half_;
  InsideWsReader mark(core);
  return await_message(core, max, deadline);
}

}  // namespace twinwire
