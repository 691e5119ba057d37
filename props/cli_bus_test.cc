// SPDX-License-Identifier: Apache-2.0
// serve --bus and load --bus as processes: a cluster that survives the kill of each of its processes under load, and
// what goes wrong, told in a sentence.
// ctest: timeout=240 no_tsan
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "props/cli_process.h"
#include "props/plain_connection.h"

namespace twinwire::props {
namespace {

const std::string cluster_key(64, '5');

class CliBus : public ::testing::Test {
 protected:
  Ended tool(const std::string& arguments) {
    return run_tool_in(folder_.path(), tool_path(), arguments);
  }
  void SetUp() override {
    write_file(folder_.path() / "key", cluster_key);
    static int tests = 0;
    own_address_ = "127.1." + std::to_string(::getpid() % 250) + "." + std::to_string(++tests);
  }
  // A cluster of one, on an address of this test's own; it never listens where the arguments are of no use.
  std::string alone(const std::string& more = "") const {
    return "serve --bus --replica 1 --member 1=" + own_address_ + ":10500" +
           " --clients tcp=127.0.0.1:0 --log a.log --cluster-key key " + more;
  }
  std::unique_ptr<Process> start(const std::string& arguments) {
    auto command = words(arguments);
    command.insert(command.begin(), tool_path());
    return std::make_unique<Process>(folder_.path(), command);
  }
  static std::string address_in(const std::string& out) {
    const std::string before = "serving clients over tcp on ";
    const std::size_t at = out.find(before);
    const std::size_t end = out.find('\n', at);
    return at == std::string::npos ? "" : out.substr(at + before.size(), end - at - before.size());
  }

  TemporaryFolder folder_;
  std::string own_address_;
};

TEST_F(CliBus, a_cluster_survives_the_kill_of_each_process_under_load) {
  const auto begun = std::chrono::steady_clock::now();
  const Ended ended =
      tool("load --bus --cluster 3 --kill-each --between 100 --connections 8 --patience 15s");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  for (const char* said :
       {"killed       replica 1, the primary", "killed       replica 2", "killed       replica 3",
        "acknowledged == applied on every replica, exactly once"})
    EXPECT_NE(ended.out.find(said), std::string::npos) << said << "\n" << ended.out;
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
}

// --- What the harness must not take for a success ------------------------------------------------------------------

class CliBusHarness : public CliBus {
 protected:
  std::string log_of(int replica) const {
    return (folder_.path() / "kept" / ("replica" + std::to_string(replica) + ".log")).string();
  }
  // Under load; every log has some entries.
  std::unique_ptr<Process> start_cluster(const std::string& more) {
    auto load = start("load --bus --cluster 3 --connections 4 --folder " +
                      (folder_.path() / "kept").string() + " " + more);
    EXPECT_TRUE(load->says("started ")) << load->err();
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    const auto has_some = [&](int replica) {
      std::error_code error;
      return std::filesystem::file_size(log_of(replica), error) > 5'000 && !error;
    };
    while (!(has_some(1) && has_some(2) && has_some(3)) && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return load;
  }
  // What rots; in the fourth record or so.
  void flip_a_byte_of(int replica) const {
    std::fstream file(log_of(replica), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(2'000);
    const auto byte = static_cast<char>(file.get() ^ 1);
    file.seekp(2'000);
    file.put(byte);
    EXPECT_TRUE(file.good());
  }
  // The process whose arguments name that log.
  int process_of(int replica) const {
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename().string();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      if (read_file(entry.path() / "cmdline").find(log_of(replica)) != std::string::npos)
        return std::stoi(name);
    }
    ADD_FAILURE() << "there is no process of replica " << replica;
    return 0;
  }
};

TEST_F(CliBusHarness, a_replica_that_does_not_catch_up_is_no_progress) {
  auto load = start_cluster("--time 1s --patience 2s");
  std::filesystem::resize_file(log_of(3), 10'000'000);  // its size is never that of the others
  const Ended ended = load->wait();
  EXPECT_EQ(ended.exit_code, 3) << ended.out << ended.err;
  EXPECT_NE(ended.err.find("replica 3 does not catch up: its log has 10,000,000 bytes"),
            std::string::npos)
      << ended.err;
}

TEST_F(CliBusHarness, an_entry_that_one_replica_has_lost_is_a_law_broken) {
  auto load = start_cluster("--time 1s");
  flip_a_byte_of(3);
  const Ended ended = load->wait();
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  EXPECT_NE(ended.err.find("was acknowledged, and stands on 2 of 3 replicas"), std::string::npos)
      << ended.err;
}

TEST_F(CliBusHarness, a_replica_that_dies_is_a_crash) {
  auto load = start_cluster("--time 1s");
  ::kill(process_of(2), SIGABRT);
  const Ended ended = load->wait();
  EXPECT_EQ(ended.exit_code, 4) << ended.out << ended.err;
  EXPECT_NE(ended.err.find("replica 2 ended with 134"), std::string::npos) << ended.err;
}

TEST_F(CliBusHarness, a_log_that_is_found_damaged_after_a_kill_is_a_law_broken) {
  // Where this test was held up, replica 1 has been killed before its file is touched: then the comparison finds it.
  auto load = start_cluster("--kill-each --between 2000");
  flip_a_byte_of(1);
  const Ended ended = load->wait();
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  if (ended.err.find("was acknowledged, and stands on 2 of 3 replicas") != std::string::npos)
    return;
  EXPECT_NE(ended.err.find("replica 1 ended with 2: "), std::string::npos) << ended.err;
  EXPECT_NE(ended.err.find("the log is damaged at byte"), std::string::npos) << ended.err;
  EXPECT_NE(ended.out.find("acknowledged == in the logs of a majority"), std::string::npos)
      << ended.out;
}

TEST_F(CliBusHarness, what_was_lost_is_told_before_how_it_ended) {
  auto load = start_cluster("--time 1s");
  flip_a_byte_of(2);
  flip_a_byte_of(3);
  ::kill(process_of(2), SIGABRT);
  const Ended ended = load->wait();
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  EXPECT_NE(ended.out.find(" on 3 replicas, "), std::string::npos) << ended.out;
  for (const char* said : {"stands on 1 of 3 replicas", "replica 2 ended with 134"})
    EXPECT_NE(ended.err.find(said), std::string::npos) << said << "\n" << ended.err;
}

class CliBusToldToStop : public CliBusHarness {
 protected:
  // The processes of the cluster are gone, and so is what we have made.
  void expect_nothing_left(const Ended& ended) const {
    const std::string before = "files in ";
    const std::size_t at = ended.out.find(before) + before.size();
    const std::string folder = ended.out.substr(at, ended.out.find('\n', at) - at);
    ASSERT_TRUE(folder.starts_with(folder_.path().string())) << folder;
    EXPECT_FALSE(std::filesystem::exists(folder)) << folder;
    for (const auto& entry : std::filesystem::directory_iterator("/proc"))
      EXPECT_EQ(read_file(entry.path() / "cmdline").find(folder), std::string::npos) << entry;
  }
  // Its temporary folder is in ours.
  std::unique_ptr<Process> start_unkept(const std::string& arguments) {
    auto command = words(arguments);
    command.insert(command.begin(), tool_path());
    return std::make_unique<Process>(
        folder_.path(), command,
        std::vector<std::pair<std::string, std::string>>{{"TMPDIR", folder_.path().string()}});
  }
};

TEST_F(CliBusToldToStop, what_was_acknowledged_is_compared_before_it_ends) {
  for (const int signal : {SIGINT, SIGTERM}) {
    auto load = start_unkept("load --bus --cluster 3 --kill-each --between 200 --connections 4");
    ASSERT_TRUE(load->says("killed       replica 1")) << load->err();
    load->signal(signal);
    const Ended ended = load->wait();
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    for (const char* said :
         {"acknowledged ", "in the logs  ", "acknowledged == applied on every replica"})
      EXPECT_NE(ended.out.find(said), std::string::npos) << said << "\n" << ended.out;
    EXPECT_NE(ended.err.find("told to stop before everything was done"), std::string::npos)
        << ended.err;
    expect_nothing_left(ended);
  }
}

TEST_F(CliBusToldToStop, told_twice_it_does_not_wait_for_what_hangs_and_compares_all_the_same) {
  auto load = start_cluster("--time 100s --patience 100s");
  const int primary = process_of(1);
  ::kill(primary, SIGSTOP);
  load->signal(SIGTERM);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  load->signal(SIGTERM);
  const Ended ended = load->wait();
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("in the logs  "), std::string::npos) << ended.out;
  EXPECT_NE(ended.err.find("told to stop, and then to stop at once"), std::string::npos)
      << ended.err;
  EXPECT_NE(::kill(primary, 0), 0);
}

TEST_F(CliBus, why_there_was_no_connection_is_told) {
  const auto told = [&](const std::string& arguments, const std::string& why) {
    const Ended ended = tool("load --bus --connections 1 --messages 1 --patience 1s " + arguments);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    EXPECT_NE(ended.err.find("no answer in time"), std::string::npos) << ended.err;
    EXPECT_NE(ended.err.find(why), std::string::npos) << why << "\n" << ended.err;
  };
  told("--connect 127.0.0.1:1", "cannot connect to 127.0.0.1:1: refused");
  told("--connect 127.0.0.1:1 --bind 203.0.113.7:0",
       "cannot connect from 203.0.113.7:0: no interface of this machine has that address");
  const std::string members =
      " --member 1=" + own_address_ + ":10500 --member 2=" + own_address_ + ":10501";
  auto node = start("serve --bus --replica 1 --log a.log --cluster-key key" + members +
                    " --clients tcp=127.0.0.1:0");
  ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
  told("--connect " + address_in(node->out()), "connected, and nothing heard: without a majority");
}

TEST_F(CliBus, a_refusal_names_the_peer) {
  auto node = start("serve --bus --replica 1 --member 1=" + own_address_ +
                    ":10500 --member 2=" + own_address_ + ":10501 --clients tls=" + own_address_ +
                    ":10502 --self-signed --log a.log --cluster-key key --redial-every 100ms");
  ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
  const auto tls = *parse_address(own_address_ + ":10502");
  (void)Plain(tls).send(std::string(300, 'x'));
  const auto err_says = [&](const std::string& text) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (node->err().find(text) == std::string::npos && std::chrono::steady_clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return node->err().find(text) != std::string::npos;
  };
  EXPECT_TRUE(err_says(" was turned away: not a TLS record: handshake")) << node->err();
  EXPECT_TRUE(err_says("twinwire: a client at 127.0.0.1:")) << node->err();
  EXPECT_TRUE(
      err_says("twinwire: a replica at " + own_address_ + ":10501 could not be dialed: refused: "))
      << node->err();
  (void)Plain(*parse_address(own_address_ + ":10500")).send(std::string(300, 'x'));
  EXPECT_TRUE(err_says("twinwire: a replica at 127.0.0.1:")) << node->err();
  EXPECT_TRUE(err_says(" has not proven who it is: ")) << node->err();
  EXPECT_EQ(node->err().find("a process here"), std::string::npos) << node->err();
}

TEST_F(CliBus, clients_that_are_told_good_bye_end_in_order) {
  auto node = start(alone());
  ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
  auto load = start("load --bus --connections 6 --time 60s --connect " + address_in(node->out()));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  node->signal(SIGTERM);
  const Ended ended = node->wait();
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("shutdown   6 connections clean, 0 forced"), std::string::npos)
      << ended.out;
}

TEST_F(CliBus, a_load_that_is_told_to_stop_says_what_was_acknowledged) {
  auto node = start(alone());
  ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
  auto load = start("load --bus --time 60s --connect " + address_in(node->out()));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  load->signal(SIGINT);
  const Ended ended = load->wait();
  EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("acknowledged "), std::string::npos) << ended.out;
  EXPECT_NE(ended.err.find("told to stop before everything was sent"), std::string::npos)
      << ended.err;
}

TEST_F(CliBus, the_same_over_tls_keeps_its_files_where_it_was_told) {
  const Ended ended =
      tool("load --bus --cluster 3 --transport tls --connections 3 --messages 300 --folder kept");
  EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
  EXPECT_NE(ended.out.find("in the logs  300 of the acknowledged"), std::string::npos) << ended.out;
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "kept" / "replica3.log"));
  expect_one_sentence(tool("load --bus --cluster 3 --folder kept"), 2,
                      "there is a key in kept already");
}

TEST_F(CliBus, a_cluster_overwrites_nobody_s_files) {
  const auto kept = folder_.path() / "kept";
  for (const char* name : {"key", "replica2.log", "replica3.out"}) {
    std::filesystem::create_directory(kept);
    write_file(kept / name, "precious");
    expect_one_sentence(tool("load --bus --cluster 3 --messages 10 --folder kept"), 2,
                        "there is a " + std::string(name) + " in kept already");
    EXPECT_EQ(read_file(kept / name), "precious");
    std::filesystem::remove(kept / name);
    EXPECT_TRUE(std::filesystem::is_empty(kept)) << name;
    std::filesystem::create_directory(kept / name);
    expect_one_sentence(tool("load --bus --cluster 3 --messages 10 --folder kept"), 2,
                        "there is a " + std::string(name) + " in kept already");
    std::filesystem::remove_all(kept);
  }
  EXPECT_EQ(tool("load --bus --cluster 1 --messages 10 --folder kept").exit_code, 0);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(kept / "key").permissions(),
            perms::owner_read | perms::owner_write);
}

TEST_F(CliBus, sigterm_drains_and_a_second_start_finds_everything) {
  for (int time = 1; time <= 2; ++time) {
    auto node = start(alone());
    ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
    EXPECT_EQ(node->out().find("the log has 0 entries") != std::string::npos, time == 1)
        << node->out();
    const Ended load =
        tool("load --bus --connect " + address_in(node->out()) + " --connections 2 --messages 100");
    EXPECT_EQ(load.exit_code, 0) << load.out << load.err;
    EXPECT_NE(load.out.find("acknowledged 100 requests of 2 clients"), std::string::npos)
        << load.out;
    node->signal(SIGTERM);
    const Ended ended = node->wait();
    EXPECT_EQ(ended.exit_code, 0) << ended.out << ended.err;
    EXPECT_NE(ended.out.find("tally      " + std::to_string(100 * time) + " requests"),
              std::string::npos)
        << ended.out;
    EXPECT_NE(ended.out.find("shutdown   "), std::string::npos) << ended.out;
  }
}

TEST_F(CliBus, its_metrics_tell_of_the_log_the_bus_and_the_ring) {
  auto node = start(alone("--metrics 127.0.0.1:0"));
  ASSERT_TRUE(node->says("/metrics")) << node->err();
  const Address where = metrics_address(node->out());
  const Ended load =
      tool("load --bus --connect " + address_in(node->out()) + " --connections 2 --messages 100");
  ASSERT_EQ(load.exit_code, 0) << load.out << load.err;
  const MetricsText text = metrics_in(ask_plainly(where, get_metrics));
  // Each client's first request makes it known.
  EXPECT_EQ(text.at("twinwire_log_requests_total"), 102);
  EXPECT_EQ(text.at("twinwire_log_answers_total"), 102);
  EXPECT_EQ(text.at("twinwire_log_requests_applied_total"), 100);
  EXPECT_EQ(text.at("twinwire_log_sessions"), 2);
  for (const char* name : {"last", "synced", "committed", "applied"})
    EXPECT_EQ(
        text.at("twinwire_log_" + std::string(name) + (name[0] == 'l' ? "_entry" : "_entries")),
        102)
        << name;
  EXPECT_EQ(text.at("twinwire_bus_connected_total"), 2);
  EXPECT_EQ(text.at("twinwire_bus_received_total"), 102);
  EXPECT_EQ(text.at("twinwire_bus_handshakes_refused_total{reason=\"bad_tag\"}"), 0);
  EXPECT_GT(text.at("twinwire_io_uring_enters_total{shard=\"0\"}"), 0);
  EXPECT_GT(text.at("twinwire_loop_busy_seconds_count{shard=\"0\"}"), 0);
  EXPECT_EQ(ask_plainly(where, "GET /other HTTP/1.1\r\nHost: here\r\n\r\n").substr(9, 3), "404");
}

TEST_F(CliBus, a_primary_s_metrics_tell_of_each_backup) {
  auto node = start(
      "serve --bus --replica 1 --member 1=" + own_address_ + ":10500 --member 2=" + own_address_ +
      ":10501 --log a.log --cluster-key key --redial-every 100ms --metrics 127.0.0.1:0");
  ASSERT_TRUE(node->says("/metrics")) << node->err();
  const Address where = metrics_address(node->out());
  const auto connected = [&] {
    return metrics_in(ask_plainly(where, get_metrics))
        .at("twinwire_log_backup_connected{replica=\"2\"}");
  };
  EXPECT_EQ(connected(), 0);
  auto backup = start("serve --bus --replica 2 --member 1=" + own_address_ + ":10500 --member 2=" +
                      own_address_ + ":10501 --log b.log --cluster-key key --redial-every 100ms");
  ASSERT_TRUE(backup->says("replicas over tcp")) << backup->err();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (connected() != 1 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(connected(), 1);
}

TEST_F(CliBus, a_log_has_one_process) {
  auto node = start(alone());
  ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
  expect_one_sentence(tool(alone()), 6, "another process has it open");
}

TEST_F(CliBus, a_damaged_log_is_refused_and_left_as_it_is) {
  auto node = start(alone());
  ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
  EXPECT_EQ(tool("load --bus --connect " + address_in(node->out()) + " --messages 50").exit_code,
            0);
  node->signal(SIGTERM);
  (void)node->wait();
  std::string log = read_file(folder_.path() / "a.log");
  log[500] = static_cast<char>(log[500] ^ 1);
  write_file(folder_.path() / "a.log", log);
  expect_one_sentence(tool(alone()), 2, "the log is damaged at byte");
  EXPECT_EQ(read_file(folder_.path() / "a.log"), log);
}

// The number that stands behind that text, in digits and commas.
std::uint64_t number_behind(const std::string& out, const std::string& text) {
  std::uint64_t value = 0;
  for (std::size_t at = out.find(text) + text.size(); at < out.size(); ++at) {
    if (out[at] == ',') continue;
    if (out[at] < '0' || out[at] > '9') break;
    value = 10 * value + static_cast<std::uint64_t>(out[at] - '0');
  }
  return value;
}

// A limit on the size of files stands in for it.
TEST_F(CliBus, a_full_disk_ends_a_replica_with_a_sentence_and_loses_nothing) {
  auto command = words(alone());
  command.insert(command.begin(),
                 {"/bin/sh", "-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"", tool_path()});
  Process limited(folder_.path(), command);
  ASSERT_TRUE(limited.says("replicas over tcp")) << limited.err();
  const Ended load = tool("load --bus --connect " + address_in(limited.out()) +
                          " --connections 2 --messages 10000 --size 2048 --patience 1s");
  EXPECT_EQ(load.exit_code, 6) << load.out << load.err;
  const std::uint64_t acknowledged = number_behind(load.out, "acknowledged ");
  EXPECT_GT(acknowledged, 10U) << load.out;
  const Ended full = limited.wait();
  EXPECT_EQ(full.exit_code, 6) << full.out << full.err;
  EXPECT_NE(full.err.find("twinwire: the log cannot be written: a.log: File too large (EFBIG)"),
            std::string::npos)
      << full.err;
  auto again = start(alone());
  ASSERT_TRUE(again->says("replicas over tcp")) << again->err();
  EXPECT_NE(again->out().find("a torn end of"), std::string::npos) << again->out();
  // A request is answered once all before it are applied.
  const Ended one =
      tool("load --bus --connect " + address_in(again->out()) + " --connections 1 --messages 1");
  EXPECT_EQ(one.exit_code, 0) << one.out << one.err;
  again->signal(SIGTERM);
  EXPECT_GT(number_behind(again->wait().out, "tally      "), acknowledged);
}

TEST_F(CliBus, a_log_of_another_cluster_or_none_is_refused) {
  auto node = start(alone());
  ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
  node->signal(SIGTERM);
  (void)node->wait();
  expect_one_sentence(tool(alone("--cluster 2")), 2, "the log belongs to another cluster");
  write_file(folder_.path() / "a.log", std::string(1000, 'x'));
  expect_one_sentence(tool(alone()), 2, "this is no log of twinwire");
  std::string over_key = alone();
  over_key.replace(over_key.find("a.log"), 5, "key");
  expect_one_sentence(tool(over_key), 2, "this is no log of twinwire");
  EXPECT_EQ(read_file(folder_.path() / "key"), cluster_key);
}

TEST_F(CliBus, a_backup_says_who_is_the_primary) {
  auto backup = start("serve --bus --replica 2 --member 1=" + own_address_ + ":10501" +
                      " --member 2=" + own_address_ + ":10500" +
                      " --clients tcp=127.0.0.1:0 --log b.log --cluster-key key");
  ASSERT_TRUE(backup->says("replicas over tcp")) << backup->err();
  const Ended load =
      tool("load --bus --connections 1 --messages 1 --connect " + address_in(backup->out()));
  EXPECT_EQ(load.exit_code, 6);
  EXPECT_NE(load.err.find("that is a backup: ask the primary"), std::string::npos) << load.err;
}

TEST_F(CliBus, a_request_that_the_log_does_not_take_is_one_sentence) {
  auto node = start(alone());
  ASSERT_TRUE(node->says("replicas over tcp")) << node->err();
  const std::string load = "load --bus --connections 1 --messages 10 --connect ";
  for (const char* size : {" --size 100000", " --size 16777472"}) {
    const Ended ended = tool(load + address_in(node->out()) + size);
    EXPECT_EQ(ended.exit_code, 6) << ended.out << ended.err;
    EXPECT_NE(ended.err.find("the log takes no request of this --size"), std::string::npos)
        << ended.err;
  }
  expect_one_sentence(tool(load + "127.0.0.1:1 --size 16777473"), 2, "a log takes at most");
}

TEST_F(CliBus, a_backup_that_takes_less_than_the_primary_stops_with_a_sentence) {
  const std::string members =
      " --member 1=" + own_address_ + ":10500 --member 2=" + own_address_ + ":10501";
  const std::string rest = " --cluster-key key --redial-every 100ms";
  auto primary = start("serve --bus --replica 1 --log a.log --clients tcp=127.0.0.1:0" + members +
                       rest + " --body-max 100000");
  auto backup = start("serve --bus --replica 2 --log b.log" + members + rest);
  ASSERT_TRUE(primary->says("replicas over tcp")) << primary->err();
  ASSERT_TRUE(backup->says("replicas over tcp")) << backup->err();
  auto load = start("load --bus --connections 1 --messages 10 --size 90000 --connect " +
                    address_in(primary->out()));
  const Ended ended = backup->wait();
  EXPECT_EQ(ended.exit_code, 1) << ended.out << ended.err;
  EXPECT_NE(ended.err.find("is larger than this replica takes: give all replicas the same"),
            std::string::npos)
      << ended.err;
}

TEST_F(CliBus, arguments_that_make_no_sense_are_one_sentence) {
  expect_one_sentence(tool("serve --bus --log a.log --cluster-key key"), 2,
                      "a log needs at least one replica");
  expect_one_sentence(tool("serve --bus --replica 1 --member 2=127.0.0.1:1 --log a.log "
                           "--cluster-key key"),
                      2, "this replica is not one of the log's members");
  expect_one_sentence(tool("serve --bus --member one=127.0.0.1:1 --log a.log --cluster-key key"), 2,
                      "'one' is no id of a replica");
  expect_one_sentence(tool("serve --bus --member 1 --log a.log --cluster-key key"), 2,
                      "'1' is no pair");
  write_file(folder_.path() / "short", "1234");
  expect_one_sentence(tool("serve --bus --member 0=127.0.0.1:1 --log a.log --cluster-key short"), 2,
                      "is not 64 hexadecimal digits");
  expect_one_sentence(tool("serve --bus --member 0=127.0.0.1:1 --log a.log"), 2,
                      "needs the key of its cluster");
  expect_one_sentence(tool("load --kill-each"), 2, "give --bus as well");
  expect_one_sentence(tool("serve --bus --replica 1 --member 1=127.0.0.1:1 --member 2=127.0.0.1:1 "
                           "--log a.log --cluster-key key"),
                      2, "replicas 1 and 2 have the same address 127.0.0.1:1");
  for (const char* end : {"--time 1s", "--messages 100"})
    expect_one_sentence(tool("load --bus --cluster 3 --kill-each " + std::string(end)), 2,
                        "excludes");
}

TEST_F(CliBus, options_of_another_mode_are_refused) {
  struct Case {
    const char* arguments;
    const char* sentence;
  };
  const Case cases[] = {
      {"load --bus --batch 2", "--batch means nothing with --bus"},
      {"load --bus --in-flight 2", "--in-flight means nothing with --bus"},
      {"load --bus --one-way", "--one-way means nothing with --bus"},
      {"load --bus --cluster 3 --connect 127.0.0.1:1", "--connect is for a server that is there"},
      {"load --bus --cluster 3 --ca key", "--ca is for a server that is there"},
      {"load --bus --cluster 3 --between 5", "--between is for --kill-each"},
      {"load --folder here", "--folder is for the files of --cluster"},
      {"load --bus --folder here", "--folder is for the files of --cluster"},
      {"serve --log a.log", "--log is for a replica: give --bus as well"},
      {"serve --replica 1", "--replica is for a replica: give --bus as well"},
      {"serve --cluster-key key", "--cluster-key is for a replica: give --bus as well"},
      {"serve --bus --listen 127.0.0.1:0", "--listen means nothing with --bus"},
      {"serve --bus --transport tls", "--transport means nothing with --bus"},
      {"serve --bus --handshake-timeout 1s", "--handshake-timeout means nothing with --bus"},
  };
  for (const Case& one : cases) expect_one_sentence(tool(one.arguments), 2, one.sentence);
  expect_one_sentence(tool(alone("--self-signed")), 2, "nothing here encrypts");
}

}  // namespace
}  // namespace twinwire::props
