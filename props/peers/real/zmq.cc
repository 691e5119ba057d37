// SPDX-License-Identifier: Apache-2.0
// ZeroMQ: one of its messages a frame. A stream goes from PUSH to PULL, an echo from DEALER to ROUTER and back.
//
// Its own threads do the input and output, and gather what many calls have sent. It tells nobody that a peer has gone:
// a server ends after its second answer.
#include <zmq.h>

#include <cerrno>
#include <cstring>

#include "props/peers/real/engines.h"

namespace twinwire::peers {
namespace {

constexpr std::size_t copied_max =
    4096;                   // a larger message is lent, as zmq_msg_init_data(3) is for
constexpr int answers = 2;  // of a server: after the warm-up, and after the measured part

[[noreturn]] void fail_zmq(const char* what) {
  fail(std::string(what) + ": " + ::zmq_strerror(::zmq_errno()));
}

class ZmqMessage {
 public:
  ZmqMessage() { (void)::zmq_msg_init(&message_); }
  // `bytes` outlive it where they are many.
  explicit ZmqMessage(std::span<const std::byte> bytes) {
    void* data = const_cast<std::byte*>(bytes.data());
    if (bytes.size() > copied_max) {
      if (::zmq_msg_init_data(&message_, data, bytes.size(), nullptr, nullptr) != 0)
        fail_zmq("zmq_msg_init_data");
      return;
    }
    if (::zmq_msg_init_size(&message_, bytes.size()) != 0) fail_zmq("zmq_msg_init_size");
    std::memcpy(::zmq_msg_data(&message_), data, bytes.size());
  }
  ZmqMessage(const ZmqMessage&) = delete;
  ZmqMessage& operator=(const ZmqMessage&) = delete;
  ~ZmqMessage() { (void)::zmq_msg_close(&message_); }

  zmq_msg_t* raw() noexcept { return &message_; }
  std::span<const std::byte> bytes() noexcept {
    return {static_cast<const std::byte*>(::zmq_msg_data(&message_)), ::zmq_msg_size(&message_)};
  }

 private:
  zmq_msg_t message_;
};

class ZmqContext {
 public:
  ZmqContext() : context_(::zmq_ctx_new()) {
    if (context_ == nullptr) fail_zmq("zmq_ctx_new");
  }
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;
  ~ZmqContext() { (void)::zmq_ctx_term(context_); }
  void* raw() const noexcept { return context_; }

 private:
  void* context_;
};

class ZmqSocket {
 public:
  ZmqSocket(const ZmqContext& context, int type, std::size_t message_size)
      : socket_(::zmq_socket(context.raw(), type)) {
    if (socket_ == nullptr) fail_zmq("zmq_socket");
    // What may wait on each side. Of those tried, from 16 messages to any number, it is fastest near these.
    const int most = static_cast<int>(
        std::clamp<std::size_t>((std::size_t{5} << 19) / message_size, 16, 10'000));
    (void)::zmq_setsockopt(socket_, ZMQ_SNDHWM, &most, sizeof most);
    (void)::zmq_setsockopt(socket_, ZMQ_RCVHWM, &most, sizeof most);
    const int backlog = 1024;
    (void)::zmq_setsockopt(socket_, ZMQ_BACKLOG, &backlog, sizeof backlog);
  }
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;
  ~ZmqSocket() { (void)::zmq_close(socket_); }

  // Any port; returns which.
  std::uint16_t bind() const {
    if (::zmq_bind(socket_, "tcp://127.0.0.1:*") != 0) fail_zmq("zmq_bind");
    char endpoint[128];
    std::size_t size = sizeof endpoint;
    if (::zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, endpoint, &size) != 0) fail_zmq("its port");
    const char* colon = std::strrchr(endpoint, ':');
    return colon == nullptr ? 0 : static_cast<std::uint16_t>(std::atoi(colon + 1));
  }
  void connect(const std::string& endpoint) const {
    if (::zmq_connect(socket_, endpoint.c_str()) != 0) fail_zmq("zmq_connect");
  }
  void send(ZmqMessage& message, int flags = 0) const {
    while (::zmq_msg_send(message.raw(), socket_, flags) < 0)
      if (::zmq_errno() != EINTR) fail_zmq("zmq_msg_send");
  }
  void send(std::span<const std::byte> bytes) const {
    ZmqMessage message(bytes);
    send(message);
  }
  // False: there is none now, and it was told not to wait.
  bool receive(ZmqMessage& message, int flags = 0) const {
    while (::zmq_msg_recv(message.raw(), socket_, flags) < 0) {
      if (::zmq_errno() == EAGAIN) return false;
      if (::zmq_errno() != EINTR) fail_zmq("zmq_msg_recv");
    }
    return true;
  }

 private:
  void* socket_;
};

std::string at_port(std::uint16_t port) { return "tcp://127.0.0.1:" + std::to_string(port); }

bool is_data(std::span<const std::byte> frame) {
  if (frame.size() < header_size || HeaderView(frame.data()).size() != frame.size())
    fail("no frame");
  return HeaderView(frame.data()).command() == data_command;
}

// --- The server ----------------------------------------------------------------------------------------------------

class ZmqServer {
 public:
  explicit ZmqServer(const RealCall& call) : work_(call.work) {}

  void run() {
    ZmqContext context;
    if (work_.echoes())
      echo(context);
    else
      pull(context);
  }

 private:
  void pull(const ZmqContext& context) {
    const ZmqSocket data(context, ZMQ_PULL, work_.size);
    const ZmqSocket answering(context, ZMQ_PUSH, work_.size);
    print_port(data.bind());
    ZmqMessage message;
    for (int answered = 0; answered < answers;) {
      (void)data.receive(message);
      if (count(message.bytes())) continue;
      if (answered++ == 0)
        answering.connect(at_port(static_cast<std::uint16_t>(
            twinwire::load<std::uint32_t>(message.bytes().data() + offset::view))));
      answering.send(answer());
    }
  }
  void echo(const ZmqContext& context) {
    const ZmqSocket data(context, ZMQ_ROUTER, work_.size);
    print_port(data.bind());
    ZmqMessage from;
    ZmqMessage message;
    for (int answered = 0; answered < answers;) {
      (void)data.receive(from);
      (void)data.receive(message);
      const bool counted = count(message.bytes());
      data.send(from, ZMQ_SNDMORE);
      if (counted) {
        data.send(message);
      } else {
        data.send(answer());
        ++answered;
      }
    }
  }

  // False: it is a question.
  bool count(std::span<const std::byte> frame) {
    if (!is_data(frame)) return false;
    if (work_.kind == RealKind::stream)
      totals_.add(frame.data(), frame.size());
    else
      add_unordered(totals_, frame);
    return true;
  }
  std::span<const std::byte> answer() {
    const std::uint64_t processor = processor_ns();
    const std::uint64_t calls = system_calls();
    totals_.processor_ns = processor - std::exchange(processor_, processor);
    totals_.calls = calls - std::exchange(calls_, calls);
    write_real_answer(answer_, totals_);
    totals_ = {};
    return answer_;
  }

  RealWork work_;
  RealTotals totals_;
  std::array<std::byte, real_answer_size> answer_;
  std::uint64_t processor_ = 0;
  std::uint64_t calls_ = 0;
};

// --- The client ----------------------------------------------------------------------------------------------------

class ZmqClient {
 public:
  explicit ZmqClient(const RealCall& call)
      : work_(call.work), port_(call.port), count_(work_.echoes() ? work_.depth : work_.batch) {
    memory_.resize(work_.size * count_);
    for (std::size_t i = 0; i < count_; ++i) write_message(message(i), data_command, i);
    write_message(question_, ask_command, 0);
  }

  void run() {
    ZmqContext context;
    print_real_report(work_.echoes() ? echo(context) : push(context));
  }

 private:
  std::span<std::byte> message(std::size_t i) {
    return {memory_.data() + i * work_.size, work_.size};
  }
  void begin(std::uint64_t time) {
    sent_ = {};
    round_trips_.clear();
    meter_.begin(system_calls());
    until_ = meter_.began() + time;
  }

  RealReport push(const ZmqContext& context) {
    const ZmqSocket data(context, ZMQ_PUSH, work_.size);
    const ZmqSocket answered(context, ZMQ_PULL, work_.size);
    twinwire::store(question_.data() + offset::view, std::uint32_t{answered.bind()});
    data.connect(at_port(port_));
    RealReport report;
    ZmqMessage counted;
    for (const std::uint64_t time : {work_.time_ns / 10, work_.time_ns}) {
      begin(time);
      for (bool enough = false; !enough;)
        for (std::size_t i = 0; i < count_; ++i) {
          data.send(message(i));
          if (work_.kind == RealKind::stream) {
            sent_.add(message(i).data(), work_.size);
            enough = i + 1 == count_ && wall_ns() >= until_;
          } else {
            add_unordered(sent_, message(i));
            if ((enough = wall_ns() >= until_)) break;  // each sender for itself, as ours
          }
        }
      data.send(question_);
      (void)answered.receive(counted);
      report = meter_.end(sent_, read_real_answer(counted.bytes()), system_calls());
    }
    return report;
  }

  RealReport echo(const ZmqContext& context) {
    const ZmqSocket data(context, ZMQ_DEALER, work_.size);
    // It takes one connection to an endpoint, and an endpoint has a source: another for each. It deals to them in turn.
    for (std::size_t c = 0; c < work_.connections; ++c)
      data.connect("tcp://127.0." + std::to_string(1 + c / 200) + "." +
                   std::to_string(1 + c % 200) + ":0;127.0.0.1:" + std::to_string(port_));
    RealReport report;
    ZmqMessage counted;
    for (const std::uint64_t time : {work_.time_ns / 10, work_.time_ns}) {
      begin(time);
      exchange(data);
      data.send(question_);
      (void)data.receive(counted);
      report = meter_.end(sent_, read_real_answer(counted.bytes()), system_calls());
    }
    report.p50_ns = round_trips_.percentile(50);
    report.p99_ns = round_trips_.percentile(99);
    return report;
  }
  void exchange(const ZmqSocket& data) {
    Totals received;
    std::size_t next = 0;
    const auto send = [&] {
      data.send(message(next));
      add_unordered(sent_, message(next));
      if (++next == count_) next = 0;
    };
    std::uint64_t asked_at = wall_ns();
    std::size_t outstanding = work_.connections * work_.depth;
    for (std::size_t i = 0; i < outstanding; ++i) send();
    ZmqMessage message;
    while (outstanding > 0) {
      (void)data.receive(message);
      std::size_t echoes = 0;
      do {
        add_unordered(received, message.bytes());
        ++echoes;
      } while (data.receive(message, ZMQ_DONTWAIT));
      outstanding -= echoes;
      const std::uint64_t now = wall_ns();
      if (work_.kind == RealKind::ping_pong) {
        round_trips_.add(now - asked_at);
        asked_at = now;
      }
      if (now >= until_) continue;
      for (std::size_t i = 0; i < echoes; ++i) send();
      outstanding += echoes;
    }
    if (!received.same_messages(sent_)) throw Miscounted();
  }

  RealWork work_;
  std::uint16_t port_;
  std::size_t count_;
  std::vector<std::byte> memory_;
  std::array<std::byte, header_size> question_;
  Totals sent_;
  RealMeter meter_;
  std::uint64_t until_ = 0;
  RoundTrips round_trips_;
};

}  // namespace

void run_real_zmq(const RealCall& call) {
  if (call.serves)
    ZmqServer(call).run();
  else
    ZmqClient(call).run();
}

}  // namespace twinwire::peers
