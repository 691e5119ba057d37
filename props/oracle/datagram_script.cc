// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/datagram_script.h"

#include <string_view>

namespace twinwire::oracle {
namespace {

constexpr std::string_view datagram_op_names[datagram_op_count] = {
    "bind",          "send",  "send_late", "receive", "begin_receive",
    "await_receive", "close", "hop",       "settle"};

std::string target(const DatagramStep& step) {
  std::string text = std::string(name(step.place)) + " ";
  if (step.to == to_nobodys_port) return text + "unused port";
  if (step.to == to_port_zero) return text + "port 0";
  return text + "port of s" + std::to_string(step.to);
}

}  // namespace

std::string to_text(const DatagramStep& step) {
  const std::string_view op = datagram_op_names[static_cast<std::size_t>(step.op)];
  if (step.op == DatagramOp::hop || step.op == DatagramOp::settle) return std::string(op);
  std::string text = "s" + std::to_string(step.socket) + " " + std::string(op);
  switch (step.op) {
    case DatagramOp::bind:
      text += " " + std::string(name(step.place)) +
              (step.port == 0 ? " any port" : " port " + std::to_string(step.port));
      break;
    case DatagramOp::send:
    case DatagramOp::send_late:
      text += " " + std::to_string(step.count) + "x" + std::to_string(step.size);
      if (step.last_size != 0) text += " and " + std::to_string(step.last_size);
      if (step.segment_size != 0) text += "/" + std::to_string(step.segment_size);
      text += " to " + target(step);
      if (step.ecn != Ecn::not_ect) text += ", ECN " + std::to_string(static_cast<int>(step.ecn));
      if (step.source != Place::any6) text += ", from " + std::string(name(step.source));
      break;
    case DatagramOp::receive:
    case DatagramOp::begin_receive: text += " " + std::to_string(step.count); break;
    default: break;
  }
  return text;
}

std::string to_text(const DatagramScript& script) {
  std::string text = "seed " + std::to_string(script.seed) + ", datagrams, " +
                     (script.one_host ? "one host" : "two hosts");
  for (std::size_t i = 0; i < datagram_sockets; ++i)
    if (script.receive_buffer[i] != 0)
      text +=
          ", s" + std::to_string(i) + " receives into " + std::to_string(script.receive_buffer[i]);
  text += "\n";
  for (const DatagramStep& step : script.steps) text += "  " + to_text(step) + "\n";
  return text;
}

DatagramScript without_pauses(const DatagramScript& script) {
  DatagramScript result = script;
  std::erase_if(result.steps, [](const DatagramStep& step) {
    return step.op == DatagramOp::hop || step.op == DatagramOp::settle;
  });
  return result;
}

DatagramScript settled(const DatagramScript& script) {
  DatagramScript result = script;
  result.steps.clear();
  for (const DatagramStep& step : without_pauses(script).steps) {
    result.steps.push_back(step);
    result.steps.push_back({.op = DatagramOp::settle});
  }
  return result;
}

}  // namespace twinwire::oracle
