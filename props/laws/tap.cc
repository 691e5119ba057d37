// SPDX-License-Identifier: Apache-2.0
#include "props/laws/tap.h"

#include <algorithm>
#include <string>

#include "transport/base/sometimes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace twinwire::laws {
namespace {

// Whether a piece lies in one of the messages. `from`: where the piece before it was found, since pieces come in order.
bool inside(const iovec& piece, const Batch& batch, std::size_t& from) noexcept {
  const auto* begin = static_cast<const std::byte*>(piece.iov_base);
  for (std::size_t tried = 0; tried < batch.size(); ++tried) {
    const std::size_t i = (from + tried) % batch.size();
    const auto bytes = batch[i].bytes();
    if (begin < bytes.data() || begin + piece.iov_len > bytes.data() + bytes.size()) continue;
    from = i;
    return true;
  }
  return false;
}

// Every frame is larger than a protocol's head or control frame.
bool allowed(const iovec& piece, const StreamRecord& record, std::size_t& from) noexcept {
  if (record.pieces == Pieces::anywhere) return true;
  if (record.pieces == Pieces::heads_and_messages && piece.iov_len < header_size) return true;
  return inside(piece, *record.in_flight, from);
}

// Where small messages may be copied, and no others: what lies in none of the messages is no more than those are.
bool only_small_are_copied(std::span<const iovec> pieces, const StreamRecord& record,
                           std::size_t& from) noexcept {
  std::size_t copied = 0;
  for (const iovec& piece : pieces)
    if (!allowed(piece, record, from)) copied += piece.iov_len;
  if (copied == 0) return true;
  std::size_t small = 0;
  for (const Message& message : record.in_flight->messages())
    if (message.size() < record.copied_below) small += message.size();
  return copied <= small;
}

bool ends_with_piece(std::span<const iovec> pieces, std::size_t written) noexcept {
  for (const iovec& piece : pieces) {
    if (written == piece.iov_len) return true;
    if (written < piece.iov_len) return false;
    written -= piece.iov_len;
  }
  return false;
}

class TapStream final : public ByteStream {
 public:
  TapStream(std::unique_ptr<ByteStream> inner, std::shared_ptr<StreamRecord> record, Judge& judge,
            Scheduler& scheduler)
      : inner_(std::move(inner)),
        record_(std::move(record)),
        judge_(&judge),
        scheduler_(&scheduler) {}
  ~TapStream() override { record_->destroyed = true; }

  Result<std::size_t> write(std::span<const iovec> pieces, Deadline deadline) override {
    StreamRecord& record = *record_;
    ++record.writes;
    judge_->check(!record.aborted, "drop",
                  "the network was touched after the connection was dropped");
    judge_->check(!record.write_failed, "drop",
                  "something was written to a connection on which a write had failed");
    std::size_t total = 0;
    for (const iovec& piece : pieces) total += piece.iov_len;
    if (record.in_flight != nullptr)
      judge_->check(only_small_are_copied(pieces, record, found_at_), "zero_copy",
                    "a piece was written that lies in no message of the batch");
    auto written = inner_->write(pieces, deadline);
    if (!written) {
      record.write_failed = true;
      record.write_error = written.error();
      if (cut_ != Cut::nowhere) scheduler_->reached(Sometimes::batch_failed_half_written);
      if (cut_ == Cut::between_pieces) scheduler_->reached(Sometimes::write_failed_between_pieces);
      return written;
    }
    judge_->check(*written >= 1 && *written <= total, "byte_seam", [&] {
      return "write took " + std::to_string(*written) + " of " + std::to_string(total) + " bytes";
    });
    record.accepted += *written;
    cut_ = Cut::nowhere;
    if (*written < total) {
      ++record.short_writes;
      cut_ = ends_with_piece(pieces, *written) ? Cut::between_pieces : Cut::inside_piece;
    }
    return written;
  }
  Result<Slice> read(Deadline deadline) override {
    auto slice = inner_->read(deadline);
    if (slice) saw(slice->size());
    return slice;
  }
  Result<std::size_t> read_into(std::span<std::byte> into, Deadline deadline) override {
    auto n = inner_->read_into(into, deadline);
    if (n) saw(*n);
    return n;
  }
  Result<void> shutdown_write(Deadline deadline) override {
    record_->shut = true;
    return inner_->shutdown_write(deadline);
  }
  void abort() noexcept override {
    if (!record_->aborted) record_->shut_before_abort = record_->shut;
    record_->aborted = true;
    inner_->abort();
  }
  Address local() const noexcept override { return inner_->local(); }
  Address peer() const noexcept override { return inner_->peer(); }

 private:
  void saw(std::size_t bytes) {
    judge_->check(!(record_->end_seen && bytes != 0), "byte_seam",
                  "bytes arrived after the end of the stream");
    record_->received += bytes;
    record_->end_seen = record_->end_seen || bytes == 0;
  }

  std::unique_ptr<ByteStream> inner_;
  std::shared_ptr<StreamRecord> record_;
  std::size_t found_at_ = 0;
  // Where the last write stopped short.
  enum class Cut : std::uint8_t { nowhere, between_pieces, inside_piece } cut_ = Cut::nowhere;
  Judge* judge_;
  Scheduler* scheduler_;
};

class TapAcceptor final : public Acceptor {
 public:
  TapAcceptor(std::unique_ptr<Acceptor> inner, TapNetwork& network)
      : inner_(std::move(inner)), network_(&network) {}

  Result<std::unique_ptr<ByteStream>> accept(Deadline deadline) override {
    network_->judge().check(
        !(exhausted_ && network_->clock().now() == exhausted_at_), "accept",
        "accept was tried again in the instant in which descriptors had run out");
    auto stream = inner_->accept(deadline);
    exhausted_ = !stream && stream.error() == Errc::no_resources;
    exhausted_at_ = network_->clock().now();
    if (!stream) return stream;
    return network_->tap(std::move(*stream));
  }
  Address local() const noexcept override { return inner_->local(); }

 private:
  std::unique_ptr<Acceptor> inner_;
  TapNetwork* network_;
  bool exhausted_ = false;
  TimePoint exhausted_at_;
};

using Records = std::vector<std::shared_ptr<StreamRecord>>;

constexpr std::size_t stateless_reset_max = 41;

class TapSocket final : public DatagramSocket {
 public:
  TapSocket(std::unique_ptr<DatagramSocket> inner, std::shared_ptr<Records> records, Judge& judge,
            std::function<Address(const Address&)> origin)
      : inner_(std::move(inner)),
        records_(std::move(records)),
        judge_(&judge),
        origin_(std::move(origin)) {}

  Result<std::size_t> send(std::span<const Datagram> datagrams, Deadline deadline) override {
    for (const Datagram& datagram : datagrams) {
      StreamRecord& record = record_with(datagram.remote);
      ++record.writes;
      record.accepted += datagram.bytes.size();
      if (!record.dropped) continue;
      ++record.sent_after_drop;
      // A copy of the peer's first packet that comes very late begins a handshake anew, and other strays meet a
      // stateless reset: neither can carry a message.
      const bool handshake = (datagram.bytes[0] & std::byte{0x80}) != std::byte{0};
      if (handshake || datagram.bytes.size() <= stateless_reset_max) continue;
      const std::uint64_t digest = XXH3_64bits(datagram.bytes.data(), datagram.bytes.size());
      if (record.farewell == 0) record.farewell = digest;
      judge_->check(digest == record.farewell, "drop",
                    "something other than the close packet was sent after a drop");
    }
    return inner_->send(datagrams, deadline);
  }
  Result<DatagramBatch> receive(Deadline deadline) override {
    auto batch = inner_->receive(deadline);
    if (batch)
      for (const ReceivedDatagram& datagram : *batch)
        record_with(datagram.remote).received += datagram.bytes.size();
    return batch;
  }
  Address local() const noexcept override { return inner_->local(); }

 private:
  StreamRecord& record_with(const Address& peer) {
    const Address whose = origin_ ? origin_(peer) : peer;
    StreamRecord& record = *TapNetwork::record_between(*records_, local(), whose);
    record.moved = record.moved || whose != peer;
    return record;
  }

  std::unique_ptr<DatagramSocket> inner_;
  std::shared_ptr<Records> records_;
  Judge* judge_;
  std::function<Address(const Address&)> origin_;
};

}  // namespace

std::shared_ptr<StreamRecord> TapNetwork::record_between(Records& records, const Address& local,
                                                         const Address& peer) {
  const auto found = std::find_if(records.begin(), records.end(), [&](const auto& record) {
    return record->datagrams && record->peer == peer && record->local == local;
  });
  if (found != records.end()) return *found;
  auto record = std::make_shared<StreamRecord>();
  record->datagrams = true;
  record->local = local;
  record->peer = peer;
  records.push_back(record);
  return record;
}

Result<std::unique_ptr<DatagramSocket>> TapNetwork::bind(const Address& address,
                                                         const DatagramOptions& options) {
  auto socket = base_->bind(address, options);
  if (!socket) return socket;
  return std::make_unique<TapSocket>(std::move(*socket), records_, *judge_, origin_);
}

std::unique_ptr<ByteStream> TapNetwork::tap(std::unique_ptr<ByteStream> stream) {
  auto record = std::make_shared<StreamRecord>();
  record->local = stream->local();
  record->peer = stream->peer();
  records_->push_back(record);
  return std::make_unique<TapStream>(std::move(stream), std::move(record), *judge_, scheduler());
}

std::size_t TapNetwork::live_streams() const noexcept {
  return static_cast<std::size_t>(std::count_if(
      records_->begin(), records_->end(), [](const auto& record) { return !record->destroyed; }));
}

std::shared_ptr<StreamRecord> TapNetwork::record_of(const Address& peer) const {
  const Address whose = origin(peer);
  const auto found = std::find_if(records_->rbegin(), records_->rend(),
                                  [&](const auto& record) { return record->peer == whose; });
  return found == records_->rend() ? nullptr : *found;
}

Result<std::unique_ptr<Acceptor>> TapNetwork::listen(const Address& address,
                                                     const ListenOptions& options) {
  auto acceptor = base_->listen(address, options);
  if (!acceptor) return acceptor;
  return std::make_unique<TapAcceptor>(std::move(*acceptor), *this);
}

Result<std::unique_ptr<ByteStream>> TapNetwork::dial(const Address& address,
                                                     const StreamOptions& options,
                                                     Deadline deadline) {
  auto stream = base_->dial(address, options, deadline);
  if (!stream) return stream;
  return tap(std::move(*stream));
}

}  // namespace twinwire::laws
