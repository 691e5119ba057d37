// SPDX-License-Identifier: Apache-2.0
// The frame decoder. Input: a byte of options, two that bound a frame, two for the cut, then the stream.
//
// Holds for every stream: what comes out is what a decoder of ten lines finds in it; cutting it otherwise changes
// nothing; the frames that are accepted, one behind another, are the bytes that came in; an announcement takes no
// memory beyond the bound; invalid stays invalid; what was lent is given back.
#include "props/fuzz/fuzz.h"
#include "transport/wire/frame_decoder.h"
#include "transport/wire/seal.h"

namespace twinwire::fuzz {
namespace {

struct Outcome {
  Bytes frames;  // that came out, one behind another
  std::size_t count = 0;
  Errc end{};
};

// What must come out.
Outcome expected(std::span<const std::byte> stream, std::size_t max, bool sealed) {
  Outcome out;
  while (stream.size() >= header_size) {
    const HeaderView header(stream.data());
    out.end = Errc::invalid;
    if (header.size() < header_size || header.size() > max || header.command_byte() > 12)
      return out;
    if (stream.size() < header.size()) break;
    const auto whole = stream.first(header.size());
    if (sealed && !seal_matches(whole)) return out;
    append(out.frames, whole);
    ++out.count;
    stream = stream.subspan(whole.size());
  }
  out.end = stream.empty() ? Errc::closed : Errc::broken;
  return out;
}

Outcome decode(std::span<const std::byte> stream, std::size_t max, bool sealed, Cut cut) {
  BufferPool pool;
  Lender lender;
  Outcome out;
  {
    FrameDecoder decoder(pool, sealed);
    bool invalid = false;
    while (!stream.empty() && !invalid) {
      feed_next(decoder, lender, stream, cut);
      for (;;) {
        Message message;
        const auto got = decoder.next(max, message);
        if (!got) {
          FUZZ_CHECK(got.error() == Errc::invalid, "memory did not run out");
          invalid = true;
          FUZZ_CHECK(decoder.next(max, message).error() == Errc::invalid, "invalid is final");
          break;
        }
        if (!*got) break;
        FUZZ_CHECK(message.size() <= max && message.size() == message.header().size(),
                   "a frame has the size that its header says, within the bound");
        append(out.frames, message.bytes());
        ++out.count;
      }
    }
    out.end = invalid ? Errc::invalid : decoder.end_of_stream();
    // One block for the frame at hand, rounded up to a size class, and a copy handed out.
    FUZZ_CHECK(pool.bytes_in_use_max() <= 4 * max + 4096, "memory is bounded by the frame's bound");
  }
  FUZZ_CHECK(lender.out == 0 && pool.blocks_in_use() == 0, "what was lent is given back");
  return out;
}

}  // namespace

std::vector<Bytes> seeds() {
  std::vector<Bytes> all;
  const Bytes options{std::byte{0}, std::byte{0xff}, std::byte{0x0f}, std::byte{1}, std::byte{2}};
  Bytes announcement = frame(256);
  store(announcement.data() + offset::size, 0xffff'ffffU);
  const std::vector<std::vector<Bytes>> streams = {
      {frame(256)},    {frame(300, 12), frame(256, 0), frame(1000)},
      {frame(0x0fff)}, {frame(0x1100)},
      {frame(255)},    {announcement},
      {frame(256, 13)}};
  for (const std::vector<Bytes>& frames : streams) {
    Bytes seed = options;
    for (const Bytes& one : frames) append(seed, one);
    all.push_back(seed);
    seed.pop_back();
    all.push_back(seed);
  }
  Bytes sealed = options;
  sealed[0] = std::byte{1};
  BufferPool pool;
  auto message = *MutableMessage::create(pool, Command::request, 50);
  std::memset(message.body().data(), 1, message.body().size());
  seal(message);
  append(sealed, message.bytes());
  all.push_back(sealed);
  // Large enough to be read in place.
  Bytes large = options;
  large[2] = std::byte{0xff};
  append(large, frame(30'000));
  all.push_back(large);
  return all;
}

}  // namespace twinwire::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace twinwire::fuzz;
  Input input(data, size);
  const bool sealed = (input.byte() & 1) != 0;
  const std::size_t max = twinwire::header_size + input.word();
  const std::uint16_t salt = input.word();
  const auto stream = input.rest();
  const Outcome wanted = expected(stream, max, sealed);
  for (const Cut& cut :
       {Cut{Cut::How::whole}, Cut{Cut::How::pieces, salt},
        Cut{stream.size() < 2000 ? Cut::How::bytes : Cut::How::pieces, ~salt * 1U}}) {
    const Outcome got = decode(stream, max, sealed, cut);
    FUZZ_CHECK(got.end == wanted.end, "the stream ends as it must");
    FUZZ_CHECK(got.count == wanted.count && got.frames == wanted.frames,
               "what comes out is what came in");
  }
  return 0;
}
