// SPDX-License-Identifier: Apache-2.0
#include "sim/shard_mail.h"

#include <algorithm>
#include <deque>
#include <new>
#include <string>
#include <utility>

#include "sim/fabric.h"
#include "transport/base/check.h"

namespace twinwire::sim {
namespace {

constexpr std::uint64_t lanes_from = std::uint64_t{6} << 32;  // children of a node

}  // namespace

// What the shards of a node have in common.
class SimShards::Office final : public BlockOwner, public std::enable_shared_from_this<Office> {
 public:
  Office(Scheduler& scheduler, World* world, EntityId node, std::uint32_t ordinal,
         const SimShardsOptions& options)
      : scheduler_(&scheduler),
        world_(world),
        place_{ordinal, ordinal},
        options_(options),
        lanes_(std::size_t{options.count} * options.count),
        desks_(options.count),
        who_(world == nullptr ? std::string() : world->name_of(ordinal)) {
    for (std::size_t i = 0; i < lanes_.size(); ++i)
      lanes_[i].entity = child_entity(node, lanes_from + i);
    for (Desk& desk : desks_) {
      desk.bell.desk = &desk;
      desk.bell.scheduler = &scheduler;
    }
  }

  const SimShardsOptions& options() const noexcept { return options_; }
  void receive_by(std::uint16_t shard, bus::MailReceiver* receiver) noexcept {
    desks_[shard].receiver = receiver;
  }

  Result<void> send(std::uint16_t from, std::uint16_t to, const bus::Envelope& envelope,
                    Message& message) noexcept {
    TWINWIRE_CHECK(to < options_.count, "there is no such shard");
    Lane& lane = at(from, to);
    if (closed_) return Errc::shutting_down;
    if (lane.letters.size() >= options_.mail_max) return Errc::backpressure;
    Message lent;
    if (!message.empty()) {
      if (comes_home(to, from, message))
        return post(lane, to, {{}, envelope, std::move(message), nullptr, true});
      if (lane.loans >= options_.loans_max) return Errc::backpressure;
      auto* const loan = new (std::nothrow) Loan{};
      if (loan == nullptr) return Errc::no_resources;
      lent = lend(*loan, lane, from, message);
    }
    return post(lane, to, {{}, envelope, std::move(lent), nullptr, false});
  }

  Result<void> hand_over(std::uint16_t from, std::uint16_t to,
                         std::unique_ptr<ByteStream>& stream) {
    TWINWIRE_CHECK(to < options_.count, "there is no such shard");
    Lane& lane = at(from, to);
    if (closed_) return Errc::shutting_down;
    if (lane.letters.size() >= options_.mail_max) return Errc::backpressure;
    return post(lane, to, {{}, {}, {}, std::move(stream), false});
  }

  // The mail's fiber of that shard.
  void deliver(std::uint16_t shard) {
    while (!closed_) {
      TimePoint next = TimePoint::never();
      for (std::uint16_t other = 0; other < options_.count; ++other) {
        take_home(at(shard, other));
        take_letters(other, shard);
        const Lane& to_here = at(other, shard);
        if (!to_here.letters.empty()) next = std::min(next, to_here.letters.front().due);
        const Lane& from_here = at(shard, other);
        if (!from_here.homecoming.empty()) next = std::min(next, from_here.homecoming.front().due);
      }
      if (closed_) return;
      Desk& desk = desks_[shard];
      if (next != TimePoint::never()) world_->schedule(desk.bell, next);
      if (desk.news.wait(*scheduler_, Deadline::never(), "mail from other shards") ==
          Wake::canceled)
        return;
    }
  }

  void close() noexcept {
    closed_ = true;
    for (Desk& desk : desks_)
      if (desk.bell.queued()) world_->unschedule(desk.bell);
    for (Lane& lane : lanes_) {
      // What is dropped here comes to reclaim(), and is home at once.
      lane.letters.clear();
      while (!lane.homecoming.empty()) {
        Loan* const loan = lane.homecoming.front().loan;
        lane.homecoming.pop_front();
        end(*loan);
      }
    }
  }

  std::size_t on_the_way() const noexcept {
    std::size_t sum = 0;
    for (const Lane& lane : lanes_) sum += lane.letters.size();
    return sum;
  }
  std::size_t lent() const noexcept {
    std::size_t sum = 0;
    for (const Lane& lane : lanes_) sum += lane.loans;
    return sum;
  }

 private:
  struct Lane;
  struct Desk;
  struct Letter {
    TimePoint due;
    bus::Envelope envelope;
    Message message;
    std::unique_ptr<ByteStream> stream;  // a connection handed over; then there is nothing else
    bool ends_loan = false;              // the receiver had lent the message
  };
  // A message that another shard holds, with counts of its own.
  struct Loan : Block {
    Slice original;
    Lane* lane = nullptr;
    std::uint16_t lender = 0;
    bool is_home = false;
    std::shared_ptr<Office> office;  // where it goes
  };
  struct Homecoming {
    TimePoint due;
    Loan* loan;
  };
  struct Lane {
    EntityId entity = 0;
    std::deque<Letter> letters;
    std::deque<Homecoming> homecoming;  // of what was sent on it
    std::uint64_t sent = 0;
    std::uint64_t taken = 0;
    std::size_t loans = 0;
  };

  // Where one shard's mail arrives. When it is due is a matter of the world's time: what a node's own clock says has no
  // part in it, and main may send in a node's name.
  struct Bell final : EventSource {
    void fire() override { desk->news.wake_one(*scheduler); }
    Desk* desk = nullptr;
    Scheduler* scheduler = nullptr;
  };
  struct Desk {
    bus::MailReceiver* receiver = nullptr;
    WaitQueue news;
    Bell bell;
  };

  TimePoint now() const noexcept { return world_ == nullptr ? TimePoint{} : world_->now(); }
  Lane& at(std::uint16_t from, std::uint16_t to) noexcept {
    return lanes_[std::size_t{from} * options_.count + to];
  }

  // When what is put on it now may be taken. None overtakes another, since only the first of a lane is ever taken.
  TimePoint due_on(Lane& lane) noexcept {
    TimePoint due = now();
    if (world_ != nullptr) {
      due = due + options_.latency;
      if (const std::uint64_t c =
              world_->choose(Site::mail_delay, place_, lane.entity, lane.sent++, delay_max);
          c != 0) {
        world_->decisions().bit(Site::mail_delay);
        if (world_->tracing())
          world_->tell(world_->name_of(place_.from), "mail_delay: " + std::to_string(c) + " ns");
        due = due + Duration(static_cast<std::int64_t>(c));
      }
    }
    return due;
  }

  Result<void> post(Lane& lane, std::uint16_t to, Letter letter) {
    letter.due = due_on(lane);
    lane.letters.push_back(std::move(letter));
    desks_[to].news.wake_one(*scheduler_);
    return {};
  }

  Message lend(Loan& loan, Lane& lane, std::uint16_t from, Message& message) noexcept {
    const Slice& slice = message.slice();
    loan.owner = this;
    loan.references = 1;
    // Its bytes are never written: a message is immutable.
    loan.data = const_cast<std::byte*>(slice.data());
    loan.capacity = slice.held();
    loan.lane = &lane;
    loan.lender = from;
    loan.office = shared_from_this();
    const std::size_t size = slice.size();
    loan.original = slice;
    message = Message();
    ++lane.loans;
    return Message(Slice(&loan, loan.data, size));
  }

  // A message that `lender` lent to `borrower`, whole, and to which nobody else refers: it is not lent back.
  bool comes_home(std::uint16_t lender, std::uint16_t borrower, const Message& message) noexcept {
    const BlockOwner& self = *this;
    const auto* const loan = static_cast<Loan*>(message.slice().sole_block_of(self));
    return loan != nullptr && loan->lane == &at(lender, borrower) &&
           loan->data == message.bytes().data() && loan->original.size() == message.size();
  }
  // The lender's own message, when it is there again; the loan ends.
  Message take_back(Message& message) noexcept {
    const BlockOwner& self = *this;
    auto* const loan = static_cast<Loan*>(message.slice().sole_block_of(self));
    loan->is_home = true;
    Message lent(std::move(loan->original));
    message = Message();  // to reclaim()
    return lent;
  }

  void reclaim(Block* block) noexcept override {
    Loan& loan = static_cast<Loan&>(*block);
    if (closed_ || loan.is_home) return end(loan);
    Lane& lane = *loan.lane;
    lane.homecoming.push_back({due_on(lane), &loan});
    desks_[loan.lender].news.wake_one(*scheduler_);
  }
  void end(Loan& loan) noexcept {
    const std::shared_ptr<Office> office =
        std::move(loan.office);  // this one, perhaps for the last
    --loan.lane->loans;
    loan.original.release();
    delete &loan;
  }

  void take_home(Lane& lane) noexcept {
    while (!lane.homecoming.empty() && lane.homecoming.front().due <= now()) {
      Loan* const loan = lane.homecoming.front().loan;
      lane.homecoming.pop_front();
      end(*loan);
    }
  }

  void take_letters(std::uint16_t from, std::uint16_t shard) {
    Lane& lane = at(from, shard);
    const std::uint64_t runs = scheduler_->runs();
    // No more than lie here now: what a receiver sends to its own shard comes another time.
    for (std::size_t n = lane.letters.size();
         n != 0 && !lane.letters.empty() && lane.letters.front().due <= now(); --n) {
      Letter letter = std::move(lane.letters.front());
      lane.letters.pop_front();
      if (world_ != nullptr)
        world_->step(Step::mail, lane.entity, lane.taken++, who_, [&] {
          return "shard " + std::to_string(shard) + " takes mail of shard " + std::to_string(from);
        });
      bus::MailReceiver* const receiver = desks_[shard].receiver;
      if (receiver == nullptr) continue;
      if (letter.stream != nullptr)
        receiver->on_stream(from, std::move(letter.stream));
      else
        receiver->on_mail(from, letter.envelope,
                          letter.ends_loan ? take_back(letter.message) : std::move(letter.message));
    }
    TWINWIRE_CHECK(scheduler_->runs() == runs, "who received mail suspended");
  }

  Scheduler* scheduler_;
  World* world_;
  Place place_;
  SimShardsOptions options_;
  std::vector<Lane> lanes_;  // from, to
  std::vector<Desk> desks_;
  std::string who_;  // the node
  bool closed_ = false;
};

class SimShards::Mail final : public bus::ShardMail {
 public:
  Mail(Office& office, std::uint16_t shard) noexcept : office_(&office), shard_(shard) {}

  std::uint16_t shard() const noexcept override { return shard_; }
  std::uint16_t shards() const noexcept override { return office_->options().count; }
  void receive_by(bus::MailReceiver* receiver) noexcept override {
    office_->receive_by(shard_, receiver);
  }
  Result<void> send(std::uint16_t to, const bus::Envelope& envelope,
                    Message& message) noexcept override {
    return office_->send(shard_, to, envelope, message);
  }
  Result<void> hand_over(std::uint16_t to, std::unique_ptr<ByteStream>& stream, Deadline) override {
    return office_->hand_over(shard_, to, stream);
  }

 private:
  Office* office_;
  std::uint16_t shard_;
};

SimShards::SimShards(Scheduler& scheduler, World* world, EntityId node, std::uint32_t ordinal,
                     const SimShardsOptions& options)
    : office_(std::make_shared<Office>(scheduler, world, node, ordinal, options)),
      fibers_(scheduler) {
  for (std::uint16_t shard = 0; shard < options.count; ++shard) {
    mails_.push_back(std::make_unique<Mail>(*office_, shard));
    fibers_.spawn("mail", [office = office_.get(), shard] { office->deliver(shard); });
  }
}

SimShards::~SimShards() = default;

bus::ShardMail& SimShards::mail(std::uint16_t shard) noexcept { return *mails_[shard]; }

void SimShards::close() {
  office_->close();
  fibers_.cancel();
  fibers_.join();
}

std::size_t SimShards::on_the_way() const noexcept { return office_->on_the_way(); }
std::size_t SimShards::lent() const noexcept { return office_->lent(); }

}  // namespace twinwire::sim
