// SPDX-License-Identifier: Apache-2.0
// serve and load, as two processes over real sockets: sums, totals, and a killed peer that nobody takes for success.
// ctest: timeout=300
#include <cstring>
#include <thread>

#include "props/cli_process.h"

namespace twinwire::props {
namespace {

using namespace std::chrono_literals;

class CliServe : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = std::make_unique<Process>(
        folder_.path(), std::vector<std::string>{tool_path(), "serve", "--listen", "127.0.0.1:0"});
    ASSERT_TRUE(server_->says("serving tcp on 127.0.0.1:")) << server_->err();
    const std::string line = server_->out();
    address_ = line.substr(line.find("127.0.0.1:"));
    address_.pop_back();
  }
  Ended load(const std::string& arguments) {
    return run_tool_in(folder_.path(), tool_path(), "load --connect " + address_ + " " + arguments);
  }
  Ended stop() {
    server_->signal(SIGINT);
    return server_->wait();
  }

  TemporaryFolder folder_;
  std::unique_ptr<Process> server_;
  std::string address_;
};

TEST_F(CliServe, every_message_comes_back_verified_and_both_count_the_same) {
  const Ended load = this->load("--messages 10000 --connections 3 --size 700 --batch 100");
  EXPECT_EQ(load.exit_code, 0) << load.out << load.err;
  EXPECT_NE(load.out.find("10,000 messages in"), std::string::npos) << load.out;
  EXPECT_NE(load.out.find("messages per second"), std::string::npos) << load.out;
  EXPECT_NE(load.out.find("p99"), std::string::npos) << load.out;
  EXPECT_NE(load.out.find("sums verified"), std::string::npos) << load.out;
  const Ended server = stop();
  EXPECT_EQ(server.exit_code, 0) << server.out << server.err;
  EXPECT_NE(server.out.find("3 ended well, 0 were stopped, 0 broke"), std::string::npos)
      << server.out;
  EXPECT_NE(server.out.find("10,000 messages, 7,000,000 bytes; sums verified"), std::string::npos)
      << server.out;
}

TEST_F(CliServe, one_way_the_servers_count_verifies_it) {
  const Ended load = this->load("--messages 5000 --one-way --size 300");
  EXPECT_EQ(load.exit_code, 0) << load.out << load.err;
  EXPECT_NE(load.out.find("sums verified"), std::string::npos) << load.out;
}

TEST_F(CliServe, a_port_in_use_is_one_sentence) {
  expect_one_sentence(run_tool_in(folder_.path(), tool_path(), "serve --listen " + address_), 6,
                      "another process listens there");
}

// 203.0.113.0/24 is for documentation, and nobody's (RFC 5737).
TEST_F(CliServe, an_address_of_our_own_that_cannot_be_had_is_not_the_peers) {
  const auto tool = [&](const std::string& arguments) {
    return run_tool_in(folder_.path(), tool_path(), arguments);
  };
  const char* not_ours = "no interface of this machine has that address (EADDRNOTAVAIL)";
  expect_one_sentence(tool("serve --listen 203.0.113.7:0"), 6, not_ours);
  expect_one_sentence(tool("serve --transport quic --self-signed --listen 203.0.113.7:0"), 6,
                      not_ours);
  const auto refused = [&](const std::string& arguments, const std::string& sentence) {
    const Ended ended = load("--connections 1 " + arguments);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    EXPECT_NE(ended.err.find(sentence), std::string::npos) << ended.err;
    EXPECT_EQ(ended.err.find("the peer's address"), std::string::npos) << ended.err;
  };
  refused("--bind 203.0.113.7:0", "cannot connect from 203.0.113.7:0: " + std::string(not_ours));
  refused("--bind " + address_, "cannot connect from " + address_ +
                                    ": that port is taken, or was until a minute ago (EADDRINUSE)");
}

TEST_F(CliServe, told_to_stop_load_says_so_and_what_it_has_so_far) {
  for (const int number : {SIGINT, SIGTERM})
    for (const char* end : {"--time", "--messages"}) {
      SCOPED_TRACE(std::string(::strsignal(number)) + " " + end);
      Process load(folder_.path(), {tool_path(), "load", "--connect", address_, end,
                                    end[2] == 't' ? "1h" : "1000000000000"});
      ASSERT_TRUE(load.says("connections"));
      std::this_thread::sleep_for(500ms);
      load.signal(number);
      const Ended ended = load.wait();
      expect_one_sentence(ended, 6, "told to stop before everything was sent");
      EXPECT_NE(ended.out.find("messages per second"), std::string::npos) << ended.out;
      EXPECT_NE(ended.out.find("sums verified"), std::string::npos) << ended.out;
    }
  const Ended server = stop();
  EXPECT_EQ(server.exit_code, 0) << server.out << server.err;
  EXPECT_NE(server.out.find("16 ended well, 0 were stopped, 0 broke"), std::string::npos)
      << server.out;
}

// The server stands still: what is under way does not come back, and is given up.
TEST_F(CliServe, told_to_stop_load_does_not_wait_for_ever) {
  Process load(folder_.path(),
               {tool_path(), "load", "--connect", address_, "--time", "1h", "--patience", "10m"});
  ASSERT_TRUE(load.says("connections"));
  std::this_thread::sleep_for(500ms);
  server_->signal(SIGSTOP);
  std::this_thread::sleep_for(200ms);
  load.signal(SIGTERM);
  load.signal(SIGINT);
  const Ended ended = load.wait();
  server_->signal(SIGCONT);
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  EXPECT_NE(ended.err.find("given up after"), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("told to stop before everything was sent"), std::string::npos)
      << ended.err;
  EXPECT_EQ(ended.out.find("sums verified"), std::string::npos) << ended.out;
}

TEST_F(CliServe, a_server_that_is_killed_is_an_error_and_no_success) {
  Process load(folder_.path(), {tool_path(), "load", "--connect", address_, "--time", "1h"});
  ASSERT_TRUE(load.says("connections"));
  std::this_thread::sleep_for(500ms);
  server_->signal(SIGKILL);
  const Ended ended = load.wait();
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  EXPECT_NE(ended.err.find("the server"), std::string::npos) << ended.err;
  EXPECT_EQ(ended.out.find("sums verified"), std::string::npos) << ended.out;
}

TEST_F(CliServe, a_client_that_is_killed_is_an_error_and_no_success) {
  Process load(folder_.path(),
               {tool_path(), "load", "--connect", address_, "--time", "1h", "--connections", "2"});
  ASSERT_TRUE(load.says("connections"));
  std::this_thread::sleep_for(500ms);
  load.signal(SIGKILL);
  (void)load.wait();
  std::this_thread::sleep_for(200ms);
  const Ended server = stop();
  EXPECT_EQ(server.exit_code, 6) << server.out << server.err;
  EXPECT_NE(server.out.find("2 broke"), std::string::npos) << server.out;
  EXPECT_NE(server.err.find("lost after"), std::string::npos) << server.err;
}

TEST_F(CliServe, ctrl_c_ends_it_in_order_while_clients_are_there) {
  Process load(folder_.path(), {tool_path(), "load", "--connect", address_, "--time", "1h"});
  ASSERT_TRUE(load.says("connections"));
  std::this_thread::sleep_for(500ms);
  const Ended server = stop();
  EXPECT_NE(server.out.find("served     4 connections"), std::string::npos)
      << server.out << server.err;
  const Ended client = load.wait();
  EXPECT_EQ(client.exit_code, 6) << client.out << client.err;
}

TEST(CliLoad, nobody_there_is_an_error) {
  const TemporaryFolder folder;
  const Ended ended =
      run_tool_in(folder.path(), tool_path(), "load --connect 127.0.0.1:1 --connections 1");
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  EXPECT_NE(ended.err.find("cannot connect to 127.0.0.1:1: refused"), std::string::npos)
      << ended.err;
}

TEST(CliRing, without_io_uring_each_verb_says_so_in_one_sentence) {
  const TemporaryFolder folder;
  for (const char* arguments :
       {"serve --listen 127.0.0.1:0", "load", "run --world ring --scenario ping_pong"}) {
    SCOPED_TRACE(arguments);
    expect_one_sentence(
        run_tool_in(folder.path(), tool_path(), arguments, {{"TWINWIRE_FORCE_NO_IOURING", "1"}}), 6,
        "io_uring cannot be used here");
  }
}

TEST(CliRing, the_same_scenario_runs_over_real_sockets) {
  const TemporaryFolder folder;
  const Ended ended =
      run_tool_in(folder.path(), tool_path(), "run --world ring --scenario ping_pong");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("1 connections"), std::string::npos) << ended.out;
}

}  // namespace
}  // namespace twinwire::props
