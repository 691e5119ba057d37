// SPDX-License-Identifier: Apache-2.0
#include "real/shard.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>

#include "real/shard_group.h"
#include "transport/base/check.h"

namespace twinwire::real {
namespace {

constexpr std::size_t taken_at_once = 64;
constexpr Duration going_home_max = std::chrono::seconds(10);
constexpr Duration letting_go_max = std::chrono::seconds(2);
constexpr const char* held_too_long =
    "a lent message was still held after the body of the shard that held it had returned";

}  // namespace

Shard::Shard(ShardGroup& group, std::uint32_t index, Ring& ring, DescriptorRef bell)
    : group_(&group),
      index_(index),
      ring_(&ring),
      network_(ring),
      bell_(std::move(bell)),
      sends_ring_messages_(group.options.ring_messages &&
                           ring.core().kernel_ring().supports(IORING_OP_MSG_RING)) {
  const std::uint32_t count = group.options.count;
  out_.reserve(count);
  in_.reserve(count);
  for (std::uint32_t other = 0; other < count; ++other) {
    out_.push_back({.lane = &group.lane(index, other)});
    in_.push_back({.lane = &group.lane(other, index)});
  }
  ring.core().tell_of_messages(this);
}

Shard::~Shard() {
  ring_->core().tell_of_messages(nullptr);
  while (free_loans_ != nullptr) {
    auto* const loan = static_cast<Loan*>(free_loans_);
    free_loans_ = loan->next;
    delete loan;
  }
}

void Shard::stop() noexcept { group_->stop(); }

// --- Sending --------------------------------------------------------------------------------------------------------

std::optional<Errc> Shard::refuses(std::uint32_t to) noexcept {
  TWINWIRE_CHECK(to < out_.size(), "there is no such shard");
  if (!accepting_ || group_->cells[to].over.load(std::memory_order_relaxed))
    return Errc::shutting_down;
  if (out_[to].lane->mail.write_available() != 0) return std::nullopt;
  ++counters_.refused;
  return Errc::backpressure;
}

void Shard::push(std::uint32_t to, const Mail& mail) noexcept {
  const bool pushed = out_[to].lane->mail.push(mail);
  TWINWIRE_CHECK(pushed, "two threads post by one shard");
  ++counters_.posted;
  tell(to);
}

void Shard::tell(std::uint32_t to) noexcept {
  Outbound& out = out_[to];
  // The last wake has not left yet: it stands in the submission queue.
  if (out.told_at == ring_->counters().enters) return;
  if (out.lane->told.exchange(true, std::memory_order_acq_rel)) return;
  if (to == index_) return note_told(to);
  if (sends_ring_messages_) {
    io_uring_sqe request{};
    ::io_uring_prep_msg_ring(&request, group_->cells[to].ring, index_, RingMessages::arrived, 0);
    request.flags |= IOSQE_CQE_SKIP_SUCCESS;
    request.user_data = RingMessages::failed(to);
    if (ring_->core().kernel_ring().push(request)) {
      out.told_at = ring_->counters().enters;
      ++counters_.wakes_sent;
      return;
    }
  }
  ++counters_.bells_rung;
  group_->ring_bell(to);
}

Loan* Shard::lend(std::uint32_t to, Message& message) noexcept {
  Outbound& out = out_[to];
  if (out.loans == group_->options.loans_max) {
    ++counters_.refused;
    return nullptr;
  }
  Loan* loan = static_cast<Loan*>(free_loans_);
  if (loan != nullptr)
    free_loans_ = loan->next;
  else if ((loan = new (std::nothrow) Loan{}) == nullptr)
    return nullptr;
  const Slice& slice = message.slice();
  // Its bytes are never written: a message is immutable.
  loan->data = const_cast<std::byte*>(slice.data());
  loan->capacity = slice.held();
  loan->end = static_cast<std::uint32_t>(slice.size());
  loan->lender = index_;
  loan->borrower = to;
  loan->posted_home = false;
  loan->original = slice;
  message = Message();
  ++out.loans;
  ++lent_;
  ++counters_.lent;
  return loan;
}

// The loan that `message` is, where shard `to` lent it, it is whole, and nobody else here refers to it: it goes with
// the post. nullptr: it is none such, and untouched. Were it lent back, a message that goes to and fro would pin one
// loan more each way.
Loan* Shard::post_home(std::uint32_t to, Message& message) noexcept {
  const BlockOwner& self = *this;
  auto* const loan = static_cast<Loan*>(message.slice().sole_block_of(self));
  if (loan == nullptr || loan->lender != to || loan->data != message.bytes().data() ||
      loan->end != message.size())
    return nullptr;
  loan->posted_home = true;
  message = Message();  // to reclaim()
  return loan;
}

Errc Shard::lend_error(std::uint32_t to) const noexcept {
  return out_[to].loans == group_->options.loans_max ? Errc::backpressure : Errc::no_resources;
}

// --- Receiving ------------------------------------------------------------------------------------------------------

void Shard::on_ring_message(std::uint32_t sender) noexcept {
  ++counters_.wakes_taken;
  if (sender < in_.size()) note_told(sender);
}

void Shard::on_ring_message_failed(std::uint32_t target, int) noexcept {
  // Whatever the reason (a full completion queue, a limit): the bell does not need the other ring.
  ++counters_.bells_rung;
  group_->ring_bell(target);
}

void Shard::note_told(std::uint32_t sender) noexcept {
  Inbound& in = in_[sender];
  (void)in.lane->told.exchange(false, std::memory_order_acq_rel);
  in.ready = true;
  wake_mail();
}

void Shard::wake_mail() noexcept {
  if (mail_ != nullptr) (void)scheduler().wake(*std::exchange(mail_, nullptr));
}

Message Shard::borrow(Loan& loan) noexcept {
  loan.owner = this;
  loan.references = 1;
  ++borrowed_;
  return Message(Slice(&loan, loan.data, loan.end));
}

void Shard::reclaim(Block* block) noexcept {
  auto* const loan = static_cast<Loan*>(block);
  --borrowed_;
  if (loan->posted_home) return;
  if (!accepting_) phase_.wake_all(scheduler());
  const std::uint32_t home = loan->lender;
  // There is room for every loan of its lender.
  const bool pushed = out_[home].lane->returns.push(loan);
  TWINWIRE_CHECK(pushed, "more messages go home than were lent");
  tell(home);
}

void Shard::take_home(std::uint32_t borrower, Loan& loan) noexcept {
  loan.original.release();
  loan.next = free_loans_;
  free_loans_ = &loan;
  --out_[borrower].loans;
  --lent_;
  ++counters_.returned;
  if (lent_ == 0) phase_.wake_all(scheduler());
}

Message Shard::take_back(Loan& loan) noexcept {
  Message lent(std::move(loan.original));
  take_home(loan.borrower, loan);
  return lent;
}

bool Shard::take_from(std::uint32_t sender) {
  Inbound& in = in_[sender];
  std::array<Loan*, taken_at_once> loans;
  const std::size_t returned = in.lane->returns.pop(loans.data(), loans.size());
  for (std::size_t i = 0; i < returned; ++i) take_home(sender, *loans[i]);

  std::array<Mail, taken_at_once> mail;
  const std::size_t taken = in.lane->mail.pop(mail.data(), mail.size());
  in.ready = returned == loans.size() || taken == mail.size();
  const std::uint64_t runs = scheduler().runs();
  for (std::size_t i = 0; i < taken; ++i) {
    const bool run = accepting_;
    ++(run ? counters_.delivered : counters_.dropped);
    try {
      mail[i].take(mail[i].storage.data(), *this, run);
    } catch (...) {
      group_->failed(std::current_exception());
    }
  }
  TWINWIRE_CHECK(scheduler().runs() == runs, "a function that was posted to a shard suspended");
  return returned + taken != 0;
}

void Shard::take_everything() {
  for (std::uint32_t sender = 0; sender < count(); ++sender)
    while (take_from(sender)) {}
}

void Shard::deliver_mail() {
  while (!ended_) {
    bool any = false;
    for (std::uint32_t sender = 0; sender < count(); ++sender)
      if (in_[sender].ready && take_from(sender)) any = true;
    if (any) {
      scheduler().yield();
    } else {
      mail_ = &scheduler().current();
      (void)scheduler().park(Deadline::never(), "mail from other shards");
      mail_ = nullptr;
    }
  }
}

// --- From the first fiber to the last -------------------------------------------------------------------------------

void Shard::hear_bell() {
  const int fd = bell_->fd();
  while (!ended_) {
    eventfd_t rung = 0;
    if (::eventfd_read(fd, &rung) == 0) {
      if (group_->stopping.load()) scheduler().cancel(body_);
      for (std::uint32_t sender = 0; sender < count(); ++sender) note_told(sender);
      phase_.wake_all(scheduler());
      continue;
    }
    io_uring_sqe request{};
    ::io_uring_prep_poll_add(&request, fd, POLLIN);
    const Completion heard = bell_->perform(Direction::in, request, Deadline::never(),
                                            "another shard, or somebody who stops this one");
    if (heard.result == -ENOMEM) (void)scheduler().sleep_for(std::chrono::milliseconds(10));
  }
}

template <class Condition>
void Shard::wait_until(Condition&& condition, const char* waiting_for) {
  while (!condition()) (void)phase_.wait(scheduler(), Deadline::never(), waiting_for);
}

void Shard::live() {
  struct Over {
    Shard* shard;
    ~Over() {
      shard->accepting_ = false;
      shard->group_->cells[shard->index_].over.store(true, std::memory_order_relaxed);
    }
  };
  std::exception_ptr failure;
  try {
    run_scope(scheduler(), [&](Scope& scope) {
      scope_ = &scope;
      const Over over{this};
      group_->body(*this);
    });
  } catch (...) {
    failure = std::current_exception();
  }
  scope_ = nullptr;
  if (failure) group_->failed(std::move(failure));
  const CancelShield shield(scheduler());
  wind_up();
}

void Shard::wind_up() {
  if (group_->bodies.fetch_sub(1) == 1) group_->ring_all();
  wait_until([&] { return group_->bodies.load() == 0; }, "the bodies of the other shards");
  // Nobody posts any more, so this is all that was.
  take_everything();
  // What a transport's own fibers hold of a connection that is gone they let go soon.
  const Deadline let_go = ring_->clock().in(letting_go_max);
  while (borrowed_ > lent_ &&
         phase_.wait(scheduler(), let_go, "messages of other shards") != Wake::timed_out) {}
  // One that was borrowed may have been lent on; what is on its way home is there soon. Or it is held here, while
  // another shard holds one of ours: then its fiber lets go soon, as above.
  TWINWIRE_CHECK(borrowed_ <= lent_, held_too_long);
  const Deadline soon = ring_->clock().in(going_home_max);
  while ((lent_ != 0 || borrowed_ != 0) &&
         phase_.wait(scheduler(), soon, "messages that were lent, here or to other shards") !=
             Wake::timed_out) {}
  TWINWIRE_CHECK(lent_ == 0 && borrowed_ == 0, held_too_long);
  if (group_->unsettled.fetch_sub(1) == 1) group_->ring_all();
  wait_until([&] { return group_->unsettled.load() == 0; }, "the end of the other shards");
  ended_ = true;
  scheduler().cancel(mail_fiber_);
  scheduler().cancel(bell_fiber_);
}

void Shard::run() {
  Scope root(scheduler());
  body_ = root.spawn("shard", [&] { live(); });
  mail_fiber_ = root.spawn("mail", [&] { deliver_mail(); });
  bell_fiber_ = root.spawn("bell", [&] { hear_bell(); });
  const Scheduler::Outcome outcome = scheduler().run();
  TWINWIRE_CHECK(outcome == Scheduler::Outcome::finished, "a shard got stuck");
  bell_ = {};
  root.rethrow_failure();
  // Wakes for the others leave before their rings go.
  while (ring_->core().kernel_ring().has_submissions()) ring_->core().turn(Duration::zero());
}

}  // namespace twinwire::real
