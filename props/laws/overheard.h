// SPDX-License-Identifier: Apache-2.0
// Overheard: what replicas said when they dialed each other, as somebody has it who listens in; and their handshake,
// listened in to.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <span>
#include <utility>
#include <vector>

#include "transport/bus/handshake/handshake.h"

namespace twinwire::laws {

class Overheard {
 public:
  using Dial = std::vector<bus::HandshakeFrame>;  // a hello, and the proof where it came to that

  void add(Dial dial) {
    if (dial.empty()) return;
    dials_.push_back(std::move(dial));
    if (dials_.size() > kept) dials_.pop_front();
  }
  // One that was meant for that replica where there is one; nullptr where nothing was said yet.
  const Dial* meant_for(std::uint8_t acceptor, std::uint64_t nth) const {
    std::vector<const Dial*> fit;
    for (const Dial& dial : dials_)
      if (dial.front()[bus::handshake_offset::acceptor] == std::byte{acceptor})
        fit.push_back(&dial);
    if (fit.empty()) return dials_.empty() ? nullptr : &dials_[nth % dials_.size()];
    return fit[nth % fit.size()];
  }

 private:
  static constexpr std::size_t kept = 16;
  std::deque<Dial> dials_;
};

// KeyedHandshake, and what its dialers say is overheard.
class OverheardHandshake {
 public:
  OverheardHandshake(const bus::HandshakeOptions& options, Overheard& by) noexcept
      : handshake_(options), by_(&by) {}

  template <class Reader, class Writer>
  Result<std::uint8_t> dial(Network& network, Reader& reader, Writer& writer, std::uint8_t whom,
                            std::span<const std::byte> binding, Deadline deadline) const {
    Overheard::Dial said;
    Tapped<Writer> tapped{&writer, &said};
    auto peer = handshake_.dial(network, reader, tapped, whom, binding, deadline);
    by_->add(std::move(said));
    return peer;
  }
  template <class Reader, class Writer>
  Result<std::uint8_t> accept(Network& network, Reader& reader, Writer& writer,
                              std::span<const std::byte> binding, Deadline deadline) const {
    return handshake_.accept(network, reader, writer, binding, deadline);
  }

 private:
  template <class Writer>
  struct Tapped {
    Result<void> send_batch(Batch& batch, Deadline deadline) {
      for (const Message& message : batch.messages()) {
        bus::HandshakeFrame frame{};
        std::ranges::copy(message.bytes(), frame.begin());
        said->push_back(frame);
      }
      return writer->send_batch(batch, deadline);
    }
    Result<void> close(Duration grace) { return writer->close(grace); }

    Writer* writer;
    Overheard::Dial* said;
  };

  bus::KeyedHandshake handshake_;
  Overheard* by_;
};

}  // namespace twinwire::laws
