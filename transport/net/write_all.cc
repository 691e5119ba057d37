// SPDX-License-Identifier: Apache-2.0
#include "transport/net/write_all.h"

#include "transport/base/plant.h"

namespace twinwire {

std::span<iovec> advance(std::span<iovec> pieces, std::size_t written) noexcept {
  std::size_t done = 0;
  while (done < pieces.size() && written >= pieces[done].iov_len) written -= pieces[done++].iov_len;
  pieces = pieces.subspan(done);
  if (written == 0 || PLANT(resume_at_piece_start)) return pieces;
  if (PLANT(resume_at_wrong_offset)) --written;
  pieces[0].iov_base = static_cast<std::byte*>(pieces[0].iov_base) + written;
  pieces[0].iov_len -= written;
  return pieces;
}

Result<void> write_rest(ByteStream& stream, std::span<iovec> pieces, Result<std::size_t> written,
                        Deadline deadline) {
  for (;;) {
    if (!written) return written.error();
    if (PLANT(short_write_is_success)) return {};
    pieces = advance(pieces, *written);
    if (pieces.empty()) return {};
    written = stream.write(pieces, deadline);
  }
}

Result<void> write_all(ByteStream& stream, std::span<iovec> pieces, Deadline deadline) {
  if (pieces.empty()) return {};
  return write_rest(stream, pieces, stream.write(pieces, deadline), deadline);
}

}  // namespace twinwire
