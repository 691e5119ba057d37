// SPDX-License-Identifier: Apache-2.0
// RefusalLog: one line on standard error for each newcomer that a listener turned away; of a flood of them, the first
// of each second, and how many more there were.
//
//   twinwire: connection from 10.0.0.9:4711 refused: certificate expired
//   twinwire: ... and 9,995 more refused: 9,990 handshake timed out; 5 not a TLS record
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "transport/fiber/scope.h"
#include "transport/net/address.h"

namespace twinwire::cli {

class RefusalLog : public std::enable_shared_from_this<RefusalLog> {
 public:
  static constexpr int lines_a_second = 10;

  // Made by std::make_shared: the lines about a flood are written by a fiber of `background`, which holds it.
  explicit RefusalLog(Scope& background) noexcept : background_(&background) {}
  RefusalLog(const RefusalLog&) = delete;
  RefusalLog& operator=(const RefusalLog&) = delete;

  // For AcceptOptions::on_refused.
  void note(const Address& peer, std::string_view why);
  // The same of somebody who is told of in other words.
  void note(const std::string& who, std::string_view why);
  // Writes what is still to be said.
  void flush();

  std::uint64_t total() const noexcept { return total_; }

 private:
  void tell(const std::string& begin, std::string_view why);

  Scope* background_;
  TimePoint window_end_{INT64_MIN};
  int lines_ = 0;                                           // in this window
  std::map<std::string, std::uint64_t, std::less<>> more_;  // not printed, by cause
  std::uint64_t total_ = 0;
};

}  // namespace twinwire::cli
