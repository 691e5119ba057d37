// SPDX-License-Identifier: Apache-2.0
#include "cli/bus_metrics.h"

#include <array>

#include "real/ring_metrics.h"

namespace twinwire::cli {
namespace {

using real::label;
using real::PrometheusText;
using Type = PrometheusText::Type;

template <class Counters>
struct Family {
  std::string_view name;
  std::uint64_t Counters::* value;
  std::string_view help;
};

constexpr std::array log_families = std::to_array<Family<log::LogCounters>>({
    {"twinwire_log_appended_total", &log::LogCounters::appended, "Entries written to the log."},
    {"twinwire_log_syncs_total", &log::LogCounters::syncs,
     "Syncs of the log; each for all entries that had come meanwhile."},
    {"twinwire_log_requests_applied_total", &log::LogCounters::applied,
     "Requests given to the application since the start, those of before it included."},
    {"twinwire_log_bad_messages_total", &log::LogCounters::bad,
     "Messages that may not be; their sender was dropped."},
    {"twinwire_log_refused_sends_total", &log::LogCounters::refused_sends,
     "Sends to a replica that found its queue full, or no memory, and are tried again."},
    {"twinwire_log_requests_total", &log::LogCounters::requests, "Requests received."},
    {"twinwire_log_answers_total", &log::LogCounters::answered, "Answers given to clients."},
    {"twinwire_log_answers_again_total", &log::LogCounters::answered_again,
     "Of the requests, those that had been applied before."},
    {"twinwire_log_busy_total", &log::LogCounters::busy,
     "Requests turned away: too much was uncommitted, or there was no memory."},
    {"twinwire_log_unknown_sessions_total", &log::LogCounters::unknown,
     "Requests of sessions that are not known, or not any more."},
    {"twinwire_log_entries_sent_total", &log::LogCounters::sent, "Entries sent to backups."},
    {"twinwire_log_entries_sent_again_total", &log::LogCounters::sent_again,
     "Of those, the ones that this process had sent to that backup before."},
    {"twinwire_log_entries_read_back_total", &log::LogCounters::read_back,
     "Of those, the ones that had to be read from the file."},
    {"twinwire_log_duplicates_total", &log::LogCounters::duplicates,
     "Entries that came to this backup twice."},
    {"twinwire_log_gaps_total", &log::LogCounters::gaps,
     "Entries that came to this backup too early; the connection was dropped."},
});

constexpr std::array bus_families = std::to_array<Family<bus::BusCounters>>({
    {"twinwire_bus_queued_total", &bus::BusCounters::queued, "Messages taken for a peer."},
    {"twinwire_bus_backpressure_total", &bus::BusCounters::backpressure,
     "Messages refused, since their peer's queue was full."},
    {"twinwire_bus_sent_total", &bus::BusCounters::sent,
     "Messages that the network took, heartbeats aside."},
    {"twinwire_bus_lost_total", &bus::BusCounters::lost,
     "Messages that were queued, and lost with their connection."},
    {"twinwire_bus_received_total", &bus::BusCounters::received, "Messages given to the log."},
    {"twinwire_bus_connected_total", &bus::BusCounters::connected,
     "Connections, of replicas and of clients."},
    {"twinwire_bus_ended_total", &bus::BusCounters::ended, "Of those, the ones that ended."},
    {"twinwire_bus_duplicates_total", &bus::BusCounters::duplicates,
     "Replicas turned away, being connected already."},
    {"twinwire_bus_unexpected_total", &bus::BusCounters::unexpected,
     "Replicas that proved to be somebody who has no business on that side."},
    {"twinwire_bus_unauthenticated_total", &bus::BusCounters::unauthenticated,
     "Newcomers whose handshake failed or took too long."},
    {"twinwire_bus_evicted_total", &bus::BusCounters::evicted,
     "Handshakes that made room for newer ones."},
    {"twinwire_bus_refused_by_transport_total", &bus::BusCounters::refused_by_transport,
     "Newcomers that the transport turned away: TLS, an upgrade."},
    {"twinwire_bus_dials_total", &bus::BusCounters::dials, "Attempts to reach a replica."},
    {"twinwire_bus_dials_failed_total", &bus::BusCounters::dials_failed,
     "Of those, the ones that failed."},
    {"twinwire_bus_accept_errors_total", &bus::BusCounters::accept_errors,
     "Accepts that failed: descriptors or memory were out."},
    {"twinwire_bus_silent_total", &bus::BusCounters::silent,
     "Replicas dropped for having said nothing."},
    {"twinwire_bus_heartbeats_total", &bus::BusCounters::heartbeats, "Heartbeats sent."},
});

template <class Families, class Counters>
void write_all(PrometheusText& text, const Families& families, const Counters& counters) {
  for (const auto& family : families) {
    text.family(family.name, Type::counter, family.help);
    text.sample("", counters.*family.value);
  }
}

void gauge(PrometheusText& text, std::string_view name, std::string_view help,
           std::uint64_t value) {
  text.family(name, Type::gauge, help);
  text.sample("", value);
}

void write_backups(PrometheusText& text, const log::Replica& replica) {
  text.family("twinwire_log_backup_connected", Type::gauge,
              "Of the primary: 1 where that backup is connected.");
  replica.for_each_backup([&](bus::ReplicaId id, bool connected, log::Op) {
    text.sample(label("replica", std::to_string(id)), connected ? 1 : 0);
  });
  text.family("twinwire_log_backup_synced_entries", Type::gauge,
              "Of the primary: the last entry that a backup is known to have on its disk.");
  replica.for_each_backup([&](bus::ReplicaId id, bool, log::Op synced) {
    text.sample(label("replica", std::to_string(id)), synced);
  });
}

void write_handshakes(PrometheusText& text, const bus::HandshakeCounters& handshakes) {
  text.family("twinwire_bus_handshakes_verified_total", Type::counter,
              "Handshakes of replicas that both sides verified.");
  text.sample("", handshakes.verified);
  text.family("twinwire_bus_handshakes_refused_total", Type::counter,
              "Handshakes of replicas that were refused, by reason.");
  for (std::size_t i = 1; i < bus::rejection_count; ++i) {
    const auto reason = static_cast<bus::Rejection>(i);
    text.sample(label("reason", bus::name(reason)), handshakes[reason]);
  }
}

}  // namespace

std::string bus_metrics(real::Ring& ring, std::string_view replica_transport,
                        const log::Replica& replica, const bus::Bus& bus,
                        const bus::HandshakeCounters& handshakes) {
  PrometheusText text;
  text.family("twinwire_info", Type::gauge, "Always 1; its labels tell how this replica runs.");
  text.sample(label("role", replica.is_primary() ? "primary" : "backup") + "," +
                  label("replica_transport", replica_transport) + "," +
                  label("ring_mode", real::name(ring.mode())),
              1);
  gauge(text, "twinwire_log_last_entry", "The last entry of the log.", replica.last());
  gauge(text, "twinwire_log_synced_entries", "Entries that are on this replica's disk.",
        replica.synced());
  gauge(text, "twinwire_log_committed_entries", "Entries known to be on a majority's.",
        replica.committed());
  gauge(text, "twinwire_log_applied_entries", "Entries that were applied here.", replica.applied());
  gauge(text, "twinwire_log_sessions", "Clients that are remembered.", replica.sessions());
  text.family("twinwire_log_sessions_forgotten_total", Type::counter,
              "Clients forgotten, to make room for newer ones.");
  text.sample("", replica.sessions_evicted());
  if (replica.is_primary()) write_backups(text, replica);
  write_all(text, log_families, replica.counters());

  gauge(text, "twinwire_bus_clients", "Clients connected.", bus.clients());
  gauge(text, "twinwire_bus_replicas", "Replicas connected.", bus.replicas());
  write_all(text, bus_families, bus.counters());
  write_handshakes(text, handshakes);

  const real::RingSample sample = real::sample(ring, 0);
  real::write_metrics(text, {&sample, 1});
  return text.text();
}

}  // namespace twinwire::cli
