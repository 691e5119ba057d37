// SPDX-License-Identifier: Apache-2.0
// DurableLog: what a law knows of a log on a disk: what was acknowledged, and so must be there, whatever happens to the
// node; once, and in the order in which each client sent it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "props/laws/judge.h"
#include "sim/disk.h"

namespace twinwire::laws {

class DurableLog {
 public:
  DurableLog(Judge& judge, const sim::Disk& disk, std::size_t clients)
      : judge_(&judge), disk_(&disk), acknowledged_(clients) {}

  // A record of the log, and what it says: a client, and the number of its message from 0.
  static std::string record(std::size_t client, std::uint64_t number);
  static std::pair<std::size_t, std::uint64_t> parse(const std::string& record);

  // A client was told that so many of its messages are safe.
  void acknowledged(std::size_t client, std::uint64_t count);
  // The server starts: what it finds.
  void check_recovered() { check("after a restart"); }
  // Everybody has ended.
  void check_complete(std::uint64_t messages);

 private:
  // How many messages of each client the disk holds.
  std::vector<std::uint64_t> check(const std::string& when);

  Judge* judge_;
  const sim::Disk* disk_;
  std::vector<std::uint64_t> acknowledged_;
};

}  // namespace twinwire::laws
