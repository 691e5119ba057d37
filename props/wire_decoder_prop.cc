// SPDX-License-Identifier: Apache-2.0
// FrameDecoder: any frames, cut into slices anywhere, fed or read in place, with memory that runs out at any
// allocation and with pauses between, come out as exactly these frames. And what a network hands over is given back.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "props/lender.h"
#include "transport/base/mix.h"
#include "transport/wire/frame_decoder.h"
#include "transport/wire/seal.h"

namespace twinwire {
namespace {

using props::Lender;
using Bytes = std::vector<std::byte>;

// Refuses by a pattern of bits; never more than a few times in a row.
struct PatternGate final : AllocationGate {
  bool admit(std::size_t /*bytes*/) noexcept override {
    const bool refuse = row < 3 && (pattern >> (asked++ % 64) & 1) != 0;
    row = refuse ? row + 1 : 0;
    refused += refuse ? 1 : 0;
    return !refuse;
  }
  std::uint64_t pattern = 0;
  unsigned asked = 0;
  int row = 0;
  int refused = 0;
};

// Sizes with the edges in them: nothing but a header, either side of a size class, large enough to be read in place.
rc::Gen<std::size_t> frame_sizes() {
  return rc::gen::map(
      rc::gen::weightedOneOf<std::size_t>({
          {3, rc::gen::just<std::size_t>(0)},
          {4, rc::gen::inRange<std::size_t>(1, 600)},
          {2, rc::gen::element<std::size_t>(255, 256, 257, 768, 16 * 1024, 16 * 1024 + 1)},
          {1, rc::gen::inRange<std::size_t>(10'000, 60'000)},
      }),
      [](std::size_t body) { return header_size + body; });
}

rc::Gen<std::size_t> piece_sizes() {
  return rc::gen::weightedOneOf<std::size_t>({
      {2, rc::gen::just<std::size_t>(1)},
      {3, rc::gen::inRange<std::size_t>(1, 300)},
      {2, rc::gen::element<std::size_t>(255, 256, 257, 512)},
      {2, rc::gen::inRange<std::size_t>(300, 5000)},
      {1, rc::gen::inRange<std::size_t>(5000, 40'000)},
  });
}

Bytes make_frame(std::size_t size, std::uint64_t salt) {
  BufferPool pool;
  MutableMessage message = std::move(
      *MutableMessage::create(pool, static_cast<Command>(scramble(salt) % 13), size - header_size));
  for (std::size_t i = 0; i < message.body().size(); ++i)
    message.body()[i] = static_cast<std::byte>(scramble(salt + i / 8) >> (8 * (i % 8)));
  message.set_view(static_cast<std::uint32_t>(salt));
  seal(message);
  return {message.bytes().begin(), message.bytes().end()};
}

struct Case {
  std::vector<std::size_t> frames;
  std::vector<std::size_t> pieces;  // used in turn, over and over
  std::uint64_t slack;              // memory beyond a piece's bytes, by its bits
  std::uint64_t refusals;
  std::uint64_t direct;  // whether a large body is read in place
  std::uint64_t keep;    // which messages the reader keeps
  bool verify;
};

rc::Gen<Case> cases() {
  return rc::gen::exec([] {
    Case c;
    c.frames = *rc::gen::container<std::vector<std::size_t>>(frame_sizes());
    c.pieces = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(piece_sizes()));
    c.slack = *rc::gen::arbitrary<std::uint64_t>();
    c.refusals = *rc::gen::weightedOneOf<std::uint64_t>(
        {{1, rc::gen::just<std::uint64_t>(0)}, {1, rc::gen::arbitrary<std::uint64_t>()}});
    c.direct = *rc::gen::arbitrary<std::uint64_t>();
    c.keep = *rc::gen::arbitrary<std::uint64_t>();
    c.verify = *rc::gen::arbitrary<bool>();
    return c;
  });
}

// A reader as FramedReader is one, over bytes instead of a stream.
struct Reader {
  const Case& plan;
  const std::vector<Bytes>& frames;
  Lender& lender;
  FrameDecoder& decoder;
  Bytes stream{};
  std::size_t at = 0;
  unsigned step = 0;
  std::size_t yielded = 0;
  std::vector<std::pair<std::size_t, Message>> kept{};
  std::string fault{};

  void require(bool condition, const char* what) {
    if (!condition && fault.empty()) fault = what;
  }

  // Hands over the next bytes; false at the end of the stream.
  bool fill() {
    if (at == stream.size()) return false;
    const std::size_t size = std::min(plan.pieces[step % plan.pieces.size()], stream.size() - at);
    const bool in_place = (plan.direct >> (step % 64) & 1) != 0;
    const bool slack = (plan.slack >> (step % 64) & 1) != 0;
    ++step;
    if (const auto space = decoder.direct_space(); in_place && !space.empty()) {
      const std::size_t n = std::min(size, space.size());
      std::memcpy(space.data(), &stream[at], n);
      decoder.commit(n);
      at += n;
      return true;
    }
    decoder.feed(lender.lend(std::span(stream).subspan(at, size), slack ? 3 * size + 700 : size));
    at += size;
    return true;
  }

  void take(Message message) {
    const std::size_t index = yielded++;
    require(index < frames.size(), "more frames than were sent");
    if (index >= frames.size()) return;
    require(std::ranges::equal(message.bytes(), frames[index]),
            "a frame is not the one that was sent");
    require(2 * message.size() >= message.slice().held() || message.slice().held() <= 1024 ||
                message.slice().held() < 2 * std::bit_ceil(message.size()),
            "a message keeps more than twice its size of somebody's memory");
    if ((plan.keep >> (index % 64) & 1) != 0) kept.emplace_back(index, std::move(message));
  }

  void run() {
    for (;;) {
      Message message;
      const auto whole = decoder.next(128 * 1024, message);
      if (!whole) {
        require(whole.error() == Errc::no_resources, "an error that is no shortage");
        if (!fault.empty()) return;
        continue;  // the reader was told; it asks again
      }
      if (*whole) {
        take(std::move(message));
        continue;
      }
      require(lender.out <= static_cast<int>(kept.size()),
              "it wants more and holds what it was fed");
      if (!fill()) break;
    }
    require(yielded == frames.size(), "frames are missing");
    require(decoder.end_of_stream() == Errc::closed, "the end of the stream is not between frames");
    for (const auto& [index, message] : kept)
      require(std::ranges::equal(message.bytes(), frames[index]), "a kept message changed");
    kept.clear();
    require(lender.out == 0, "a lent buffer did not come home");
  }
};

std::vector<Bytes> frames_of(const Case& c) {
  std::vector<Bytes> frames;
  for (std::size_t i = 0; i < c.frames.size(); ++i)
    frames.push_back(make_frame(c.frames[i], i + 1));
  return frames;
}

RC_GTEST_PROP(decoder_prop, any_split_of_any_frames_yields_exactly_these_frames, ()) {
  const Case plan = *cases();
  const auto frames = frames_of(plan);
  Lender lender;
  BufferPool pool;
  PatternGate gate;
  gate.pattern = plan.refusals;
  pool.set_gate(&gate);
  FrameDecoder decoder(pool, plan.verify);
  Reader reader{plan, frames, lender, decoder};
  for (const Bytes& frame : frames)
    reader.stream.insert(reader.stream.end(), frame.begin(), frame.end());
  reader.run();
  RC_ASSERT(reader.fault == "");
  RC_ASSERT(pool.blocks_in_use() == 0u);
  RC_CLASSIFY(gate.refused > 0, "memory ran out");
}

RC_GTEST_PROP(decoder_prop, a_stream_cut_anywhere_yields_the_whole_frames_before_the_cut, ()) {
  Case plan = *cases();
  auto frames = frames_of(plan);
  Bytes stream;
  for (const Bytes& frame : frames) stream.insert(stream.end(), frame.begin(), frame.end());
  const std::size_t cut = *rc::gen::inRange<std::size_t>(0, stream.size() + 1);
  std::size_t whole = 0;
  std::size_t end = 0;
  while (whole < frames.size() && end + frames[whole].size() <= cut) end += frames[whole++].size();
  stream.resize(cut);
  frames.resize(whole);

  Lender lender;
  BufferPool pool;
  FrameDecoder decoder(pool, plan.verify);
  Reader reader{plan, frames, lender, decoder};
  reader.stream = stream;
  for (;;) {
    Message message;
    const auto next = decoder.next(128 * 1024, message);
    RC_ASSERT(next.has_value());
    if (*next) {
      reader.take(std::move(message));
    } else if (!reader.fill()) {
      break;
    }
  }
  RC_ASSERT(reader.fault == "");
  RC_ASSERT(reader.yielded == whole);
  RC_ASSERT(decoder.end_of_stream() == (end == cut ? Errc::closed : Errc::broken));
  reader.kept.clear();
  decoder.discard();
  RC_ASSERT(pool.blocks_in_use() == 0u);
  RC_ASSERT(lender.out == 0);
}

// Bytes that are no frames: an error or a wait, never a message whose header is out of bounds, never a crash.
RC_GTEST_PROP(decoder_prop, noise_yields_nothing_that_breaks_the_rules, ()) {
  const auto sizes = *rc::gen::container<std::vector<std::uint32_t>>(
      rc::gen::weightedOneOf<std::uint32_t>({{2, rc::gen::inRange<std::uint32_t>(200, 1100)},
                                             {1, rc::gen::arbitrary<std::uint32_t>()}}));
  const auto salt = *rc::gen::arbitrary<std::uint64_t>();
  const auto pieces =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<std::size_t>>(piece_sizes()));
  Bytes stream;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    Bytes part(256 + scramble(salt + i) % 900);
    for (std::size_t b = 0; b < part.size(); ++b)
      part[b] = static_cast<std::byte>(mix(salt, i * 1000 + b));
    store(part.data() + offset::size, sizes[i]);
    store(part.data() + offset::command, static_cast<std::uint8_t>(scramble(salt ^ i) % 14));
    stream.insert(stream.end(), part.begin(), part.end());
  }
  Lender lender;
  BufferPool pool;
  {
    FrameDecoder decoder(pool, false);
    std::size_t at = 0;
    std::size_t yielded = 0;
    for (unsigned step = 0;; ++step) {
      Message message;
      const auto whole = decoder.next(1000, message);
      if (!whole) {
        RC_ASSERT(whole.error() == Errc::invalid);
        break;
      }
      if (*whole) {
        RC_ASSERT(message.size() == message.header().size());
        RC_ASSERT(message.size() >= header_size && message.size() <= 1000u);
        RC_ASSERT(message.header().command_byte() <= 12);
        RC_ASSERT(std::memcmp(message.bytes().data(), &stream[yielded], message.size()) == 0);
        yielded += message.size();
        continue;
      }
      if (at == stream.size()) break;
      const std::size_t n = std::min(pieces[step % pieces.size()], stream.size() - at);
      decoder.feed(lender.lend(std::span(stream).subspan(at, n), n));
      at += n;
    }
  }
  RC_ASSERT(lender.out == 0);
  RC_ASSERT(pool.blocks_in_use() == 0u);
}

}  // namespace
}  // namespace twinwire
