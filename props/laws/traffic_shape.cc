// SPDX-License-Identifier: Apache-2.0
#include "props/laws/traffic_shape.h"

#include <algorithm>
#include <string>

namespace twinwire::laws {
namespace {

// The numbers of one part of the plan, under its name.
class Shaper {
 public:
  Shaper(Env& env, std::string prefix) : env_(&env), prefix_(std::move(prefix)) {}

  Shaper part(const std::string& name) const { return {*env_, prefix_ + name + "."}; }

  std::int64_t number(std::string_view name, std::int64_t drawn, std::int64_t low,
                      std::int64_t high, std::int64_t plain) const {
    return std::clamp(env_->shape(prefix_ + std::string(name), drawn, plain), low, high);
  }
  template <class T>
  void size(std::string_view name, T& value) const {
    value = static_cast<T>(number(name, static_cast<std::int64_t>(value), 0, 1 << 24, 0));
  }
  void asked_for(std::string_view name, std::size_t& value) const {
    if (value != 0 && number(name, 1, 0, 1, 0) == 0) value = 0;
  }
  void flag(std::string_view name, bool& value, bool plain = false) const {
    value = number(name, value ? 1 : 0, 0, 1, plain ? 1 : 0) != 0;
  }
  void time(std::string_view name, Duration& value, Duration plain = Duration(0)) const {
    constexpr std::int64_t hour_us = 3'600'000'000;
    value = std::chrono::microseconds(
        number(std::string(name) + "_us", value.count() / 1000, 0, hour_us, plain.count() / 1000));
  }

 private:
  Env* env_;
  std::string prefix_;
};

// The first `messages` of it, none of them with a larger body than `body`.
void reshape(BatchPlan& batch, const Shaper& shaper) {
  const auto count = static_cast<std::int64_t>(batch.bodies.size());
  batch.bodies.resize(static_cast<std::size_t>(shaper.number("messages", count, 0, count, 0)));
  if (batch.bodies.empty()) return;
  std::uint32_t most = *std::max_element(batch.bodies.begin(), batch.bodies.end());
  shaper.size("body", most);
  for (std::uint32_t& body : batch.bodies) body = std::min(body, most);
  shaper.time("pause", batch.pause);
  shaper.time("patience", batch.patience);
}

void reshape(SidePlan& side, SideEnd plain, const Shaper& shaper) {
  for (std::size_t i = 0; i < side.batches.size(); ++i)
    reshape(side.batches[i], shaper.part("batch" + std::to_string(i + 1)));
  std::erase_if(side.batches, [](const BatchPlan& batch) { return batch.bodies.empty(); });
  side.end = static_cast<SideEnd>(shaper.number("end", static_cast<std::int64_t>(side.end), 0,
                                                static_cast<std::int64_t>(SideEnd::canceled),
                                                static_cast<std::int64_t>(plain)));
  if (side.end == SideEnd::canceled) shaper.time("cancel_after", side.cancel_after);
  shaper.time("grace", side.grace, SidePlan().grace);
  ReaderPlan& reader = side.reader;
  shaper.time("read.pause", reader.pause);
  shaper.size("read.stop_percent", reader.stop_percent);
  if (reader.stop_percent == 0) return;
  shaper.time("read.stop_after", reader.stop_after);
  shaper.flag("read.by_cancel", reader.by_cancel);
}

}  // namespace

void reshape(TrafficPlan& plan, Env& env) {
  const Shaper whole(env, "");
  for (std::size_t i = 0; i < plan.conns.size(); ++i) {
    ConnPlan& conn = plan.conns[i];
    const std::string name = "conn" + std::to_string(i);
    conn.left_out = whole.number(name, 1, 0, 1, 0) == 0;
    if (conn.left_out) continue;
    const Shaper shaper = whole.part(name);
    shaper.time("dial_after", conn.dial_after);
    // A smaller buffer is no simpler one.
    shaper.asked_for("own_send_buffer", conn.send_buffer);
    shaper.asked_for("own_receive_buffer", conn.receive_buffer);
    reshape(conn.client, SideEnd::close_after_peer, shaper.part("client"));
    reshape(conn.server, SideEnd::follow, shaper.part("server"));
  }
  whole.size("coalesce_below", plan.coalesce_below);
  whole.flag("accept_after_first_message", plan.accept_after_first_message);
}

}  // namespace twinwire::laws
