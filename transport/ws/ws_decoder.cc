// SPDX-License-Identifier: Apache-2.0
#include "transport/ws/ws_decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "transport/base/plant.h"
#include "transport/wire/seal.h"

namespace twinwire::ws {
namespace {

// Below this a body is gathered from lent slices: one more read call costs more than the copy.
constexpr std::size_t direct_read_min = 16 * 1024;

}  // namespace

WsDecoder::~WsDecoder() { release(); }

void WsDecoder::drop_partial() noexcept {
  if (partial_ != nullptr) Slice(std::exchange(partial_, nullptr), nullptr, 0).release();
  filled_ = size_ = 0;
}

void WsDecoder::skip_messages() noexcept {
  skipping_ = true;
  message_ = Message();
  drop_partial();
}

void WsDecoder::release() noexcept {
  skip_messages();
  input_.release();
}

void WsDecoder::feed(Slice bytes) noexcept {
  TWINWIRE_CHECK(input_.empty(), "feed() before next() consumed what it had");
  if (!bytes.empty()) input_ = std::move(bytes);
}

void WsDecoder::consume(std::size_t n) noexcept {
  input_.drop_front(n);
  if (input_.empty()) input_.release();  // the network gets its buffer back at once
}

void WsDecoder::take(std::byte* to, std::size_t n) noexcept {
  if (n == 0) return;
  const std::uint64_t offset = PLANT(mask_restarts_with_each_piece) ? 0 : done_;
  if (head_.masked)
    mask(to, input_.data(), n, head_.key, offset);
  else
    std::memcpy(to, input_.data(), n);
  done_ += n;
  consume(n);
}

WsDecoder::Got WsDecoder::next(Limit limit) noexcept {
  for (;;) {
    if (fault_ != close_none) return Got::violation;
    if (closed_) {
      input_.release();
      return Got::more;
    }
    Got got = Got::more;
    if (step_ == Step::head) {
      if (input_.empty()) return Got::more;
      got = parse_head_step();
      // A head alone may be enough to refuse it.
      if (got == Got::more && step_ == Step::payload) continue;
    } else if (is_control(head_.opcode)) {
      got = control_payload();
    } else {
      got = skipping_ ? skip_payload() : message_payload(limit);
    }
    if (got != Got::more) return got;
    // Nothing came out, and nothing is left to go on with: an empty payload needs no input.
    if (input_.empty() && (step_ == Step::head || done_ < head_.length)) return Got::more;
  }
}

WsDecoder::Got WsDecoder::parse_head_step() noexcept {
  while (!input_.empty()) {
    const std::size_t want = head_filled_ < 2 ? 2 : head_size(head_bytes_.data());
    if (head_filled_ >= 2 && head_filled_ == want) break;
    const std::size_t n = std::min(want - head_filled_, input_.size());
    std::memcpy(head_bytes_.data() + head_filled_, input_.data(), n);
    head_filled_ += n;
    consume(n);
  }
  if (head_filled_ < 2 || head_filled_ < head_size(head_bytes_.data())) return Got::more;
  head_ = parse_head(head_bytes_.data());
  head_filled_ = 0;
  done_ = 0;
  step_ = Step::payload;
  return check_head();
}

WsDecoder::Got WsDecoder::check_head() noexcept {
  if (head_.reserved != 0) return fail(close_protocol_error);
  if (head_.masked != (role_ == Role::server)) return fail(close_protocol_error);
  if (!head_.minimal || head_.length >> 63 != 0) return fail(close_protocol_error);
  if (is_control(head_.opcode)) {
    control_size_ = 0;
    const bool known = head_.opcode <= static_cast<std::uint8_t>(Opcode::pong);
    const bool sound = head_.fin && head_.length <= control_payload_max;
    return known && sound ? Got::more : fail(close_protocol_error);
  }
  switch (static_cast<Opcode>(head_.opcode)) {
    case Opcode::text: return fail(in_message_ ? close_protocol_error : close_unsupported_data);
    case Opcode::binary:
      if (in_message_) return fail(close_protocol_error);
      break;
    case Opcode::continuation:
      if (!in_message_ && !PLANT(continuation_without_a_start)) return fail(close_protocol_error);
      break;
    default: return fail(close_protocol_error);
  }
  in_message_ = true;
  return Got::more;
}

std::uint16_t WsDecoder::header_fault(const std::byte* header) const noexcept {
  const HeaderView view(header);
  if (view.size() < header_size) return close_policy;
  if (view.command_byte() > static_cast<std::uint8_t>(Command::start_view)) return close_policy;
  // What is there, and what this frame still announces, fits into the message; a last frame ends it.
  const std::uint64_t announced = filled_ + (head_.length - done_);
  if (announced > view.size()) return close_policy;
  if (head_.fin && announced != view.size() && !PLANT(size_field_unchecked)) return close_policy;
  return close_none;
}

WsDecoder::Got WsDecoder::begin_body(Limit limit) noexcept {
  if (const auto fault = header_fault(header_.data()); fault != close_none) return fail(fault);
  const std::size_t size = HeaderView(header_.data()).size();
  if (size > limit.max && !PLANT(ws_bypass_size_limit))
    return limit.final ? fail(close_too_big) : Got::bound;
  partial_ = pool_->allocate(size);
  if (partial_ == nullptr) return Got::no_resources;
  size_ = size;
  std::memcpy(partial_->data, header_.data(), header_size);
  return Got::more;
}

WsDecoder::Got WsDecoder::message_payload(Limit limit) noexcept {
  const std::uint64_t rest = head_.length - done_;
  // Checked before anything is taken: an announcement alone must not cost memory.
  if (rest > limit.max - std::min(filled_, limit.max) && !PLANT(ws_bypass_size_limit))
    return limit.final ? fail(close_too_big) : Got::bound;
  if (filled_ == 0 && done_ == 0 && head_.fin) {
    if (head_.length < header_size) return fail(close_policy);
    if (!head_.masked && input_.size() >= head_.length && 2 * head_.length >= input_.held()) {
      if (const auto fault = header_fault(input_.data()); fault != close_none) return fail(fault);
      const auto size = static_cast<std::size_t>(head_.length);
      Message whole(input_.take_front(size));
      if (input_.empty()) input_.release();
      done_ = size;
      in_message_ = false;
      step_ = Step::head;
      return deliver(std::move(whole));
    }
  }
  if (filled_ < header_size) {
    const auto n = static_cast<std::size_t>(
        std::min<std::uint64_t>({header_size - filled_, rest, input_.size()}));
    take(header_.data() + filled_, n);
    filled_ += n;
    if (filled_ < header_size) return done_ == head_.length ? finish_frame() : Got::more;
  }
  if (partial_ == nullptr) {
    if (const Got got = begin_body(limit); got != Got::more) return got;
  } else if (head_.length - done_ > size_ - filled_ ||
             (head_.fin && head_.length - done_ != size_ - filled_ &&
              !PLANT(size_field_unchecked))) {
    return fail(close_policy);
  }
  const auto n =
      static_cast<std::size_t>(std::min<std::uint64_t>(head_.length - done_, input_.size()));
  take(partial_->data + filled_, n);
  filled_ += n;
  return done_ == head_.length ? finish_frame() : Got::more;
}

WsDecoder::Got WsDecoder::finish_frame() noexcept {
  step_ = Step::head;
  if (!head_.fin) return Got::more;
  in_message_ = false;
  if (partial_ == nullptr) return fail(close_policy);  // it ended inside its header
  const std::byte* data = partial_->data;
  const std::size_t size = std::exchange(size_, 0);
  filled_ = 0;
  return deliver(Message(Slice(std::exchange(partial_, nullptr), data, size)));
}

WsDecoder::Got WsDecoder::deliver(Message&& message) noexcept {
  if (verify_seal_ && !seal_matches(message.bytes())) return fail(close_policy);
  message_ = std::move(message);
  return Got::message;
}

WsDecoder::Got WsDecoder::skip_payload() noexcept {
  const auto n =
      static_cast<std::size_t>(std::min<std::uint64_t>(head_.length - done_, input_.size()));
  if (n != 0) consume(n);
  done_ += n;
  if (done_ < head_.length) return Got::more;
  step_ = Step::head;
  if (head_.fin) in_message_ = false;
  return Got::more;
}

WsDecoder::Got WsDecoder::control_payload() noexcept {
  const auto n =
      static_cast<std::size_t>(std::min<std::uint64_t>(head_.length - done_, input_.size()));
  take(control_.data() + control_size_, n);
  control_size_ += n;
  if (done_ < head_.length) return Got::more;
  step_ = Step::head;
  switch (static_cast<Opcode>(head_.opcode)) {
    case Opcode::ping: return Got::ping;
    case Opcode::pong: return Got::pong;
    default: break;
  }
  const CloseRead read = read_close(payload());
  if (read.fault != close_none) return fail(read.fault);
  close_code_ = read.code;
  closed_ = true;
  input_.release();
  return Got::close;
}

std::span<std::byte> WsDecoder::direct_space() noexcept {
  if (partial_ == nullptr || !input_.empty() || step_ != Step::payload || is_control(head_.opcode))
    return {};
  const auto rest =
      static_cast<std::size_t>(std::min<std::uint64_t>(head_.length - done_, size_ - filled_));
  if (rest < direct_read_min) return {};
  return {partial_->data + filled_, rest};
}

void WsDecoder::commit(std::size_t n) noexcept {
  TWINWIRE_CHECK(partial_ != nullptr && n <= size_ - filled_,
                 "committed more than direct_space() gave");
  std::byte* at = partial_->data + filled_;
  if (head_.masked) mask(at, at, n, head_.key, done_);
  filled_ += n;
  done_ += n;
}

}  // namespace twinwire::ws
