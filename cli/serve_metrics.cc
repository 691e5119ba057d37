// SPDX-License-Identifier: Apache-2.0
#include "cli/serve_metrics.h"

#include "real/ring_metrics.h"

namespace twinwire::cli {
namespace {

std::string_view name(real::RingMode mode) noexcept {
  switch (mode) {
    case real::RingMode::deferred: return "deferred";
    case real::RingMode::cooperative: return "cooperative";
    case real::RingMode::plain: return "plain";
  }
  return "unknown";
}

}  // namespace

std::string serve_metrics(real::Ring& ring, const ServeState& state, std::string_view transport) {
  using real::label;
  using Type = real::PrometheusText::Type;
  constexpr unsigned shard_number = 0;
  const std::string shard = label("shard", std::to_string(shard_number));
  const ServeTotals& totals = state.totals;
  real::PrometheusText text;
  text.family("twinwire_info", Type::gauge, "Always 1; its labels tell how this server runs.");
  text.sample(label("transport", transport) + "," + label("ring_mode", name(ring.mode())), 1);

  text.family("twinwire_serve_sessions", Type::gauge, "Sessions that go on.");
  text.sample(shard, state.sessions);
  text.family("twinwire_serve_sessions_ended_total", Type::counter,
              "Sessions that ended: well, as we stopped, or otherwise.");
  text.sample(shard + "," + label("how", "well"), totals.clean);
  text.sample(shard + "," + label("how", "stopped"), totals.stopped);
  text.sample(shard + "," + label("how", "broken"), totals.broken);
  text.family("twinwire_serve_refused_total", Type::counter,
              "Newcomers that were turned away before they were a session.");
  text.sample(shard, totals.refused);
  text.family("twinwire_serve_messages_total", Type::counter, "Messages received and verified.");
  text.sample(shard, totals.verified.messages);
  text.family("twinwire_serve_message_bytes_total", Type::counter,
              "Bytes of messages received and verified, headers included.");
  text.sample(shard, totals.verified.bytes);
  text.family("twinwire_serve_answer_seconds", Type::histogram,
              "From a message's arrival to when the network had taken the answers to all that had "
              "come with it; one value a batch of answers.");
  text.histogram(shard, state.answering);

  const real::RingSample one = real::sample(ring, shard_number);
  real::write_metrics(text, {&one, 1});
  return text.text();
}

}  // namespace twinwire::cli
