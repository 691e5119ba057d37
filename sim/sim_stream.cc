// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_stream.h"

#include <cerrno>

#include "sim/lie.h"
#include "transport/base/sometimes.h"

namespace twinwire::sim {
namespace {

constexpr std::size_t pieces_max = 1024;  // IOV_MAX

std::string shortened(std::string_view what, std::uint64_t taken, std::size_t of,
                      std::uint64_t offset) {
  return std::string(what) + ": " + std::to_string(taken) + " of " + std::to_string(of) +
         " bytes at offset " + std::to_string(offset);
}

// Where a write that took `n` bytes of the pieces was cut.
void note_cut(World& world, std::span<const iovec> pieces, std::size_t total, std::size_t n) {
  if (pieces.size() < 2) return;
  if (n > total - pieces.back().iov_len) return world.reached(Sometimes::write_cut_in_last_piece);
  for (const iovec& piece : pieces) {
    if (n == 0) return world.reached(Sometimes::write_cut_between_pieces);
    if (n < piece.iov_len) return;
    n -= piece.iov_len;
  }
}

// Bytes wait for a side that has ended, or is dead.
void note_late_read(World& world, const End& end) {
  if (end.dead && end.os_errno == ECONNRESET) world.reached(Sometimes::bytes_read_after_reset);
  if (end.shut && !end.dead) world.reached(Sometimes::read_after_own_end);
}

}  // namespace

SimStream::SimStream(Connection& connection, unsigned side) noexcept
    : connection_(&connection),
      side_(side),
      local_(connection.end(side).shown()),
      peer_(connection.end(1 - side).shown()) {
  connection.end(side).stream = this;
  ++connection.world().sockets;
}

SimStream::~SimStream() {
  if (connection_ == nullptr) return;
  const End& end = connection_->end(side_);
  TWINWIRE_CHECK(end.reader == nullptr && end.writer == nullptr,
                 "a stream was destroyed while an operation was in progress");
  --connection_->world().sockets;
  connection_->detach(side_);
}

// As Linux: what killed the connection is told once, then a write says EPIPE.
Error SimStream::failure(bool writing) noexcept {
  End& end = connection_->end(side_);
  if (end.aborted) return {Errc::broken, 0};
  const bool told = std::exchange(end.error_told, true);
  return {Errc::broken, writing && told && !LIE(error_told_twice) ? EPIPE : end.os_errno};
}

Result<std::size_t> SimStream::write(std::span<const iovec> pieces, Deadline deadline) {
  std::size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  TWINWIRE_CHECK(total > 0 && pieces.size() <= pieces_max,
                 "a write has at least one byte and at most 1,024 pieces");
  if (connection_ == nullptr) [[unlikely]]
    return Errc::canceled;
  World& world = connection_->world();
  Scheduler& scheduler = world.scheduler();
  if (const auto refused = scheduler.refuses(deadline, world.now())) return *refused;
  End& end = connection_->end(side_);
  Link& link = connection_->link(side_);
  TWINWIRE_CHECK(end.writer == nullptr, "another write is in progress");
  std::size_t room = 0;
  for (;;) {
    if (end.dead || end.aborted) return failure(true);
    if (end.shut && LIE(write_after_shutdown_taken)) return total;
    if (end.shut) return Error{Errc::broken, EPIPE};
    if (LIE(write_fails_after_peers_end) && connection_->link(1 - side_).ended())
      return Error{Errc::broken, EPIPE};
    room = link.room();
    if (LIE(buffers_without_bound)) room = total;
    if (room > 0) break;
    end.writer = &scheduler.current();
    link.set_writer_waiting(true);
    world.reached(Sometimes::writer_waited_for_room);
    const Wake wake = scheduler.park(deadline, "room in a send buffer");
    if (connection_ == nullptr) return Errc::canceled;
    end.writer = nullptr;
    link.set_writer_waiting(false);
    if (wake == Wake::ready) continue;
    if (!end.dead && link.room() == 0) return to_errc(wake);
    if (!end.dead) world.reached(Sometimes::success_raced_stop);
  }
  std::size_t n = std::min(total, room);
  if (n > 1) {
    const std::uint64_t choice =
        world.choose(Site::short_write, link.place(), link.entity(), link.written(), n - 1);
    if (choice != 0) [[unlikely]] {
      world.decisions().bit(Site::short_write);
      if (world.tracing())
        world.tell(link.who(), shortened("short write", choice, n, link.written()));
      n = static_cast<std::size_t>(choice);
    }
  }
  if (n == room && n < total && world.tracing())
    world.tell(link.who(), shortened("takes", n, total, link.written()) + ": its buffer is full");
  const std::size_t taken = link.send(pieces, n);
  if (taken < total) [[unlikely]] {
    note_cut(world, pieces, total, taken);
    if (taken < n) world.reached(Sometimes::memory_short_inside_write);
  }
  if (taken == 0) return Error{Errc::no_resources, ENOBUFS};
  return taken;
}

Result<bool> SimStream::wait_readable(Deadline deadline) {
  if (connection_ == nullptr) [[unlikely]]
    return Errc::canceled;
  World& world = connection_->world();
  Scheduler& scheduler = world.scheduler();
  if (const auto refused = scheduler.refuses(deadline, world.now())) return *refused;
  End& end = connection_->end(side_);
  Link& link = connection_->link(1 - side_);
  TWINWIRE_CHECK(end.reader == nullptr, "another read is in progress");
  for (;;) {
    if (LIE(half_close_ends_both) && end.shut) return false;
    if (link.readable() > 0) {
      if (end.dead || end.shut) [[unlikely]]
        note_late_read(world, end);
      return true;
    }
    if (end.aborted) return failure(false);
    // A failure that was told stands, also where the peer's end had arrived before it.
    const bool failed =
        end.dead && end.error_told && end.os_errno != EPIPE && !LIE(error_forgotten);
    if (link.ended() && !failed) {
      end.end_read = true;
      return false;
    }
    if (end.dead) return failure(false);
    end.reader = &scheduler.current();
    const Wake wake = scheduler.park(deadline, "bytes to read");
    if (connection_ == nullptr) return Errc::canceled;
    end.reader = nullptr;
    if (wake == Wake::ready) continue;
    if (link.readable() == 0 && !link.ended() && !end.dead) return to_errc(wake);
    if (link.readable() > 0) world.reached(Sometimes::success_raced_stop);
  }
}

std::size_t SimStream::shorten_read(std::size_t available) {
  World& world = connection_->world();
  if (available < 2 || world.is_silent(Site::short_read)) [[likely]]
    return available;
  return drawn_read(world, available);
}

std::size_t SimStream::drawn_read(World& world, std::size_t available) {
  const Link& link = connection_->link(1 - side_);
  const std::uint64_t choice =
      world.choose(Site::short_read, link.place(), link.entity(), link.consumed(), available - 1);
  if (choice == 0 || LIE(short_read_does_nothing)) [[likely]]
    return available;
  world.decisions().bit(Site::short_read);
  if (world.tracing())
    world.tell(link.who(), shortened("short read", choice, available, link.consumed()));
  return static_cast<std::size_t>(choice);
}

Result<Slice> SimStream::read(Deadline deadline) {
  const auto readable = wait_readable(deadline);
  if (!readable) return readable.error();
  if (!*readable) return Slice();
  Link& link = connection_->link(1 - side_);
  return link.lend(shorten_read(link.prepare_read()));
}

Result<std::size_t> SimStream::read_into(std::span<std::byte> into, Deadline deadline) {
  TWINWIRE_CHECK(!into.empty(), "a read needs room for at least one byte");
  const auto readable = wait_readable(deadline);
  if (!readable) return readable.error();
  if (!*readable) return std::size_t{0};
  Link& link = connection_->link(1 - side_);
  const std::size_t n = shorten_read(std::min(into.size(), link.readable()));
  link.copy_out(into.data(), n);
  return n;
}

Result<void> SimStream::shutdown_write(Deadline) {
  if (connection_ == nullptr) return Errc::canceled;
  End& end = connection_->end(side_);
  if (end.aborted) return failure(true);
  if (end.shut) return {};
  end.shut = true;
  // shutdown(2) does not tell what killed the connection: that is left for a read or a write.
  if (end.dead)
    return LIE(shutdown_tells_the_error) ? failure(true) : Error{Errc::broken, ENOTCONN};
  end.ended_first = !connection_->link(1 - side_).ended();
  connection_->wake_writer(side_);
  connection_->link(side_).send_fin();
  return {};
}

void SimStream::abort() noexcept {
  if (connection_ != nullptr) connection_->abort(side_);
}

}  // namespace twinwire::sim
