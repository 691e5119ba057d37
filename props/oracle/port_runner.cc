// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/port_ground.h"

namespace twinwire::oracle {
namespace {

class PortRunner {
 public:
  explicit PortRunner(PortGround& ground) : ground_(ground) {}

  PortOutcomes run(const PortScript& script) {
    PortOutcomes outcomes;
    for (const PortStep& each : script.steps) {
      outcomes.push_back(step(each));
      if (outcomes.back().kind != Kind::absent) ground_.settle();
    }
    listeners_ = {};
    streams_ = {};
    ground_.settle();
    return outcomes;
  }

 private:
  using Stream = std::unique_ptr<PortStream>;

  static PortOutcome failed(const Error& error) {
    if (error == Errc::timed_out && error.os_errno == 0) return {.kind = Kind::blocked};
    return {.kind = Kind::error, .error = error};
  }

  PortOutcome step(const PortStep& step) {
    switch (step.op) {
      case PortOp::listen: return listen(step);
      case PortOp::dial: return dial(step);
      case PortOp::accept: return accept(step);
      case PortOp::close_listener:
        if (listeners_[step.which] == nullptr) return {};
        listeners_[step.which].reset();
        return {.kind = Kind::ok};
      default: break;
    }
    Stream& stream = streams_[step.which][step.side];
    if (stream == nullptr) return {};
    if (step.op == PortOp::drop) {
      stream.reset();
      return {.kind = Kind::ok};
    }
    if (step.op == PortOp::end) {
      if (const auto ended = stream->end(); !ended) return failed(ended.error());
      ground_.settle();
    }
    return stream->read();
  }

  Address address(Place place, std::uint8_t port) const {
    const auto number = static_cast<std::uint16_t>(port == 0 ? 0 : ground_.ports_from() + port);
    return ground_.places().at(place, number);
  }

  // By name; a port that the network chose is "free".
  std::string told(const Address& address) const {
    const auto place = ground_.places().of(address);
    const int port = address.port - ground_.ports_from();
    return (place ? std::string(name(*place)) : "?") + ":" +
           (port >= 1 && port <= unheard_port ? std::to_string(port)
            : address.port != 0               ? "free"
                                              : "0");
  }

  PortOutcome listen(const PortStep& step) {
    auto& listener = listeners_[step.which];
    if (listener != nullptr) return {};
    auto made = ground_.listen(address(step.place, step.port));
    if (!made) return failed(made.error());
    listener = std::move(*made);
    PortOutcome outcome{.kind = Kind::ok};
    // Where "any" is bound the World tells the node's address.
    if (!is_any(step.place)) outcome.where = told(listener->local());
    return outcome;
  }

  PortOutcome dial(const PortStep& step) {
    // The number is used once, so that who is accepted is known by it.
    if (dialed_[step.which].port != 0) return {};
    const Address from = step.from ? address(*step.from, step.from_port) : Address{};
    auto made = ground_.dial(address(step.place, step.port), from);
    if (!made) return failed(made.error());
    dialed_[step.which] = (*made)->local();
    streams_[step.which][0] = std::move(*made);
    const PortStream& stream = *streams_[step.which][0];
    return {.kind = Kind::ok, .where = told(stream.local()) + " to " + told(stream.peer())};
  }

  PortOutcome accept(const PortStep& step) {
    if (listeners_[step.which] == nullptr) return {};
    auto made = listeners_[step.which]->accept();
    if (!made) return failed(made.error());
    const std::string where = told((*made)->local()) + " from " + told((*made)->peer());
    for (std::size_t i = 0; i < port_connections; ++i) {
      if (dialed_[i] != (*made)->peer() || streams_[i][1] != nullptr) continue;
      streams_[i][1] = std::move(*made);
      return {.kind = Kind::ok, .where = "b" + std::to_string(i) + " " + where};
    }
    return {.kind = Kind::ok, .where = "somebody " + where};
  }

  PortGround& ground_;
  std::array<std::unique_ptr<PortListener>, port_listeners> listeners_;
  std::array<std::array<Stream, 2>, port_connections> streams_;
  std::array<Address, port_connections> dialed_;
};

}  // namespace

PortOutcomes run_ports(const PortScript& script, PortGround& ground) {
  return PortRunner(ground).run(script);
}

}  // namespace twinwire::oracle
