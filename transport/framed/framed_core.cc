// SPDX-License-Identifier: Apache-2.0
#include "transport/framed/framed_core.h"

#include <new>

#include "transport/base/plant.h"
#include "transport/framed/framed_conn.h"

namespace twinwire {

void FramedCore::drop(Error why) noexcept {
  if (!write_error) write_error = why;
  // The reader's own reason, if it had one, says more than "dropped".
  if (!read_error && !PLANT(reader_sleeps_when_writer_dies))
    read_error = Error{Errc::broken, why.os_errno};
  if (stream == nullptr || PLANT(reader_sleeps_when_writer_dies)) return;
  if (PLANT(drop_by_fin))
    (void)stream->shutdown_write(Deadline::never());
  else
    stream->abort();
}

FramedHalf::~FramedHalf() {
  if (core_ == nullptr) return;
  const bool read_to_end = role_ == Role::reader && core_->read_error == Error{Errc::closed, 0};
  if (!core_->closing && !read_to_end) core_->drop({Errc::broken, 0});
  if (--core_->halves == 0) delete core_;
}

Result<FramedConn> FramedConn::over(Network& network, std::unique_ptr<ByteStream> stream,
                                    const ConnOptions& options) {
  auto* core = new (std::nothrow) FramedCore(network, std::move(stream), options);
  if (core == nullptr) return Errc::no_resources;
  return FramedConn(FramedHalf(core, FramedHalf::Role::reader),
                    FramedHalf(core, FramedHalf::Role::writer));
}

Result<ChannelBinding> FramedConn::channel_binding() const noexcept {
  const FramedCore& core = *reader_half_.operator->();
  if (core.stream == nullptr) return Errc::unsupported;
  return core.stream->channel_binding();
}

}  // namespace twinwire
