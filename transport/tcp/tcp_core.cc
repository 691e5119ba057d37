// SPDX-License-Identifier: Apache-2.0
#include "transport/tcp/tcp_core.h"

#include <new>

#include "transport/base/plant.h"
#include "transport/tcp/tcp_conn.h"

namespace twinwire {

void TcpCore::drop(Error why) noexcept {
  if (!write_error) write_error = why;
  // The reader's own reason, if it had one, says more than "dropped".
  if (!read_error && !PLANT(reader_sleeps_when_writer_dies))
    read_error = Error{Errc::broken, why.os_errno};
  if (stream == nullptr || PLANT(reader_sleeps_when_writer_dies)) return;
  if (PLANT(drop_by_fin))
    (void)stream->shutdown_write();
  else
    stream->abort();
}

TcpHalf::~TcpHalf() {
  if (core_ == nullptr) return;
  const bool read_to_end = role_ == Role::reader && core_->read_error == Error{Errc::closed, 0};
  if (!core_->closing && !read_to_end) core_->drop({Errc::broken, 0});
  if (--core_->halves == 0) delete core_;
}

Result<TcpConn> TcpConn::over(Network& network, std::unique_ptr<ByteStream> stream,
                              const TcpOptions& options) {
  auto* core = new (std::nothrow) TcpCore(network, std::move(stream), options.verify_seal);
  if (core == nullptr) return Errc::no_resources;
  return TcpConn(TcpHalf(core, TcpHalf::Role::reader), TcpHalf(core, TcpHalf::Role::writer));
}

}  // namespace twinwire
