// SPDX-License-Identifier: Apache-2.0
// Tap: a network that passes everything through and writes down what a transport did to its byte streams. Laws look at
// it from outside: what was really accepted, whether a failed connection was reset and then left alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "props/laws/judge.h"
#include "transport/net/network.h"
#include "transport/wire/batch.h"

namespace twinwire::laws {

// Where the pieces of a write may lie: in messages; small ones beside them, too; anywhere (a transport that copies).
enum class Pieces : std::uint8_t { messages, heads_and_messages, anywhere };

// What is known of one stream. Outlives the stream.
struct StreamRecord {
  Address local;
  Address peer;
  std::uint64_t accepted = 0;  // bytes that write() took
  std::uint64_t received = 0;  // bytes that read() and read_into() gave
  std::uint64_t writes = 0;    // calls, failed ones included
  std::uint64_t short_writes = 0;
  bool write_failed = false;
  Error write_error;      // with which it did
  bool end_seen = false;  // the peer's end was read
  bool shut = false;      // shutdown_write() was called
  bool aborted = false;
  bool shut_before_abort = false;
  bool destroyed = false;

  Pieces pieces = Pieces::messages;
  // While set, every piece that is written must lie inside a message of this batch, as far as `pieces` says.
  const Batch* in_flight = nullptr;
  // Messages smaller than this may be copied: pieces outside of messages are no more than these are together.
  std::size_t copied_below = 0;

  // --- Of datagrams between one socket and one peer; `writes` counts them, `accepted` and `received` their bytes ---
  bool datagrams = false;
  bool dropped = false;  // set by who saw its side drop the connection
  bool moved = false;    // the peer was seen under another address
  std::uint64_t sent_after_drop = 0;
  std::uint64_t farewell = 0;  // digest of the first of these: every other one must be the same
};

class TapNetwork final : public Network {
 public:
  // Network and judge are borrowed. `origin`: whose datagrams come from an address (Env::origins).
  TapNetwork(Network& base, Judge& judge, std::function<Address(const Address&)> origin = {})
      : base_(&base), judge_(&judge), origin_(std::move(origin)) {}

  Result<std::unique_ptr<Acceptor>> listen(const Address& address,
                                           const ListenOptions& options) override;
  Result<std::unique_ptr<ByteStream>> dial(const Address& address, const StreamOptions& options,
                                           Deadline deadline) override;
  Result<std::unique_ptr<DatagramSocket>> bind(const Address& address,
                                               const DatagramOptions& options) override;
  Scope& background() noexcept override { return base_->background(); }
  Scheduler& scheduler() noexcept override { return base_->scheduler(); }
  Clock& clock() noexcept override { return base_->clock(); }
  Random& random() noexcept override { return base_->random(); }
  BufferPool& buffers() noexcept override { return base_->buffers(); }

  // Wraps a stream of the base network and keeps its record.
  std::unique_ptr<ByteStream> tap(std::unique_ptr<ByteStream> stream);

  // The record of datagrams between `local` and `peer`, made at first use.
  static std::shared_ptr<StreamRecord> record_between(
      std::vector<std::shared_ptr<StreamRecord>>& records, const Address& local,
      const Address& peer);

  const std::vector<std::shared_ptr<StreamRecord>>& records() const noexcept { return *records_; }
  std::size_t live_streams() const noexcept;
  // The newest stream to that peer; nullptr if there is none.
  std::shared_ptr<StreamRecord> record_of(const Address& peer) const;
  Judge& judge() noexcept { return *judge_; }
  Address origin(const Address& seen) const { return origin_ ? origin_(seen) : seen; }

 private:
  Network* base_;
  Judge* judge_;
  std::function<Address(const Address&)> origin_;
  // Shared with taps of datagram sockets, which outlive this network (Network::background).
  std::shared_ptr<std::vector<std::shared_ptr<StreamRecord>>> records_ =
      std::make_shared<std::vector<std::shared_ptr<StreamRecord>>>();
};

}  // namespace twinwire::laws
