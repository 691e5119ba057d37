// SPDX-License-Identifier: Apache-2.0
#include "props/laws/rude_peer.h"

#include <algorithm>

#include "transport/wire/seal.h"

namespace twinwire::laws {
namespace {

constexpr std::string_view names[rudeness_count] = {"none",     "undersize",       "oversize",
                                                    "huge",     "unknown_command", "cut_header",
                                                    "cut_body", "bad_seal"};

std::vector<std::byte> frame(std::size_t body, bool sealed, std::uint64_t fill) {
  BufferPool pool;
  auto message = MutableMessage::create(pool, Command::ping, body);
  std::fill(message->body().begin(), message->body().end(), static_cast<std::byte>(fill));
  if (sealed) seal(*message);
  const auto bytes = message->bytes();
  return {bytes.begin(), bytes.end()};
}

void set_size(std::vector<std::byte>& bytes, std::uint64_t size) {
  store(bytes.data() + offset::size, static_cast<std::uint32_t>(size));
}

}  // namespace

std::string_view name(Rudeness rudeness) noexcept {
  return names[static_cast<std::size_t>(rudeness)];
}

RudePlan rude_plan_of(Env& env) {
  RudePlan plan;
  plan.rudeness = static_cast<Rudeness>(env.draw(rudeness_count));
  plan.sealed = plan.rudeness == Rudeness::bad_seal || env.draw(4) == 0;
  plan.max = header_size + env.draw(3) * env.draw(40'000);
  plan.good_frames = env.draw(4);
  for (std::size_t i = 0; i < plan.good_frames; ++i) {
    const auto good = frame(env.draw(plan.max - header_size + 1), plan.sealed, i);
    plan.frames.push_back(good);
    plan.bytes.insert(plan.bytes.end(), good.begin(), good.end());
  }
  std::vector<std::byte> last = frame(env.draw(plan.max - header_size + 1), plan.sealed, 99);
  plan.expected = Errc::invalid;
  switch (plan.rudeness) {
    case Rudeness::none:
      last.clear();
      plan.ends_stream = true;
      plan.expected = Errc::closed;
      break;
    case Rudeness::undersize: set_size(last, env.draw(header_size)); break;
    case Rudeness::oversize:
      set_size(last, plan.max + 1 + env.draw(1000));
      last.resize(plan.max + 1 +
                  1000);  // enough that a reader without the check has a frame to yield
      break;
    case Rudeness::huge:
      set_size(last, (std::uint64_t{16} << 20) + env.draw(std::uint64_t{1} << 31));
      break;
    case Rudeness::unknown_command:
      last[offset::command] = static_cast<std::byte>(13 + env.draw(243));
      break;
    case Rudeness::cut_header:
    case Rudeness::cut_body: {
      const bool header = plan.rudeness == Rudeness::cut_header || last.size() == header_size;
      last.resize(header ? 1 + env.draw(header_size - 1)
                         : header_size + env.draw(last.size() - header_size));
      plan.ends_stream = true;
      plan.expected = Errc::broken;
      break;
    }
    case Rudeness::bad_seal: {
      // Not in size or command: those have errors of their own.
      std::size_t at = env.draw(last.size());
      if (at >= offset::size && at <= offset::command) at = offset::cluster;
      last[at] ^= static_cast<std::byte>(1 << env.draw(8));
      break;
    }
  }
  plan.bytes.insert(plan.bytes.end(), last.begin(), last.end());
  plan.frames.push_back(std::move(last));
  return plan;
}

bool write_bytes(Env& env, Network& network, ByteStream& stream,
                 const std::vector<std::byte>& bytes) {
  const bool in_pieces = env.shape("in_pieces", 1) != 0;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const std::size_t most = in_pieces ? 1 + env.draw(env.draw(2) == 0 ? 300 : 20'000) : SIZE_MAX;
    const std::size_t n = std::min(bytes.size() - at, most);
    const iovec piece{const_cast<std::byte*>(bytes.data() + at), n};
    auto written = stream.write({&piece, 1}, network.clock().in(std::chrono::seconds(60)));
    if (!written) return false;
    at += *written;
    if (in_pieces && env.draw(4) == 0)
      (void)network.scheduler().sleep_for(std::chrono::microseconds(env.draw(500)));
  }
  return true;
}

}  // namespace twinwire::laws
