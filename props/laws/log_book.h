// SPDX-License-Identifier: Apache-2.0
// LogBook: what the laws know of a replicated log: what stands on the disks for good, read without the log's own code;
// what clients were told, and what each replica's application was given.
//
// Each request's body begins with who asks, and which of its requests this is: so one that is applied twice is seen
// whatever session it came by.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "props/laws/judge.h"
#include "sim/disk.h"
#include "transport/log/application.h"

namespace twinwire::laws {

// The state machine of the scenario, and what it answers: all that came so far, in a number.
class LogTally {
 public:
  void add(log::Op op, std::span<const std::byte> body) noexcept;
  std::uint64_t sum() const noexcept { return sum_; }

 private:
  std::uint64_t sum_ = 0;
};

class LogBook {
 public:
  // The disks in the order of the replicas' ids: the first is the primary's.
  LogBook(Judge& judge, std::vector<const sim::Disk*> disks);

  static constexpr std::size_t body_min = 16;
  static void label(std::span<std::byte> body, std::uint64_t client, std::uint64_t number) noexcept;

  // A client was told that the request stands at `op`, and was answered so. Laws: log_majority, log_answer.
  void answered(const std::string& client, std::span<const std::byte> body, log::Op op,
                std::span<const std::byte> answer);
  // Who applies from the beginning.
  struct Applier {
    std::size_t replica = 0;
    log::Op last = 0;
  };
  // Law: log_applied.
  void applied(Applier& applier, log::Op op, std::span<const std::byte> body);
  // Reads on. Laws: log_prefix, log_once, log_durable.
  void look();

  // Entries that stand on that disk for good.
  log::Op synced(std::size_t replica) const noexcept { return disks_[replica].lines.size(); }
  std::uint64_t answers() const noexcept { return answers_; }

 private:
  struct Line {
    std::uint64_t checksum = 0;
    std::uint64_t digest = 0;  // of the body
    log::Session session = 0;
    std::uint64_t request = 0;
    bool is_register = false;
  };
  struct Disk {
    const sim::Disk* disk = nullptr;
    std::size_t read = 0;  // its records that make up the lines
    std::vector<Line> lines;
  };
  bool read_line(std::size_t replica);
  void check_primary(const Line& line, std::span<const std::byte> frame);
  std::size_t copies(log::Op op, std::uint64_t digest) const noexcept;
  std::string name(std::size_t replica) const { return "r" + std::to_string(replica + 1); }

  Judge* judge_;
  std::vector<Disk> disks_;
  std::map<log::Session, std::uint64_t>
      requests_;  // in the primary's log: the last of each session
  std::map<std::uint64_t, std::uint64_t> by_client_;  // the same by the label
  std::vector<std::uint64_t> sums_{0};                // of the tally behind each of its lines
  LogTally tally_;
  log::Op promised_ = 0;  // up to where clients were told that it is
  std::uint64_t answers_ = 0;
};

}  // namespace twinwire::laws
