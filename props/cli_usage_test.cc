// SPDX-License-Identifier: Apache-2.0
// Bad usage and bad input: one clear sentence each, exit code 2, and nothing is run.
// ctest: no_tsan
#include <sys/stat.h>

#include "props/cli_process.h"

namespace twinwire::props {
namespace {

struct BadInput {
  const char* arguments;
  const char* sentence;
};

TEST(CliUsage, each_mistake_gets_one_sentence) {
  constexpr BadInput mistakes[] = {
      {"", "say what to do: list, run, hunt"},
      {"frobnicate", "there is no verb 'frobnicate' (there are: list, run"},
      {"replya 1", "there is no verb 'replya'; did you mean 'replay'?"},
      {"run --no-such-option", "--no-such-option"},
      {"run --transport tpc", "there is no transport named 'tpc'; did you mean 'tcp'?"},
      {"run --scenario trafic", "there is no scenario named 'trafic'; did you mean 'traffic'?"},
      {"run --fault short_wriet=0.1",
       "there is no fault named 'short_wriet'; did you mean 'short_write'?"},
      {"hunt --fault crash@nobody=1",
       "'crash@nobody=1' is about a node that traffic does not have"},
      {"run --fault calm=0.5", "'calm=0.5' says no instant"},
      {"run --fault crash=1/5s..2s", "'crash=1/5s..2s' says no time"},
      {"run --fault split@server=1", "'split@server=1' says no place"},
      {"run --fault short_write=1.5", "'short_write=1.5' is not a fault's setting"},
      {"run --fault short_write", "'short_write' is not a fault's setting"},
      {"run --fault short_write=0.5:0", "'short_write=0.5:0' is not a fault's setting"},
      {"run --no-faults --swarm", "--no-faults excludes --swarm"},
      {"run --set depth", "'depth' is not a knob's setting"},
      {"run --set depth=deep", "'depth=deep' is not a knob's setting"},
      {"run --seed minus", "--seed"},
      {"run --world moon", "--world"},
      {"run --plant no_such_plant", "there is no planted bug named 'no_such_plant'"},
      {"hunt --time soon", "'soon' is no duration"},
      {"hunt --seeds 0", "--seeds"},
      {"hunt --jobs 0", "--jobs"},
      {"hunt --hashes", "--hashes needs --seeds"},
      {"hunt --hang-after 0s", "'0s' is no duration"},
      {"run --hang-after 0", "'0' is no duration"},
      {"exhaust --hang-after 0s", "'0s' is no duration"},
      {"list --names transports --transport quic", "--transport asks for the scenarios"},
      {"list --names scenarios --plants", "--plants excludes --names"},
      {"list --names scenarios --transport tpc", "there is no transport named 'tpc'"},
      {"hunt --scenario nowhere", "there is no scenario named 'nowhere'"},
      {"replay", "replay needs one more argument: a seed, or the path of a capsule"},
      {"diff 1", "diff needs one more argument: another"},
      {"run --fault short_write=0.0000001", "'short_write=0.0000001' is not a fault's setting"},
      {"replay no/such/file", "cannot read the capsule no/such/file: No such file or directory"},
      {"replay 1 --as-decisions", "--as-decisions needs a capsule"},
      {"bench sim --transport udp", "there is no transport named 'udp'"},
      {"bench transports --transport udp", "there is no transport named 'udp'"},
      {"bench transports --time soon", "'soon' is no duration"},
      {"bench transports --time 1h", "'1h' is no duration up to a minute"},
      {"bench transports --size 255", "'255' is no whole number from 256 to 1048576"},
      {"bench transports --rounds 0", "--rounds"},
      {"bench real --only strem", "'strem' is no work; there are stream, echo"},
      {"bench real --stream 255x16", "'255x16' is no pair such as 256x256, of 256 to 1048576"},
      {"bench real --stream 256", "'256' is no pair"},
      {"bench real --stream 256x513", "'256x513' is no pair"},
      {"bench real --echo 0x1", "'0x1' is no pair such as 64x16, of 1 to 1000 and 1 to 256"},
      {"bench real --time soon", "'soon' is no duration"},
      {"bench real --rounds 0", "--rounds"},
      {"bench real --one-core --two-cores", "--one-core excludes --two-cores"},
      {"plants --scenario nowhere", "there is no scenario named 'nowhere'"},
      {"serve --listen here", "'here' is no address"},
      {"serve --transport carrier_pigeon", "there is no transport named 'carrier_pigeon'"},
      {"load --connect nowhere:99999", "is no address"},
      {"load --connect 127.0.0.1:0", "is no address"},
      {"load --in-flight 18446744073709551615", "is no whole number from 1 to 10000"},
      {"load --patience 0s", "is no duration"},
      {"run --seed -1", "'-1' is no whole number"},
      {"run --seed 18446744073709551616", "is no whole number"},
      {"run --world ring --trace", "--trace is the World's"},
      {"run --world ring --fault reset=1:5", "--fault is the World's"},
      {"load --size 12", "'12' is no whole number from 256 to 67108864"},
      {"load --time 1s --messages 5", "--messages excludes --time"},
      {"load --bind foo", "'foo' is no address"},
      {"load --transport tls", "whom to trust? give --ca"},
      {"load --transport tls --self-signed --ca it", "--self-signed trusts whoever answers"},
      {"load --keepalive 0s", "--keepalive takes a duration"},
      {"serve --transport tls --self-signed --cert it --key it",
       "--self-signed makes a certificate, and --cert and --key give one: choose"},
      {"serve --v6-only", "--v6-only means nothing to the IPv4 address 127.0.0.1:4000"},
      {"serve --listen 127.0.0.1:4001 --metrics 127.0.0.1:4001",
       "--metrics 127.0.0.1:4001 and --listen 127.0.0.1:4001 cannot both be had"},
      {"serve --listen 0.0.0.0:4001 --metrics 127.0.0.1:4001", "cannot both be had"},
      {"serve --listen [::]:4001 --metrics 127.0.0.1:4001", "cannot both be had"},
      {"serve --listen [::1]:4001 --metrics [::]:4001", "cannot both be had"},
      {"serve --listen unix:it.sock --metrics unix:it.sock", "cannot both be had"},
      {"load --batch 513", "'513' is no whole number from 1 to 512"},
  };
  const TemporaryFolder folder;
  for (const BadInput& mistake : mistakes) {
    SCOPED_TRACE(mistake.arguments);
    const Ended ended = run_tool_in(folder.path(), tool_path(), mistake.arguments);
    expect_one_sentence(ended, 2, mistake.sentence);
    EXPECT_EQ(ended.out, "");
  }
}

TEST(CliUsage, an_empty_value_is_refused) {
  const TemporaryFolder folder;
  for (const char* option :
       {"serve --congestion", "serve --device", "serve --keepalive", "serve --user-timeout",
        "serve --metrics", "serve --transport tls --cert", "serve --transport tls --alpn",
        "serve --transport tls --self-signed --key-log", "load --bind", "load --time",
        "load --device", "load --transport tls --self-signed --server-name", "bench real --svg"}) {
    SCOPED_TRACE(option);
    std::vector<std::string> command = words(tool_path() + " " + option);
    command.emplace_back();
    const Ended ended = Process(folder.path(), command).wait();
    expect_one_sentence(ended, 2, command[command.size() - 2] + ": '' says nothing");
    EXPECT_EQ(ended.out, "");
  }
}

TEST(CliUsage, an_empty_name_is_no_file) {
  const TemporaryFolder folder;
  for (const char* verb : {"hunt --seeds 9 --results", "merge it --results", "minimise 1 -o"}) {
    SCOPED_TRACE(verb);
    std::vector<std::string> command = words(tool_path() + " " + verb);
    command.emplace_back();
    expect_one_sentence(Process(folder.path(), command).wait(), 2, "needs the name of a file");
  }
}

// Known only once the scenario has asked for it.
TEST(CliUsage, a_knob_out_of_its_bounds_is_refused) {
  const TemporaryFolder folder;
  for (const char* knob : {"size=1", "size=99999999999 --set messages=1", "messages=-1"}) {
    SCOPED_TRACE(knob);
    const Ended ended =
        run_tool_in(folder.path(), tool_path(),
                    std::string("run --scenario ping_pong --no-faults --set ") + knob);
    expect_one_sentence(ended, 2, "of ping_pong cannot be");
  }
}

TEST(CliUsage, what_is_no_file_is_no_capsule) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder.path() / "fifo").c_str(), 0600), 0);
  const Ended ended = run_tool_in(folder.path(), tool_path(), "replay ./fifo");
  expect_one_sentence(ended, 2, "it is not a regular file");
}

TEST(CliUsage, output_that_cannot_be_written_is_no_success) {
  const TemporaryFolder folder;
  // Some print from a child process, and some more than fits into one buffer.
  for (const char* verb :
       {"list", "run --no-faults", "run --seed 1 --trace", "trace 1", "replay 1",
        "replay 1 --trace", "replay 1 --verify", "diff 1 2", "trace 1 --in-process"}) {
    SCOPED_TRACE(verb);
    const Ended ended =
        Process(folder.path(), {"/bin/sh", "-c", tool_path() + " " + verb + " > /dev/full"}).wait();
    expect_one_sentence(ended, 6, "cannot write the output: No space left on device");
  }
}

TEST(CliUsage, help_names_the_verbs_and_the_exit_codes) {
  const TemporaryFolder folder;
  const Ended ended = run_tool_in(folder.path(), tool_path(), "--help");
  EXPECT_EQ(ended.exit_code, 0);
  for (const char* part : {"list", "run", "hunt", "merge", "replay", "trace", "diff", "plants",
                           "exhaust", "bench", "serve", "load", "5 nondeterminism"})
    EXPECT_NE(ended.out.find(part), std::string::npos) << part;
  EXPECT_EQ(run_tool_in(folder.path(), tool_path(), "hunt --help").exit_code, 0);
}

TEST(CliUsage, list_shows_what_there_is) {
  const TemporaryFolder folder;
  const Ended ended = run_tool_in(folder.path(), tool_path(), "list");
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  for (const char* part :
       {"tcp", "traffic", "ping_pong", "messages=200", "short_write", "resume_at_wrong_offset"})
    EXPECT_NE(ended.out.find(part), std::string::npos) << part << "\n" << ended.out;
}

TEST(CliUsage, a_capsule_that_cannot_be_is_refused) {
  const TemporaryFolder folder;
  const std::string tool = tool_path();
  const auto replay = [&](const std::string& text) {
    write_file(folder.path() / "it", text);
    return run_tool_in(folder.path(), tool, "replay it");
  };
  expect_one_sentence(replay(""), 2, "it is no capsule");
  expect_one_sentence(replay("GIF89a"), 2, "it is no capsule");
  expect_one_sentence(replay("twinwire-capsule 99\nseed 1\n"), 2,
                      "has format 99, and this build reads format 1");
  expect_one_sentence(replay("twinwire-capsule 1\nscenario traffic\n"), 2, "is truncated");
  expect_one_sentence(replay("twinwire-capsule 1\nchecksum 0123456789abcdef\n"), 2, "is damaged");
}

}  // namespace
}  // namespace twinwire::props
