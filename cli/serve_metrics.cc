// SPDX-License-Identifier: Apache-2.0
#include "cli/serve_metrics.h"

#include "real/ring_metrics.h"

namespace twinwire::cli {

std::string serve_metrics(std::span<const ServeSample> shards, real::RingMode mode,
                          std::string_view transport) {
  using real::label;
  using Type = real::PrometheusText::Type;
  real::PrometheusText text;
  const auto for_each = [&](auto&& write) {
    for (const ServeSample& one : shards)
      write(label("shard", std::to_string(one.ring.shard)), one);
  };
  const auto count = [&](std::string_view family, std::string_view help,
                         std::uint64_t (*of)(const ServeSample&)) {
    text.family(family, Type::counter, help);
    for_each(
        [&](const std::string& shard, const ServeSample& one) { text.sample(shard, of(one)); });
  };
  text.family("twinwire_info", Type::gauge, "Always 1; its labels tell how this server runs.");
  text.sample(label("transport", transport) + "," + label("ring_mode", real::name(mode)), 1);

  text.family("twinwire_serve_sessions", Type::gauge, "Sessions that go on.");
  for_each(
      [&](const std::string& shard, const ServeSample& one) { text.sample(shard, one.sessions); });
  text.family("twinwire_serve_sessions_ended_total", Type::counter,
              "Sessions that ended: well, as we stopped, or otherwise.");
  for_each([&](const std::string& shard, const ServeSample& one) {
    text.sample(shard + "," + label("how", "well"), one.totals.clean);
    text.sample(shard + "," + label("how", "stopped"), one.totals.stopped);
    text.sample(shard + "," + label("how", "broken"), one.totals.broken);
  });
  count("twinwire_serve_refused_total",
        "Newcomers that were turned away before they were a session.",
        [](const ServeSample& one) { return one.totals.refused; });
  count("twinwire_serve_messages_total", "Messages received and verified.",
        [](const ServeSample& one) { return one.totals.verified.messages; });
  count("twinwire_serve_message_bytes_total",
        "Bytes of messages received and verified, headers included.",
        [](const ServeSample& one) { return one.totals.verified.bytes; });
  text.family("twinwire_serve_answer_seconds", Type::histogram,
              "From a message's arrival to when the network had taken the answers to all that had "
              "come with it; one value a batch of answers.");
  for_each([&](const std::string& shard, const ServeSample& one) {
    text.histogram(shard, one.answering);
  });

  std::vector<real::RingSample> rings;
  rings.reserve(shards.size());
  for (const ServeSample& one : shards) rings.push_back(one.ring);
  real::write_metrics(text, rings);
  return text.text();
}

}  // namespace twinwire::cli
