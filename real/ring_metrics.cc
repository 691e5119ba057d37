// SPDX-License-Identifier: Apache-2.0
#include "real/ring_metrics.h"

#include <iterator>

namespace twinwire::real {
namespace {

using Type = PrometheusText::Type;

struct Counted {
  const char* name;
  std::uint64_t Counters::* value;
  const char* help;
};

constexpr Counted counted[] = {
    {"twinwire_connections_accepted_total", &Counters::connections_accepted,
     "Stream connections accepted."},
    {"twinwire_connections_dialed_total", &Counters::connections_dialed,
     "Stream connections made to others."},
    {"twinwire_connections_adopted_total", &Counters::connections_adopted,
     "Stream connections that another shard handed over."},
    {"twinwire_bytes_received_total", &Counters::bytes_received, "Bytes read from streams."},
    {"twinwire_bytes_sent_total", &Counters::bytes_sent, "Bytes that the kernel took of streams."},
    {"twinwire_datagrams_received_total", &Counters::datagrams_received,
     "Datagrams received; what the kernel joined counts as one."},
    {"twinwire_datagrams_sent_total", &Counters::datagrams_sent,
     "Datagrams sent; what the kernel is to cut counts as one."},
    {"twinwire_resets_met_total", &Counters::resets_met,
     "Operations that failed because the peer had reset its connection."},
    {"twinwire_resets_sent_total", &Counters::resets_sent,
     "Connections that this side dropped by a reset."},
    {"twinwire_short_writes_total", &Counters::short_writes,
     "Writes of which the kernel took a part: the peer reads more slowly than we write."},
    {"twinwire_direct_writes_total", &Counters::direct_writes,
     "Writes made by sendmsg(2) at once, where the ring had nothing else to submit."},
    {"twinwire_receive_buffers_short_total", &Counters::buffers_short,
     "Receives that found every receive buffer in use, and were repeated."},
    {"twinwire_loop_turns_total", &Counters::turns, "Turns of the event loop."},
    {"twinwire_io_uring_enters_total", &Counters::enters, "Calls of io_uring_enter(2)."},
    {"twinwire_io_uring_waits_total", &Counters::waits,
     "Calls of io_uring_enter(2) with nothing else to do: the loop slept."},
    {"twinwire_operations_total", &Counters::operations, "Operations handed to io_uring."},
    {"twinwire_multishot_completions_total", &Counters::multishot_completions,
     "Completions of operations that went on: connections accepted and bytes received without a "
     "request of their own."},
    {"twinwire_zero_copy_writes_total", &Counters::zero_copy_writes,
     "Writes that were sent without a copy (SEND_ZC)."},
    {"twinwire_operations_queued_total", &Counters::queued,
     "Operations that met a full submission queue and waited."},
    {"twinwire_operations_canceled_total", &Counters::cancels,
     "Operations whose end was asked for: deadlines, and connections dropped."},
};

struct Measured {
  const char* name;
  std::size_t RingSample::* value;
  const char* help;
};

constexpr Measured measured[] = {
    {"twinwire_fibers", &RingSample::fibers, "Fibers alive."},
    {"twinwire_operations_in_flight", &RingSample::operations_in_flight,
     "Operations that the kernel has not finished."},
    {"twinwire_receive_buffers_lent", &RingSample::receive_buffers_lent,
     "Receive buffers that hold bytes which somebody still uses."},
    {"twinwire_message_bytes", &RingSample::message_bytes,
     "Bytes of message buffers that are in use."},
};

}  // namespace

std::string_view name(RingMode mode) noexcept {
  switch (mode) {
    case RingMode::deferred: return "deferred";
    case RingMode::cooperative: return "cooperative";
    case RingMode::plain: return "plain";
  }
  return "unknown";
}

RingSample sample(Ring& ring, unsigned shard) {
  return {shard,
          ring.counters(),
          ring.busy(),
          ring.scheduler().live(),
          ring.core().operations().in_flight(),
          ring.core().receive_buffers().lent() + ring.core().small_receive_buffers().lent(),
          ring.buffers().bytes_in_use()};
}

void write_metrics(PrometheusText& text, std::span<const RingSample> shards) {
  const auto for_each = [&](auto&& write) {
    for (const RingSample& one : shards) write(label("shard", std::to_string(one.shard)), one);
  };
  for (const Counted& what : counted) {
    text.family(what.name, Type::counter, what.help);
    for_each([&](const std::string& labels, const RingSample& one) {
      text.sample(labels, one.counters.*what.value);
    });
  }
  text.family("twinwire_connections_open", Type::gauge, "Stream connections that are open.");
  for_each([&](const std::string& labels, const RingSample& one) {
    const Counters& c = one.counters;
    text.sample(labels, c.connections_accepted + c.connections_dialed + c.connections_adopted -
                            c.connections_closed);
  });
  for (const Measured& what : measured) {
    text.family(what.name, Type::gauge, what.help);
    for_each([&](const std::string& labels, const RingSample& one) {
      text.sample(labels, one.*what.value);
    });
  }
  text.family("twinwire_loop_busy_seconds", Type::histogram,
              "How long fibers ran between two turns of the loop, while all else waited.");
  for_each(
      [&](const std::string& labels, const RingSample& one) { text.histogram(labels, one.busy); });
}

}  // namespace twinwire::real
