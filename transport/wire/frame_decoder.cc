// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/frame_decoder.h"

#include <algorithm>
#include <cstring>

#include "transport/base/plant.h"
#include "transport/wire/seal.h"

namespace twinwire {
namespace {

// What fills less than one part in so many of its memory is copied out: that costs less than memory that stays away.
constexpr std::size_t shared_part = 64;

}  // namespace

FrameDecoder::~FrameDecoder() { discard(); }

void FrameDecoder::discard() noexcept {
  input_.release();
  if (partial_ != nullptr) Slice(std::exchange(partial_, nullptr), nullptr, 0).release();
  partial_size_ = partial_filled_ = header_filled_ = 0;
}

void FrameDecoder::feed(Slice&& bytes) noexcept {
  TWINWIRE_CHECK(input_.empty(), "feed() before next() consumed what it had");
  if (bytes.empty()) return;
  input_ = std::move(bytes);
  input_shared_ = shared_part * input_.size() >= input_.held() && input_.share();
}

// Whether a frame of `size` at the front of the input may be handed out where it lies.
bool FrameDecoder::may_stay(std::size_t size) noexcept {
  return input_shared_ || 2 * size >= input_.held();
}

Result<void> FrameDecoder::check_header(const std::byte* header, std::size_t max) const noexcept {
  const HeaderView view(header);
  if (view.size() < header_size) return Errc::invalid;
  if (view.size() > max && !PLANT(accept_oversize_frame)) return Errc::invalid;
  if (view.command_byte() > static_cast<std::uint8_t>(Command::start_view) &&
      !PLANT(accept_unknown_command))
    return Errc::invalid;
  return {};
}

Result<void> FrameDecoder::start_partial(std::size_t size) noexcept {
  partial_ = pool_->allocate(size);
  if (partial_ == nullptr) return Errc::no_resources;
  partial_size_ = size;
  partial_filled_ = 0;
  if (header_filled_ != 0) {
    std::memcpy(partial_->data, header_.data(), header_size);
    partial_filled_ = header_size;
    header_filled_ = 0;
  }
  return {};
}

void FrameDecoder::fill_partial() noexcept {
  const std::size_t n = std::min(partial_size_ - partial_filled_, input_.size());
  if (n == 0) return;
  std::memcpy(partial_->data + partial_filled_, input_.data(), n);
  partial_filled_ += n;
  consume(n);
}

void FrameDecoder::consume(std::size_t n) noexcept {
  input_.drop_front(n);
  if (input_.empty())
    input_.release();  // gives the network its buffer back, at once and not at the next call
}

Result<bool> FrameDecoder::finish(Message&& message, Message& out) noexcept {
  if (verify_seal_ && !seal_matches(message.bytes())) [[unlikely]] {
    seal_broken_ = true;
    return Errc::invalid;
  }
  out = std::move(message);
  return true;
}

Result<bool> FrameDecoder::next(std::size_t max, Message& out) {
  if (seal_broken_) return Errc::invalid;
  for (;;) {
    if (partial_ != nullptr) {
      if (partial_size_ > max && !PLANT(accept_oversize_frame)) return Errc::invalid;
      fill_partial();
      if (partial_filled_ < partial_size_) return false;
      const std::byte* data = partial_->data;
      return finish(Message(Slice(std::exchange(partial_, nullptr), data, partial_size_)), out);
    }
    // A whole header in header_ is one whose frame found no memory: it needs no more input to try again.
    if (input_.empty() && header_filled_ < header_size) return false;
    if (header_filled_ == 0 && input_.size() >= header_size) {
      if (PLANT(allocate_before_size_check)) {
        const std::size_t claimed = HeaderView(input_.data()).size();
        Slice(pool_->allocate(claimed), nullptr, 0).release();
      }
      if (auto ok = check_header(input_.data(), max); !ok) return ok.error();
      const std::size_t size = HeaderView(input_.data()).size();
      if (input_.size() >= size && may_stay(size))
        return finish(Message(input_.take_front(size)), out);
      if (input_.size() >= size) {
        Block* block = pool_->allocate(size);
        if (block == nullptr) return Errc::no_resources;
        std::memcpy(block->data, input_.data(), size);
        consume(size);
        return finish(Message(Slice(block, block->data, size)), out);
      }
      if (auto ok = start_partial(size); !ok) return ok.error();
      continue;
    }
    if (header_filled_ < header_size) {
      const std::size_t n = std::min(header_size - header_filled_, input_.size());
      std::memcpy(header_.data() + header_filled_, input_.data(), n);
      header_filled_ += n;
      consume(n);
      if (header_filled_ < header_size) continue;
    }
    if (auto ok = check_header(header_.data(), max); !ok) return ok.error();
    if (auto ok = start_partial(HeaderView(header_.data()).size()); !ok) return ok.error();
  }
}

// Flat, since it is the whole path of a small message: what it calls would save and load what stands in registers here.
[[gnu::flatten]] void FrameDecoder::take_in_place(std::size_t max, Batch& into) noexcept {
  if (partial_ != nullptr || header_filled_ != 0 || !input_shared_ || verify_seal_) return;
  const std::byte* at = input_.data();
  const std::byte* const end = at + input_.size();
  std::size_t room = into.capacity() - into.size();
  while (room > 0 && static_cast<std::size_t>(end - at) >= header_size) {
    if (!check_header(at, max)) break;
    const std::size_t size = HeaderView(at).size();
    if (size > static_cast<std::size_t>(end - at)) break;
    into.push(Message(input_.part(at, size)));
    at += size;
    --room;
  }
  consume(static_cast<std::size_t>(at - input_.data()));
}

Result<void> FrameDecoder::take(std::size_t max, Batch& into) {
  take_in_place(max, into);
  // What is left lies across two inputs, is to be copied out, or is invalid.
  while (into.size() < into.capacity() && !needs_more()) {
    Message message;
    const auto whole = next(max, message);
    if (!whole) return whole.error();
    if (!*whole) break;
    into.push(std::move(message));
  }
  return {};
}

std::span<std::byte> FrameDecoder::direct_space() noexcept {
  if (!reads_directly()) return {};
  return {partial_->data + partial_filled_, partial_size_ - partial_filled_};
}

void FrameDecoder::commit(std::size_t n) noexcept {
  TWINWIRE_CHECK(partial_ != nullptr && n <= partial_size_ - partial_filled_,
                 "committed more than direct_space() gave");
  partial_filled_ += n;
}

Errc FrameDecoder::end_of_stream() const noexcept {
  const bool between = partial_ == nullptr && header_filled_ == 0 && input_.empty();
  return between || PLANT(eof_inside_frame_is_closed) ? Errc::closed : Errc::broken;
}

}  // namespace twinwire
