// SPDX-License-Identifier: Apache-2.0
// What a script of ports runs on: listeners and streams of one host, made of system calls or of the seam.
#pragma once

#include <memory>

#include "props/oracle/port_script.h"
#include "transport/base/error.h"

namespace twinwire::oracle {

class PortStream {
 public:
  virtual ~PortStream() = default;  // before both ends: a reset
  virtual Address local() const = 0;
  virtual Address peer() const = 0;
  virtual Result<void> end() = 0;
  virtual PortOutcome read() = 0;  // the end, blocked, or an error
};

class PortListener {
 public:
  virtual ~PortListener() = default;
  virtual Address local() const = 0;
  virtual Result<std::unique_ptr<PortStream>> accept() = 0;  // timed_out: there is none
};

class PortGround {
 public:
  virtual ~PortGround() = default;
  virtual Places places() const = 0;
  virtual std::uint16_t ports_from() const = 0;
  virtual Result<std::unique_ptr<PortListener>> listen(const Address& address) = 0;
  virtual Result<std::unique_ptr<PortStream>> dial(const Address& to, const Address& from) = 0;
  virtual void settle() = 0;
};

PortOutcomes run_ports(const PortScript& script, PortGround& ground);

}  // namespace twinwire::oracle
