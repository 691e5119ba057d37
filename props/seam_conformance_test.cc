// SPDX-License-Identifier: Apache-2.0
// The message seam at compile time: what models it, what does not, and that no result can be dropped unseen.
// ctest: no_tsan
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "transport/seam.h"
#include "transport/tcp/tcp.h"

namespace twinwire {
namespace seam_models {  // not anonymous: nothing in here is ever called, and compilers warn of that

// --- TCP models every part -----------------------------------------------------------------------------------------

static_assert(Transport<Tcp>);
static_assert(MessageListener<Tcp::Listener>);
static_assert(MessageConn<Tcp::Conn>);
static_assert(MessageReader<Tcp::Reader>);
static_assert(MessageWriter<Tcp::Writer>);
static_assert(std::same_as<Tcp::Reader, Tcp::Conn::Reader> &&
              std::same_as<Tcp::Writer, Tcp::Conn::Writer>);

// A connection has one owner: its parts move and are never copied.
static_assert(!std::copy_constructible<Tcp::Listener> && !std::copy_constructible<Tcp::Conn> &&
              !std::copy_constructible<Tcp::Reader> && !std::copy_constructible<Tcp::Writer>);
static_assert(!std::copy_constructible<MutableMessage> && std::copy_constructible<Message>);

// --- Types that differ from a model in one point, and do not model it ----------------------------------------------

struct GoodWriter {
  Result<void> send_batch(Batch& batch, Deadline deadline);
  Result<void> close(Duration grace);
};
struct NoSend {
  Result<void> close(Duration grace);
};
struct NoClose {
  Result<void> send_batch(Batch& batch, Deadline deadline);
};
struct SendTakesNoDeadline : GoodWriter {
  Result<void> send_batch(Batch& batch);
};
struct SendSaysHowMany : GoodWriter {  // there is no partial success
  Result<std::size_t> send_batch(Batch& batch, Deadline deadline);
};
struct SendSaysNothing : GoodWriter {
  void send_batch(Batch& batch, Deadline deadline);
};
struct SendThrowsInstead : GoodWriter {
  bool send_batch(Batch& batch, Deadline deadline);
};
struct SendTakesTheBatchAway : GoodWriter {  // it must come back, empty or whole
  Result<void> send_batch(Batch&& batch, Deadline deadline);
};
struct CloseWithoutBound : GoodWriter {
  Result<void> close();
};
struct ImmovableWriter : GoodWriter {
  ImmovableWriter(ImmovableWriter&&) = delete;
};
static_assert(MessageWriter<GoodWriter>);
static_assert(!MessageWriter<NoSend> && !MessageWriter<NoClose>);
static_assert(!MessageWriter<SendTakesNoDeadline> && !MessageWriter<SendSaysHowMany>);
static_assert(!MessageWriter<SendSaysNothing> && !MessageWriter<SendThrowsInstead>);
static_assert(!MessageWriter<SendTakesTheBatchAway> && !MessageWriter<CloseWithoutBound>);
static_assert(!MessageWriter<ImmovableWriter> && !MessageWriter<int>);

struct GoodReader {
  Result<Message> read_message(std::size_t max, Deadline deadline);
};
struct NoRead {};
struct ReadWithoutBound {
  Result<Message> read_message(Deadline deadline);
};
struct ReadWithoutDeadline {
  Result<Message> read_message(std::size_t max);
};
struct ReadGivesBytes {
  Result<Slice> read_message(std::size_t max, Deadline deadline);
};
struct ReadHidesErrors {
  Message read_message(std::size_t max, Deadline deadline);
};
struct ImmovableReader : GoodReader {
  ImmovableReader(ImmovableReader&&) = delete;
};
static_assert(MessageReader<GoodReader>);
static_assert(!MessageReader<NoRead> && !MessageReader<ReadWithoutBound>);
static_assert(!MessageReader<ReadWithoutDeadline> && !MessageReader<ReadGivesBytes>);
static_assert(!MessageReader<ReadHidesErrors> && !MessageReader<ImmovableReader>);

template <class R, class W>
struct ConnOf {
  using Reader = R;
  using Writer = W;
  friend std::pair<R, W> split(ConnOf&& /*conn*/) { std::abort(); }
};
struct GoodConn : ConnOf<GoodReader, GoodWriter> {};
struct NoSplit {
  using Reader = GoodReader;
  using Writer = GoodWriter;
};
struct SplitTheOtherWay {
  using Reader = GoodReader;
  using Writer = GoodWriter;
  friend std::pair<GoodWriter, GoodReader> split(SplitTheOtherWay&& conn);
};
struct SplitWithoutNaming {
  friend std::pair<GoodReader, GoodWriter> split(SplitWithoutNaming&& conn);
};
static_assert(MessageConn<ConnOf<GoodReader, GoodWriter>> && MessageConn<GoodConn>);
static_assert(!MessageConn<ConnOf<NoRead, GoodWriter>> && !MessageConn<ConnOf<GoodReader, NoSend>>);
static_assert(!MessageConn<NoSplit> && !MessageConn<SplitTheOtherWay> &&
              !MessageConn<SplitWithoutNaming>);

struct GoodListener {
  using Conn = GoodConn;
  Result<std::pair<Conn, Address>> accept(Deadline deadline);
  Address local() const;
};
struct NoLocal {
  using Conn = GoodConn;
  Result<std::pair<Conn, Address>> accept(Deadline deadline);
};
struct AcceptHidesThePeer : GoodListener {
  Result<GoodConn> accept(Deadline deadline);
};
struct AcceptWithoutDeadline : GoodListener {
  Result<std::pair<GoodConn, Address>> accept();
};
struct ListenerOfNoConn : GoodListener {
  using Conn = NoSplit;
  Result<std::pair<NoSplit, Address>> accept(Deadline deadline);
};
static_assert(MessageListener<GoodListener>);
static_assert(!MessageListener<NoLocal> && !MessageListener<AcceptHidesThePeer>);
static_assert(!MessageListener<AcceptWithoutDeadline> && !MessageListener<ListenerOfNoConn>);

struct Good {
  static constexpr std::string_view name = "good";
  struct Options {};
  using Listener = GoodListener;
  using Conn = GoodConn;
  static Result<Listener> listen(Network&, Scope&, const Address&, const Options&);
  static Result<Conn> dial(Network&, const Address&, const Options&, Deadline);
};
struct Nameless {
  struct Options {};
  using Listener = GoodListener;
  using Conn = GoodConn;
  static Result<Listener> listen(Network&, Scope&, const Address&, const Options&);
  static Result<Conn> dial(Network&, const Address&, const Options&, Deadline);
};
struct DialsForever : Good {
  static Result<Conn> dial(Network&, const Address&, const Options&);
};
struct ListensWithoutScope : Good {
  static Result<Listener> listen(Network&, const Address&, const Options&);
};
struct OptionsWithoutDefault : Good {
  struct Options {
    explicit Options(int);
  };
  static Result<Listener> listen(Network&, Scope&, const Address&, const Options&);
  static Result<Conn> dial(Network&, const Address&, const Options&, Deadline);
};
struct TwoKindsOfConn : Good {
  using Conn = ConnOf<GoodReader, GoodWriter>;
  static Result<Conn> dial(Network&, const Address&, const Options&, Deadline);
};
static_assert(Transport<Good>);
static_assert(!Transport<Nameless> && !Transport<DialsForever> && !Transport<ListensWithoutScope>);
static_assert(!Transport<OptionsWithoutDefault> && !Transport<TwoKindsOfConn> && !Transport<int>);

}  // namespace seam_models

namespace {

// --- No result is dropped unseen -----------------------------------------------------------------------------------

#ifdef __clang__
const std::string compiler = "clang++-" + std::to_string(__clang_major__);
#else
const std::string compiler = "g++";
#endif

// Which of these bodies a function may not have for a result that nobody looks at, by number: the compiler's only
// complaint.
std::set<std::size_t> refused(const std::vector<std::string>& bodies) {
  std::string path = testing::TempDir() + "twinwire-seam-XXXXXX.cc";
  const int file = ::mkstemps(path.data(), 3);
  if (file < 0) throw std::runtime_error("no temporary file " + path);
  std::string program =
      "#include \"transport/tcp/tcp.h\"\n"
      "using namespace twinwire;\n"
      "struct Given { ByteStream& stream; Network& network; DatagramSocket& datagrams;\n"
      "  FramedWriter& writer; Batch& batch; Scheduler& scheduler; };\n";
  for (std::size_t i = 0; i < bodies.size(); ++i)
    program += "void f" + std::to_string(i) +
               "(Given given) { auto& [stream, network, datagrams, writer, batch, scheduler] = "
               "given;\n#line " +
               std::to_string(1000 + i) + "\n" + bodies[i] + "\n}\n";
  const auto written = ::write(file, program.data(), program.size());
  ::close(file);
  EXPECT_EQ(written, static_cast<ssize_t>(program.size()));
  const std::string command =
      compiler + " -std=c++23 -I. -fsyntax-only -Werror=unused-result '" + path + "' 2>&1";
  std::string output;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  const int status = ::pclose(pipe);
  ::unlink(path.c_str());
  std::set<std::size_t> found;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t at = line.find(" error:");
    if (at == std::string::npos) continue;
    EXPECT_NE(line.find("unused-result"), std::string::npos) << line;
    const std::size_t place = line.find(".cc:");
    const std::size_t number =
        place < at ? std::strtoull(line.c_str() + place + 4, nullptr, 10) : 0;
    EXPECT_TRUE(1000 <= number && number < 1000 + bodies.size()) << line;
    found.insert(number - 1000);
  }
  EXPECT_EQ(status != 0, !found.empty()) << command << "\n" << output;
  return found;
}

TEST(NodiscardTest, using_results_compiles) {
  EXPECT_TRUE(
      refused({"(void)writer.send_batch(batch, {}); if (!stream.read({})) return;"}).empty());
}

TEST(NodiscardTest, a_dropped_result_is_refused_also_through_a_virtual_call) {
  const std::vector<std::string> bodies = {
      "stream.write({}, {});",
      "network.dial({}, {}, {});",
      "datagrams.receive({});",
      "writer.send_batch(batch, {});",
      "scheduler.sleep_for(Duration(1));",
  };
  const std::set<std::size_t> found = refused(bodies);
  for (std::size_t i = 0; i < bodies.size(); ++i) EXPECT_TRUE(found.contains(i)) << bodies[i];
}

}  // namespace
}  // namespace twinwire
