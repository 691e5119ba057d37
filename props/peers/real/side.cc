// SPDX-License-Identifier: Apache-2.0
#include "props/peers/real/side.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

namespace twinwire::peers {
namespace {

// The frame at the front of `bytes`; empty where it is not whole.
std::span<const std::byte> first_frame(std::span<const std::byte> bytes, std::size_t size_max) {
  if (bytes.size() < header_size) return {};
  const HeaderView header(bytes.data());
  if (header.size() < header_size || header.size() > size_max ||
      header.command_byte() > static_cast<std::uint8_t>(Command::start_view))
    fail("no frame");
  if (bytes.size() < header.size()) return {};
  return bytes.first(header.size());
}

std::size_t message_max(const RealWork& work) { return std::max(work.size, real_answer_size); }

}  // namespace

// --- The server ----------------------------------------------------------------------------------------------------

Taken ServingSide::take(std::size_t c, std::span<const std::byte> bytes) {
  End& end = ends_[c];
  std::size_t used = 0;
  std::size_t data = 0;
  const std::size_t size_max = message_max(work_);
  bool asked = false;
  for (;;) {
    const auto frame = first_frame(bytes.subspan(used), size_max);
    if (frame.empty()) break;
    used += frame.size();
    if (HeaderView(frame.data()).command() == data_command) [[likely]] {
      if (work_.kind == RealKind::singles)
        add_unordered(end.totals, frame);
      else
        end.totals.add(frame.data(), frame.size());
      data += frame.size();
    } else {
      asked = true;  // nothing follows a question before its answer
    }
  }
  std::size_t count = 0;
  if (work_.echoes() && data > 0)
    end.pieces[count++] = {const_cast<std::byte*>(bytes.data()), data};
  if (asked) {
    answer();
    end.pieces[count++] = {answer_.data(), answer_.size()};
  }
  return {used, Pieces(end.pieces).first(count)};
}

void ServingSide::answer() {
  RealTotals totals;
  for (End& end : ends_) {
    totals.add_connection(end.totals);
    end.totals = {};
  }
  const std::uint64_t processor = processor_ns();
  const std::uint64_t calls = system_calls();
  totals.processor_ns = processor - processor_;
  totals.calls = calls - calls_;
  processor_ = processor;
  calls_ = calls;
  write_real_answer(answer_, totals);
}

// --- The client ----------------------------------------------------------------------------------------------------

LoadingSide::LoadingSide(const RealWork& work) : work_(work), ends_(work.connections) {
  const std::size_t count = work.echoes() ? work.depth : work.batch;
  memory_.resize(work.size * count);
  messages_.reserve(2 * count);
  last_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::span message(memory_.data() + i * work.size, work.size);
    write_message(message, data_command, i);
    messages_.push_back({message.data(), message.size()});
    last_.push_back(twinwire::load<std::uint64_t>(message.data() + message.size() - 8));
  }
  for (std::size_t i = 0; i < count; ++i) messages_.push_back(messages_[i]);
  write_message(question_, ask_command, 0);
  question_piece_ = {question_.data(), question_.size()};
}

void LoadingSide::begin(std::uint64_t time) {
  for (End& end : ends_) end = {};
  drained_ = 0;
  asking_ = answered_ = false;
  round_trips_.clear();
  meter_.begin(system_calls());
  until_ = meter_.began() + time;
}

RealReport LoadingSide::end() {
  RealTotals sent;
  for (const End& end : ends_) {
    sent.add_connection(end.sent);
    if (work_.echoes() && !end.received.same_messages(end.sent)) throw Miscounted();
  }
  RealReport report = meter_.end(sent, counted_, system_calls());
  report.p50_ns = round_trips_.percentile(50);
  report.p99_ns = round_trips_.percentile(99);
  return report;
}

// The next `count` of the prepared messages.
Pieces LoadingSide::more(End& end, std::size_t count) {
  const Pieces pieces = Pieces(messages_).subspan(end.next, count);
  const std::size_t all = last_.size();
  for (std::size_t i = 0; i < count; ++i) {
    ++end.sent.messages;
    end.sent.bytes += work_.size;
    const std::uint64_t value = last_[end.next] + work_.size;
    end.sent.sum = work_.kind == RealKind::singles ? end.sent.sum + value
                                                   : end.sent.sum * 0x9e3779b97f4a7c15ULL + value;
    if (++end.next == all) end.next = 0;
  }
  end.outstanding += count;
  return pieces;
}

Pieces LoadingSide::start(std::size_t c) {
  if (asking_) return c == 0 ? Pieces(&question_piece_, 1) : Pieces();
  if (work_.kind == RealKind::ping_pong) asked_at_ = wall_ns();
  return more(ends_[c], last_.size());
}

Pieces LoadingSide::sent(std::size_t c) {
  if (asking_ || work_.echoes() || drained_ > 0) return {};
  if (wall_ns() < until_) return more(ends_[c], last_.size());
  ++drained_;
  return {};
}

Taken LoadingSide::take(std::size_t c, std::span<const std::byte> bytes) {
  End& end = ends_[c];
  std::size_t used = 0;
  std::size_t echoes = 0;
  const std::size_t size_max = message_max(work_);
  for (;;) {
    const auto frame = first_frame(bytes.subspan(used), size_max);
    if (frame.empty()) break;
    used += frame.size();
    if (HeaderView(frame.data()).command() == data_command) [[likely]] {
      end.received.add(frame.data(), frame.size());
      ++echoes;
    } else {
      counted_ = read_real_answer(frame);
      answered_ = true;
    }
  }
  if (echoes == 0) return {used, {}};
  end.outstanding -= echoes;
  const std::uint64_t now = wall_ns();
  if (work_.kind == RealKind::ping_pong) {
    round_trips_.add(now - asked_at_);
    asked_at_ = now;
  }
  if (now < until_) return {used, more(end, echoes)};
  if (end.outstanding == 0) ++drained_;
  return {used, {}};
}

// --- Bytes and sockets ---------------------------------------------------------------------------------------------

Inbox::Inbox(std::size_t message_max, std::size_t room)
    : message_max_(std::max(message_max, real_answer_size)),
      memory_(std::max(room, 2 * message_max_) + 4096),
      bytes_(memory_.data() + (4096 - reinterpret_cast<std::uintptr_t>(memory_.data()) % 4096)),
      capacity_(memory_.size() - 4096) {}

std::span<std::byte> Inbox::space() {
  // The beginning of a frame moves to the front only where the rest would not fit behind it.
  if (capacity_ - end_ < message_max_) {
    std::memmove(bytes_, bytes_ + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  return {bytes_ + end_, capacity_ - end_};
}

void Inbox::append(std::span<const std::byte> bytes) {
  if (capacity_ - end_ < bytes.size()) {
    std::memmove(bytes_, bytes_ + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (capacity_ - end_ < bytes.size()) fail("a read larger than its buffer");
  std::memcpy(bytes_ + end_, bytes.data(), bytes.size());
  end_ += bytes.size();
}

namespace {

void same_for_all(const Socket& socket) {
  if (socket.fd() < 0) fail_errno("socket");
  const int on = 1;
  // What `bench` chooses for our side, too: a paced one (bbr) would measure its pace.
  if (::setsockopt(socket.fd(), IPPROTO_TCP, TCP_CONGESTION, "reno", 4) != 0)
    fail_errno("congestion control reno");
  (void)::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

std::vector<Socket> real_connections(const RealCall& call) {
  std::vector<Socket> sockets;
  sockets.reserve(call.work.connections);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(call.port);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (!call.serves) {
    for (std::size_t i = 0; i < call.work.connections; ++i) {
      sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      same_for_all(sockets.back());
      if (::connect(sockets.back().fd(), any, size) != 0) fail_errno("connect");
    }
    return sockets;
  }
  const Socket listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  same_for_all(listener);  // inherited by what is accepted
  if (::bind(listener.fd(), any, size) != 0 || ::listen(listener.fd(), 1024) != 0)
    fail_errno("listen");
  (void)::getsockname(listener.fd(), any, &size);
  print_port(ntohs(address.sin_port));
  for (std::size_t i = 0; i < call.work.connections; ++i) {
    sockets.emplace_back(::accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (sockets.back().fd() < 0) fail_errno("accept");
  }
  return sockets;
}

void print_real_report(const RealReport& report) {
  std::printf(real_report_format, report.messages, report.wall_ns, report.processor_ns,
              report.calls, report.p50_ns, report.p99_ns);
}

}  // namespace twinwire::peers
