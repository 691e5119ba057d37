// SPDX-License-Identifier: Apache-2.0
// serve --metrics, scraped as a stranger would, with a bare socket: while load runs, and by those who mean no good.
// ctest: waits timeout=300
#include <thread>

#include "props/cli_process.h"
#include "props/plain_connection.h"

namespace twinwire::props {
namespace {

using namespace std::chrono_literals;

class CliMetrics : public ::testing::Test {
 protected:
  void start(const std::string& transport = "tcp", const std::string& shards = "1") {
    server_ = std::make_unique<Process>(
        folder_.path(),
        std::vector<std::string>{tool_path(), "serve", "--listen", "127.0.0.1:0", "--metrics",
                                 "127.0.0.1:0", "--transport", transport, "--shards", shards});
    ASSERT_TRUE(server_->says("/metrics")) << server_->err();
    const std::string out = server_->out();
    const std::size_t at = out.find("127.0.0.1:");
    address_ = out.substr(at, out.find('\n', at) - at);
    metrics_ = metrics_address(out);
  }
  Ended load(const std::string& arguments) {
    return run_tool_in(folder_.path(), tool_path(), "load --connect " + address_ + " " + arguments);
  }
  std::string ask(const std::string& request) { return ask_plainly(metrics_, request); }
  MetricsText scrape() { return metrics_in(ask(get_metrics)); }
  static std::string shard(const std::string& name, int number = 0) {
    return name + "{shard=\"" + std::to_string(number) + "\"}";
  }

  TemporaryFolder folder_;
  std::unique_ptr<Process> server_;
  std::string address_;
  Address metrics_;
};

TEST_F(CliMetrics, they_say_what_load_sent) {
  start();
  EXPECT_EQ(scrape().at(shard("twinwire_serve_messages_total")), 0);
  const Ended load = this->load("--messages 10000 --connections 3 --size 700 --batch 100");
  ASSERT_EQ(load.exit_code, 0) << load.out << load.err;
  const MetricsText after = scrape();
  // Each of three echoes by writes of its own, some of which went past the ring.
  EXPECT_GT(after.at(shard("twinwire_direct_writes_total")), 0);
  EXPECT_EQ(after.at(shard("twinwire_serve_messages_total")), 10'000);
  EXPECT_EQ(after.at(shard("twinwire_serve_message_bytes_total")), 7'000'000);
  EXPECT_EQ(after.at("twinwire_serve_sessions_ended_total{shard=\"0\",how=\"well\"}"), 3);
  EXPECT_EQ(after.at("twinwire_serve_sessions_ended_total{shard=\"0\",how=\"broken\"}"), 0);
  EXPECT_EQ(after.at(shard("twinwire_serve_sessions")), 0);
  // Three of load's, the scrape before, and this one, which is open.
  EXPECT_EQ(after.at(shard("twinwire_connections_accepted_total")), 5);
  EXPECT_EQ(after.at(shard("twinwire_connections_open")), 1);
  EXPECT_EQ(after.at(shard("twinwire_connections_dialed_total")), 0);
  // Beside the messages each connection has a ping of 256 bytes and a pong of 272.
  const double requests = 2 * static_cast<double>(std::string(get_metrics).size());
  EXPECT_EQ(after.at(shard("twinwire_bytes_received_total")), 7'000'000 + 3 * 256 + requests);
  EXPECT_GT(after.at(shard("twinwire_bytes_sent_total")), 7'000'000 + 3 * 272);
  EXPECT_GE(after.at(shard("twinwire_serve_answer_seconds_count")), 10'000 / 256);
  EXPECT_GT(after.at(shard("twinwire_serve_answer_seconds_sum")), 0);
  EXPECT_GT(after.at(shard("twinwire_loop_turns_total")), 0);
  EXPECT_GT(after.at(shard("twinwire_loop_busy_seconds_count")), 0);
  EXPECT_LE(after.at(shard("twinwire_loop_busy_seconds_count")),
            after.at(shard("twinwire_loop_turns_total")));
  EXPECT_GT(after.at(shard("twinwire_io_uring_enters_total")), 0);
  EXPECT_TRUE(after.has("twinwire_info{transport=\"tcp\",ring_mode=\"deferred\"}") ||
              after.has("twinwire_info{transport=\"tcp\",ring_mode=\"cooperative\"}") ||
              after.has("twinwire_info{transport=\"tcp\",ring_mode=\"plain\"}"));
  server_->signal(SIGINT);
  EXPECT_EQ(server_->wait().exit_code, 0);
}

TEST_F(CliMetrics, shards_are_told_apart_and_add_up) {
  constexpr int shards = 3;
  start("tcp", std::to_string(shards));
  const Ended load = this->load("--messages 12000 --connections 48 --size 700 --batch 100");
  ASSERT_EQ(load.exit_code, 0) << load.out << load.err;
  const MetricsText text = scrape();
  double messages = 0;
  double accepted = 0;
  int busy = 0;
  for (int i = 0; i < shards; ++i) {
    messages += text.at(shard("twinwire_serve_messages_total", i));
    const double here = text.at(shard("twinwire_connections_accepted_total", i));
    accepted += here;
    // Whoever accepted something worked for it; nobody has another one's figures.
    EXPECT_EQ(here != 0, text.at(shard("twinwire_serve_messages_total", i)) != 0 || i == 0);
    if (here != 0) ++busy;
    EXPECT_GT(text.at(shard("twinwire_loop_turns_total", i)), 0);
    EXPECT_GT(text.at(shard("twinwire_loop_busy_seconds_count", i)), 0);
    EXPECT_EQ(text.at(shard("twinwire_serve_sessions", i)), 0);
  }
  EXPECT_EQ(messages, 12'000);
  EXPECT_EQ(accepted, 48 + 1);  // and this scrape
  EXPECT_GT(busy, 1) << "48 connections, all dealt to one of three";
  EXPECT_FALSE(text.has(shard("twinwire_serve_messages_total", shards)));
  server_->signal(SIGINT);
  EXPECT_EQ(server_->wait().exit_code, 0);
}

TEST_F(CliMetrics, while_load_runs_counters_only_grow) {
  start();
  Process load(folder_.path(), {tool_path(), "load", "--connect", address_, "--time", "2s"});
  ASSERT_TRUE(load.says("connections"));
  double messages = 0;
  double received = 0;
  bool saw_sessions = false;
  for (int i = 0; i < 30; ++i) {
    const MetricsText now = scrape();
    EXPECT_GE(now.at(shard("twinwire_serve_messages_total")), messages);
    EXPECT_GT(now.at(shard("twinwire_bytes_received_total")), received);
    messages = now.at(shard("twinwire_serve_messages_total"));
    received = now.at(shard("twinwire_bytes_received_total"));
    saw_sessions = saw_sessions || now.at(shard("twinwire_serve_sessions")) == 4;
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_TRUE(saw_sessions);
  EXPECT_GT(messages, 0);
  const Ended ended = load.wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
}

TEST_F(CliMetrics, over_quic_datagrams_are_counted) {
  server_ = std::make_unique<Process>(
      folder_.path(),
      std::vector<std::string>{tool_path(), "serve", "--listen", "127.0.0.1:0", "--metrics",
                               "127.0.0.1:0", "--transport", "quic", "--self-signed"});
  ASSERT_TRUE(server_->says("/metrics")) << server_->err();
  const std::string out = server_->out();
  const std::size_t at = out.find("127.0.0.1:");
  address_ = out.substr(at, out.find('\n', at) - at);
  metrics_ = metrics_address(out);
  const Ended load = this->load("--transport quic --self-signed --messages 1000");
  ASSERT_EQ(load.exit_code, 0) << load.out << load.err;
  const MetricsText after = scrape();
  EXPECT_EQ(after.at(shard("twinwire_serve_messages_total")), 1000);
  EXPECT_GT(after.at(shard("twinwire_datagrams_received_total")), 0);
  EXPECT_GT(after.at(shard("twinwire_datagrams_sent_total")), 0);
}

TEST_F(CliMetrics, what_is_no_proper_request_is_answered_and_disturbs_nobody) {
  start();
  Process load(folder_.path(), {tool_path(), "load", "--connect", address_, "--time", "2s"});
  ASSERT_TRUE(load.says("connections"));
  struct Case {
    std::string request;
    const char* answer;
  };
  const std::string host = "Host: here\r\n";
  const Case cases[] = {
      {"POST /metrics HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc", "HTTP/1.1 405 "},
      {"DELETE /metrics HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 405 "},
      {"GET / HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 404 "},
      {"GET /metrics/ HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 404 "},
      {"GET /metricss HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 404 "},
      {"GET /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
      {"GET /metrics HTTP/1.1\r\n" + host + host + "\r\n", "HTTP/1.1 400 "},
      {"what is this\r\n\r\n", "HTTP/1.1 400 "},
      {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + "\r\n\r\n",
       "HTTP/1.1 400 "},
      {"GET /metrics HTTP/1.1\r\n" + host + "X: " + std::string(9000, 'x') + "\r\n\r\n",
       "HTTP/1.1 431 "},
      {"GET /" + std::string(100'000, 'x'), "HTTP/1.1 431 "},
      {"GET /metrics?name[]=x HTTP/1.1\r\n" + host + "\r\n", "HTTP/1.1 200 "},
      {"GET /metrics HTTP/1.0\r\n\r\n", "HTTP/1.1 200 "},
      // More requests than one: the first is answered, and that is the end.
      {std::string(get_metrics) + get_metrics, "HTTP/1.1 200 "},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.request.substr(0, 60));
    const std::string answer = ask(one.request);
    EXPECT_TRUE(answer.starts_with(one.answer)) << answer.substr(0, 200);
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_EQ(answer.find("HTTP/1.1", 8), std::string::npos) << "two answers";
  }
  const std::string head = ask("HEAD /metrics HTTP/1.1\r\n" + host + "\r\n");
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
  const Ended ended = load.wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  server_->signal(SIGINT);
  const Ended server = server_->wait();
  EXPECT_EQ(server.exit_code, 0) << server.out << server.err;
  EXPECT_EQ(server.err, "");
}

TEST_F(CliMetrics, a_head_that_comes_byte_by_byte_is_a_head) {
  start();
  const Plain slow(metrics_);
  for (const char c : std::string(get_metrics)) {
    ASSERT_TRUE(slow.send(std::string(1, c)));
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_TRUE(slow.rest().starts_with("HTTP/1.1 200 "));
}

TEST_F(CliMetrics, whoever_says_nothing_or_reads_nothing_is_dropped_and_others_are_served) {
  start();
  // Twice as many as are held at one time; each scrape below finds room all the same.
  std::vector<std::unique_ptr<Plain>> mute;
  mute.reserve(32);
  for (int i = 0; i < 32; ++i) {
    mute.push_back(std::make_unique<Plain>(metrics_));
    if (i % 2 == 0) {
      ASSERT_TRUE(mute.back()->send("GET /metr"));
    }
    const MetricsText now = scrape();
    EXPECT_LE(now.at(shard("twinwire_connections_open")), 17);
  }
  const Ended load = this->load("--messages 1000");
  EXPECT_EQ(load.exit_code, 0) << load.out << load.err;
  // Each is dropped: evicted, or after five seconds.
  for (const auto& one : mute) EXPECT_EQ(one->rest(), "");
  EXPECT_EQ(scrape().at(shard("twinwire_connections_open")), 1);
}

TEST_F(CliMetrics, an_address_in_use_is_one_sentence) {
  start();
  expect_one_sentence(run_tool_in(folder_.path(), tool_path(),
                                  "serve --listen 127.0.0.1:0 --metrics " + to_string(metrics_)),
                      6, "another process listens there");
  expect_one_sentence(run_tool_in(folder_.path(), tool_path(), "serve --metrics here"), 2,
                      "'here' is no address");
}

}  // namespace
}  // namespace twinwire::props
