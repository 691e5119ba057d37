// SPDX-License-Identifier: Apache-2.0
// Unix-domain sockets on a Ring: bytes, the transports over them, and what becomes of the socket's file.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <thread>

#include "props/cli_process.h"
#include "props/ring_fixture.h"
#include "real/unix_listen.h"
#include "real/unix_network.h"
#include "transport/tcp/tcp.h"
#include "transport/wire/header.h"

namespace twinwire::real {
namespace {

class RingUnix : public RingTest {
 protected:
  std::string path(const std::string& name = "socket") const { return folder_.path() / name; }
  static UnixName named(const std::string& text) {
    auto name = UnixName::parse(text);
    EXPECT_TRUE(name.has_value()) << text;
    return *name;
  }
  // What lies there: 's' a socket, 'f' another file, '-' nothing.
  static char kind(const std::string& path) {
    struct stat file{};
    if (::lstat(path.c_str(), &file) != 0) return '-';
    return S_ISSOCK(file.st_mode) ? 's' : 'f';
  }
  // A socket's file whose owner was killed.
  static void leave_dead_socket(const std::string& path, int type = SOCK_STREAM) {
    const int fd = ::socket(AF_UNIX, type, 0);
    sockaddr_un address;
    const socklen_t length = named(path).write(address);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), length), 0);
    ::close(fd);
    ASSERT_EQ(kind(path), 's');
  }
  // run() with a UnixNetwork of that name.
  template <class F>
  Counters run_on(const std::string& name, F&& body) {
    return run({}, [&](RingNetwork& network, Scope& scope) {
      beneath_ = &network;
      UnixNetwork sockets(ring(), network, named(name));
      body(sockets, scope);
    });
  }
  static Error error_of_listen(UnixNetwork& network) {
    auto acceptor = network.listen({}, {});
    EXPECT_FALSE(acceptor.has_value());
    return acceptor ? Error{} : acceptor.error();
  }
  Pair connect_on(UnixNetwork& network, const StreamOptions& options = {}) {
    ListenOptions listening;
    listening.stream = options;
    auto acceptor = network.listen({}, listening);
    EXPECT_TRUE(acceptor.has_value());
    auto near = network.dial({}, options, soon());
    EXPECT_TRUE(near.has_value());
    auto far = (*acceptor)->accept(soon());
    EXPECT_TRUE(far.has_value());
    return {std::move(*near), std::move(*far)};
  }

  props::TemporaryFolder folder_;
  RingNetwork* beneath_ = nullptr;
};

TEST_F(RingUnix, bytes_pass_both_ways_and_end_on_each_side_by_itself) {
  for (const std::string& name : {path(), "@twinwire-test-" + std::to_string(::getpid())}) {
    SCOPED_TRACE(name);
    const Counters counters = run_on(name, [&](UnixNetwork& network, Scope& scope) {
      auto [near, far] = connect_on(network);
      const auto bytes = pattern(3'000'000);
      scope.spawn("writer", [&, stream = near.get()] {
        EXPECT_TRUE(write_all(*stream, bytes, soon()));
        EXPECT_TRUE(stream->shutdown_write(soon()));
      });
      EXPECT_EQ(*read_up_to(*far, bytes.size() + 1, soon()), bytes);
      ASSERT_TRUE(write_all(*far, std::span(bytes).first(1000), soon()));
      ASSERT_TRUE(far->shutdown_write(soon()));
      EXPECT_EQ(read_up_to(*near, 2000, soon())->size(), 1000u);
      scope.join();
    });
    EXPECT_EQ(counters.connections_dialed, 1u);
    EXPECT_EQ(counters.connections_accepted, 1u);
    EXPECT_EQ(counters.resets_met, 0u);
  }
}

TEST_F(RingUnix, the_tcp_transport_runs_over_it_unchanged) {
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    run_scope(ring().scheduler(), [&](Scope& background) {
      auto listener = Tcp::listen(network, background, {}, {});
      ASSERT_TRUE(listener.has_value());
      auto conn = Tcp::dial(network, {}, {}, soon());
      ASSERT_TRUE(conn.has_value());
      auto accepted = listener->accept(soon());
      ASSERT_TRUE(accepted.has_value());
      auto [reader, writer] = split(std::move(*conn));
      auto [far_reader, far_writer] = split(std::move(accepted->first));
      Batch batch(1);
      auto message = MutableMessage::create(network.buffers(), Command::request, 44);
      ASSERT_TRUE(message.has_value());
      batch.push(std::move(*message).freeze());
      ASSERT_TRUE(writer.send_batch(batch, soon()));
      auto got = far_reader.read_message(1000, soon());
      ASSERT_TRUE(got.has_value());
      EXPECT_EQ(got->size(), 300u);
      run_scope(ring().scheduler(), [&](Scope& scope) {
        scope.spawn("closer", [&] { EXPECT_TRUE(far_writer.close(seconds(10))); });
        EXPECT_TRUE(writer.close(seconds(10)));
      });
    });
  });
}

TEST_F(RingUnix, the_file_is_there_while_somebody_listens_and_gone_afterwards) {
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    auto acceptor = network.listen({}, {});
    ASSERT_TRUE(acceptor.has_value());
    EXPECT_EQ(kind(path()), 's');
    acceptor->reset();
    EXPECT_EQ(kind(path()), '-');
    EXPECT_EQ(network.dial({}, {}, soon()).error(), Errc::unreachable);
  });
}

TEST_F(RingUnix, an_abstract_name_makes_no_file) {
  const std::string name = "@twinwire-test-" + std::to_string(::getpid());
  run_on(name, [&](UnixNetwork& network, Scope&) {
    auto acceptor = network.listen({}, {});
    ASSERT_TRUE(acceptor.has_value());
    EXPECT_EQ(kind(name), '-');
    EXPECT_EQ(error_of_listen(network).os_errno, EADDRINUSE);
    acceptor->reset();
    EXPECT_EQ(network.dial({}, {}, soon()).error(), Errc::refused);
    EXPECT_TRUE(network.listen({}, {}).has_value());
  });
}

TEST_F(RingUnix, the_file_of_a_killed_process_is_made_anew) {
  for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
    leave_dead_socket(path(), type);
    run_on(path(), [&](UnixNetwork& network, Scope&) {
      EXPECT_EQ(network.dial({}, {}, soon()).error(), Errc::refused);
      auto [near, far] = connect_on(network);
      EXPECT_NE(far, nullptr);
    });
    EXPECT_EQ(kind(path()), '-');
  }
}

TEST_F(RingUnix, where_somebody_listens_nobody_else_does_and_the_file_stays) {
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    auto acceptor = network.listen({}, {});
    ASSERT_TRUE(acceptor.has_value());
    const Error error = error_of_listen(network);
    EXPECT_EQ(error, Errc::unreachable);
    EXPECT_EQ(error.os_errno, EADDRINUSE);
    EXPECT_NE(explain_unix(network.name(), error).find("another process listens"),
              std::string::npos);
    EXPECT_TRUE(network.dial({}, {}, soon()).has_value());
  });
}

TEST_F(RingUnix, a_full_backlog_is_somebody_who_listens) {
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    auto acceptor = network.listen({}, {.backlog = 0});
    ASSERT_TRUE(acceptor.has_value());
    auto waits = network.dial({}, {}, soon());
    ASSERT_TRUE(waits.has_value());
    EXPECT_EQ(error_of_listen(network).os_errno, EADDRINUSE);
    // And a dial to it waits for room, until its deadline.
    EXPECT_EQ(network.dial({}, {}, in(milliseconds(50))).error(), Errc::timed_out);
    EXPECT_TRUE((*acceptor)->accept(soon()).has_value());
  });
}

TEST_F(RingUnix, a_file_that_is_no_socket_is_never_removed) {
  props::write_file(path(), "precious");
  ASSERT_EQ(::symlink("precious-target", path("link").c_str()), 0);
  ASSERT_EQ(::mkdir(path("folder").c_str(), 0700), 0);
  for (const char* name : {"socket", "link", "folder"}) {
    SCOPED_TRACE(name);
    run_on(path(name), [&](UnixNetwork& network, Scope&) {
      const Error error = error_of_listen(network);
      EXPECT_EQ(error, Errc::unreachable);
      EXPECT_EQ(error.os_errno, ENOTSOCK);
      EXPECT_NE(explain_unix(network.name(), error).find("left alone"), std::string::npos);
    });
    EXPECT_EQ(kind(path(name)), 'f');
  }
  EXPECT_EQ(props::read_file(path()), "precious");
}

TEST_F(RingUnix, a_file_that_took_the_place_of_ours_is_left_alone) {
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    auto acceptor = network.listen({}, {});
    ASSERT_TRUE(acceptor.has_value());
    ASSERT_EQ(::rename(path().c_str(), path("kept").c_str()), 0);
    leave_dead_socket(path());
  });
  EXPECT_EQ(kind(path()), 's');
}

TEST_F(RingUnix, a_folder_that_is_not_there_is_unreachable_and_explained) {
  run_on(path("nowhere/socket"), [&](UnixNetwork& network, Scope&) {
    const Error error = error_of_listen(network);
    EXPECT_EQ(error, Errc::unreachable);
    EXPECT_EQ(error.os_errno, ENOENT);
    EXPECT_NE(explain_unix(network.name(), error).find("does not exist"), std::string::npos);
    EXPECT_EQ(network.dial({}, {}, soon()).error(), Errc::unreachable);
  });
}

TEST_F(RingUnix, a_folder_or_a_socket_without_permission_is_unreachable_and_explained) {
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    auto acceptor = network.listen({}, {});
    ASSERT_TRUE(acceptor.has_value());
    ASSERT_EQ(::chmod(path().c_str(), 0600), 0);
    // root may do everything: become nobody, in a child.
    const pid_t child = ::fork();
    if (child == 0) {
      if (::getuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(100);
      const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un address;
      const socklen_t length = named(path()).write(address);
      const bool connected =
          ::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0;
      const int connecting = connected ? 0 : errno;
      auto listening = listen_on(fd, named(path("another")), 1);
      const bool denied = (connecting == EACCES || ::getuid() != 65534) && !listening &&
                          listening.error() == Errc::unreachable &&
                          listening.error().os_errno == EACCES;
      ::_exit(denied ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 100) GTEST_SKIP() << "cannot become another user here";
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_NE(explain_unix(network.name(), {Errc::unreachable, EACCES}).find("permi"),
              std::string::npos);
  });
}

TEST_F(RingUnix, a_name_holds_107_bytes) {
  EXPECT_EQ(UnixName::parse(std::string(108, 'x')).error(), Errc::too_large);
  EXPECT_EQ(UnixName::parse("@" + std::string(108, 'x')).error(), Errc::too_large);
  EXPECT_EQ(UnixName::parse("").error(), Errc::invalid);
  EXPECT_EQ(UnixName::parse("@").error(), Errc::invalid);
  EXPECT_EQ(UnixName::parse(std::string_view("a\0b", 3)).error(), Errc::invalid);
  // The longest of each kind work, and are told apart to their last byte.
  const std::string full = path(std::string(107 - path("").size(), 'x'));
  ASSERT_EQ(full.size(), 107u);
  const std::string abstract =
      "@" + std::to_string(::getpid()) + std::string(107 - std::to_string(::getpid()).size(), 'y');
  for (const std::string& name : {full, abstract}) {
    run_on(name, [&](UnixNetwork& network, Scope&) {
      auto [near, far] = connect_on(network);
      EXPECT_NE(far, nullptr);
    });
    const std::string shorter = name.substr(0, name.size() - 1);
    run_on(name, [&](UnixNetwork& network, Scope&) {
      auto acceptor = network.listen({}, {});
      UnixNetwork other(ring(), *beneath_, named(shorter));
      EXPECT_FALSE(other.dial({}, {}, soon()).has_value());
    });
  }
}

TEST_F(RingUnix, of_many_that_start_at_one_time_on_a_dead_socket_exactly_one_listens) {
  for (int round = 0; round < 20; ++round) {
    leave_dead_socket(path());
    std::vector<std::thread> starters;
    std::atomic<int> listening = 0;
    std::atomic<int> in_use = 0;
    std::atomic<int> waiting = 8;
    std::vector<UnixFile> files(8);
    std::vector<int> sockets(8);
    for (std::size_t i = 0; i < sockets.size(); ++i)
      starters.emplace_back([&, i] {
        sockets[i] = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        --waiting;
        while (waiting > 0) std::this_thread::yield();
        auto file = listen_on(sockets[i], named(path()), 16);
        if (file) {
          ++listening;
          files[i] = std::move(*file);
        } else if (file.error().os_errno == EADDRINUSE) {
          ++in_use;
        }
      });
    for (std::thread& starter : starters) starter.join();
    EXPECT_EQ(listening, 1);
    EXPECT_EQ(in_use, 7);
    EXPECT_EQ(kind(path()), 's');
    for (const int fd : sockets) ::close(fd);
  }
}

TEST_F(RingUnix, while_another_process_starts_in_the_folder_its_file_is_not_touched) {
  leave_dead_socket(path());
  struct stat before{};
  ASSERT_EQ(::lstat(path().c_str(), &before), 0);
  const int folder = ::open(folder_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(::flock(folder, LOCK_EX), 0);
  std::atomic<bool> listens = false;
  std::thread starter([&] {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto file = listen_on(fd, named(path()), 1);
    listens = file.has_value();
    ::close(fd);
  });
  std::this_thread::sleep_for(milliseconds(30));
  struct stat now{};
  EXPECT_EQ(::lstat(path().c_str(), &now), 0);
  EXPECT_EQ(now.st_ino, before.st_ino);
  ::close(folder);
  starter.join();
  EXPECT_TRUE(listens);
}

TEST_F(RingUnix, an_option_that_only_tcp_has_is_refused) {
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    StreamOptions keepalive;
    keepalive.keepalive_idle = seconds(10);
    StreamOptions timeout;
    timeout.user_timeout = seconds(10);
    StreamOptions device;
    device.device = "lo";
    StreamOptions congestion;
    congestion.congestion = "reno";
    StreamOptions local;
    local.local = loopback;
    for (const StreamOptions& options : {keepalive, timeout, device, congestion, local}) {
      ListenOptions listening;
      listening.stream = options;
      EXPECT_EQ(network.listen({}, listening).error(), Errc::unsupported);
      EXPECT_EQ(network.dial({}, options, soon()).error(), Errc::unsupported);
    }
    EXPECT_EQ(network.listen({}, {.v6_only = true}).error(), Errc::unsupported);
    EXPECT_EQ(network.listen({}, {.reuse_port = true}).error(), Errc::unsupported);
    EXPECT_EQ(network.bind({}, {}).error(), Errc::unsupported);
    EXPECT_EQ(kind(path()), '-');
  });
}

TEST_F(RingUnix, a_ring_that_sends_without_a_copy_is_refused) {
  RingOptions options;
  options.zero_copy_min = 1;
  run(options, [&](RingNetwork& network, Scope&) {
    UnixNetwork sockets(ring(), network, named(path()));
    EXPECT_EQ(sockets.listen({}, {}).error().os_errno, EOPNOTSUPP);
    EXPECT_EQ(sockets.dial({}, {}, soon()).error(), Errc::unsupported);
  });
}

TEST_F(RingUnix, the_send_buffer_holds_on_both_sides_as_it_was_asked_for) {
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    StreamOptions small;
    small.send_buffer = 20'000;
    auto [near, far] = connect_on(network, small);
    int found = 0;
    for (int fd = 0; fd < 1024; ++fd) {
      sockaddr_un peer{};
      socklen_t length = sizeof peer;
      if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) != 0 ||
          peer.sun_family != AF_UNIX)
        continue;
      int value = 0;
      socklen_t size = sizeof value;
      ASSERT_EQ(::getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, &size), 0);
      found += value == 40'000 ? 1 : 0;
    }
    EXPECT_EQ(found, 2);
  });
}

TEST_F(RingUnix, an_abort_reads_as_a_clean_end_unless_data_was_left_unread) {
  run_on(path(), [&](UnixNetwork& network, Scope&) {
    for (const bool unread : {false, true}) {
      auto [near, far] = connect_on(network);
      ASSERT_TRUE(write_all(*near, pattern(100), soon()));
      ASSERT_TRUE(read_up_to(*far, 100, soon()).has_value());
      if (unread) {
        ASSERT_TRUE(write_all(*far, pattern(1), soon()));
      }
      near->abort();
      auto end = far->read(soon());
      if (unread) {
        ASSERT_FALSE(end.has_value());
        EXPECT_EQ(end.error(), Errc::broken);
        EXPECT_EQ(end.error().os_errno, ECONNRESET);
      } else {
        ASSERT_TRUE(end.has_value());
        EXPECT_TRUE(end->empty());
      }
      const iovec piece{&network, 1};
      EXPECT_EQ(far->write({&piece, 1}, soon()).error(), Errc::broken);
    }
  });
}

}  // namespace
}  // namespace twinwire::real
