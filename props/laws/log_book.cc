// SPDX-License-Identifier: Apache-2.0
#include "props/laws/log_book.h"

#include <algorithm>

#include "transport/base/mix.h"
#include "transport/wire/seal.h"

namespace twinwire::laws {
namespace {

std::uint64_t digest_of(std::span<const std::byte> body) noexcept {
  std::uint64_t sum = body.size();
  for (const std::byte b : body) sum = mix(sum, std::to_integer<std::uint64_t>(b));
  return sum;
}

constexpr std::size_t mark_size = 16;

}  // namespace

void LogTally::add(log::Op op, std::span<const std::byte> body) noexcept {
  sum_ = mix(mix(sum_, op), digest_of(body));
}

LogBook::LogBook(Judge& judge, std::vector<const sim::Disk*> disks) : judge_(&judge) {
  for (const sim::Disk* disk : disks) disks_.push_back({disk, 1, {}});  // behind the file's head
}

void LogBook::label(std::span<std::byte> body, std::uint64_t client,
                    std::uint64_t number) noexcept {
  store(body.data(), client);
  store(body.data() + 8, number);
}

// --- What stands on the disks --------------------------------------------------------------------------------------

void LogBook::look() {
  for (std::size_t replica = 0; replica < disks_.size(); ++replica) {
    const Disk& disk = disks_[replica];
    judge_->check(disk.lines.empty() || disk.disk->synced() >= disk.read, "log_durable",
                  [&] { return "of what " + name(replica) + " had synced something is gone"; });
    while (read_line(replica)) {}
  }
  std::size_t copies = 0;
  for (const Disk& disk : disks_) copies += disk.lines.size() >= promised_ ? 1 : 0;
  judge_->check(copies > disks_.size() / 2, "log_durable", [&] {
    return "clients were told that the log goes up to " + std::to_string(promised_) + ", and " +
           std::to_string(copies) + " of " + std::to_string(disks_.size()) + " replicas have that";
  });
}

// A record of the log is a mark, pieces of a frame, and perhaps zeros; each begins a record of the disk.
bool LogBook::read_line(std::size_t replica) {
  Disk& disk = disks_[replica];
  const auto records = disk.disk->records().first(disk.disk->synced());
  std::size_t at = disk.read;
  if (at + 2 > records.size() || records[at].size() != mark_size) return false;
  std::string frame = records[++at];
  if (frame.size() < header_size) return false;
  const auto bytes = [&] { return std::as_bytes(std::span(frame)); };
  const std::size_t size = HeaderView(bytes().data()).size();
  while (frame.size() < size && ++at < records.size()) frame += records[at];
  if (frame.size() != size || !seal_matches(bytes())) return false;
  ++at;
  if ((mark_size + size) % mark_size != 0 && at++ >= records.size()) return false;
  const log::Fields fields(bytes().data());
  const std::span<const std::byte> body = bytes().subspan(header_size);
  const Line line{fields.checksum(), digest_of(body), fields.session_of_entry(), fields.request(),
                  fields.is_register()};
  const log::Op op = disk.lines.size() + 1;
  const std::uint64_t parent = op == 1 ? 0 : disk.lines.back().checksum;
  judge_->check(fields.op() == op && fields.parent() == parent, "log_prefix", [&] {
    return "in the log of " + name(replica) + " entry " + std::to_string(fields.op()) +
           " stands where " + std::to_string(op) + " is due";
  });
  if (replica == 0) {
    check_primary(line, bytes());
  } else {
    const auto& truth = disks_[0].lines;
    judge_->check(truth.size() >= op && truth[op - 1].checksum == line.checksum, "log_prefix", [&] {
      return name(replica) + " has an entry " + std::to_string(op) +
             (truth.size() < op ? " that the primary has not" : " that differs from the primary's");
    });
  }
  disk.lines.push_back(line);
  disk.read = at;
  return true;
}

void LogBook::check_primary(const Line& line, std::span<const std::byte> frame) {
  const log::Op op = disks_[0].lines.size() + 1;
  const auto in_turn = [&](std::map<std::uint64_t, std::uint64_t>& last, std::uint64_t who,
                           std::uint64_t number, bool may_skip, std::string_view whose) {
    const auto what = [&] {
      return "entry " + std::to_string(op) + " is request " + std::to_string(number) + " of " +
             std::string(whose) + " " + std::to_string(who) + ", whose last was " +
             std::to_string(last[who]);
    };
    judge_->check(number > last[who] && (may_skip || number == last[who] + 1), "log_once", what);
    last[who] = std::max(last[who], number);
  };
  if (!line.is_register) {
    const std::byte* const body = frame.data() + header_size;
    // By its label first: a session that was made up would hide it.
    in_turn(by_client_, load<std::uint64_t>(body), load<std::uint64_t>(body + 8), true, "client");
    in_turn(requests_, line.session, line.request, false, "session");
    tally_.add(op, frame.subspan(header_size));
  }
  sums_.push_back(tally_.sum());
}

std::size_t LogBook::copies(log::Op op, std::uint64_t digest) const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(disks_, [&](const Disk& disk) {
    return disk.lines.size() >= op && disk.lines[op - 1].digest == digest;
  }));
}

// --- What clients and applications are told ------------------------------------------------------------------------

void LogBook::answered(const std::string& client, std::span<const std::byte> body, log::Op op,
                       std::span<const std::byte> answer) {
  look();
  ++answers_;
  const std::size_t there = copies(op, digest_of(body));
  judge_->check(op > 0 && there > disks_.size() / 2, "log_majority", [&] {
    return client + " was told that its request is entry " + std::to_string(op) + ", which " +
           std::to_string(there) + " of " + std::to_string(disks_.size()) + " replicas have synced";
  });
  promised_ = std::max(promised_, op);
  const std::uint64_t sum = answer.size() == 8 ? load<std::uint64_t>(answer.data()) : 0;
  judge_->check(op < sums_.size() && sum == sums_[op], "log_answer",
                [&] { return client + " got an answer that is not that to its request"; });
}

void LogBook::applied(Applier& applier, log::Op op, std::span<const std::byte> body) {
  look();
  const auto& truth = disks_[0].lines;
  log::Op due = applier.last + 1;
  while (due <= truth.size() && truth[due - 1].is_register) ++due;
  const auto what = [&] { return name(applier.replica) + " applies entry " + std::to_string(op); };
  judge_->check(op == due, "log_applied",
                [&] { return what() + " where " + std::to_string(due) + " is due"; });
  const std::size_t there = copies(op, digest_of(body));
  judge_->check(there > disks_.size() / 2, "log_applied", [&] {
    return what() + ", which " + std::to_string(there) + " of " + std::to_string(disks_.size()) +
           " replicas have synced";
  });
  applier.last = std::max(applier.last, op);
}

}  // namespace twinwire::laws
