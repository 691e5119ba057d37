// SPDX-License-Identifier: Apache-2.0
#include "cli/socket_options.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "cli/exit_code.h"
#include "cli/not_empty.h"
#include "cli/text.h"
#include "cli/whole_number.h"

namespace twinwire::cli {
namespace {

constexpr std::size_t buffer_max = std::size_t{1} << 30;

void add_common_socket_options(CLI::App& verb, SocketOptionsText& text) {
  CLI::Option* keepalive = verb.add_option("--keepalive", text.keepalive,
                                           "ask a peer that was silent so long whether it is there "
                                           "(SO_KEEPALIVE); off by default")
                               ->check(not_empty());
  verb.add_option("--keepalive-interval", text.keepalive_interval,
                  "... again after so long; the kernel's own is 75s")
      ->check(not_empty())
      ->needs(keepalive);
  verb.add_option("--keepalive-probes", text.keepalive_probes,
                  "... and give it up after so many; the kernel's own is 9")
      ->check(whole_number(1, 127))
      ->needs(keepalive);
  verb.add_option("--user-timeout", text.user_timeout,
                  "give a peer up that acknowledged nothing for so long (TCP_USER_TIMEOUT); the "
                  "kernel's own is about 15m")
      ->check(not_empty());
  verb.add_option("--send-buffer", text.send_buffer, "SO_SNDBUF in bytes; unset the kernel adapts")
      ->check(whole_number(1, buffer_max));
  verb.add_option("--receive-buffer", text.receive_buffer,
                  "SO_RCVBUF in bytes; unset the kernel adapts")
      ->check(whole_number(1, buffer_max));
  verb.add_option("--congestion", text.congestion,
                  "congestion control by name, such as reno (TCP_CONGESTION)")
      ->check(not_empty());
  verb.add_option("--device", text.device, "use this network device alone (SO_BINDTODEVICE)")
      ->check(not_empty());
  verb.add_flag("--nagle", text.nagle, "let small writes wait for company (no TCP_NODELAY)");
}

Duration parse_time(const std::string& text, const char* option, Duration least, Duration most) {
  if (text.empty()) return Duration::zero();
  const auto time = parse_duration(text);
  if (!time || *time < least || *time > most)
    bad_usage(std::string(option) + " takes a duration from " + format_duration(least) + " to " +
              format_duration(most) + ", and '" + text + "' is none");
  return *time;
}

// What the kernel gives at most; 0 where it does not say.
std::size_t kernel_limit(const char* name) {
  std::size_t value = 0;
  std::ifstream(std::string("/proc/sys/net/core/") + name) >> value;
  return value;
}

void warn_if_cut(const char* option, std::size_t asked, const char* limit_name) {
  const std::size_t limit = kernel_limit(limit_name);
  if (limit == 0 || asked <= limit) return;
  std::fprintf(stderr, "twinwire: of %s %zu the kernel gives %zu: raise net.core.%s for more\n",
               option, asked, limit, limit_name);
}

}  // namespace

void add_listener_socket_options(CLI::App& verb, SocketOptionsText& text) {
  verb.add_option("--backlog", text.backlog, "connections that may wait to be accepted (listen(2))")
      ->check(whole_number(0, 1'000'000))
      ->capture_default_str();
  verb.add_flag("--v6-only", text.v6_only, "on [::]: IPv6 alone, and not IPv4 as well");
  verb.add_flag("--reuse-port", text.reuse_port,
                "let several servers have this address, if all ask for it (SO_REUSEPORT)");
  add_common_socket_options(verb, text);
}

void add_dialer_socket_options(CLI::App& verb, SocketOptionsText& text) {
  verb.add_option("--bind", text.bind, "connect from this address; port 0: any that is free")
      ->check(not_empty());
  add_common_socket_options(verb, text);
}

void apply(const SocketOptionsText& text, ConnOptions& options) {
  using std::chrono::seconds;
  constexpr seconds keepalive_max(32'767);
  StreamOptions& stream = options.stream;
  stream.keepalive_idle = parse_time(text.keepalive, "--keepalive", seconds(1), keepalive_max);
  stream.keepalive_interval =
      parse_time(text.keepalive_interval, "--keepalive-interval", seconds(1), keepalive_max);
  stream.keepalive_probes = text.keepalive_probes;
  stream.user_timeout = parse_time(text.user_timeout, "--user-timeout",
                                   std::chrono::milliseconds(1), std::chrono::hours(24));
  stream.send_buffer = text.send_buffer;
  stream.receive_buffer = text.receive_buffer;
  warn_if_cut("--send-buffer", text.send_buffer, "wmem_max");
  warn_if_cut("--receive-buffer", text.receive_buffer, "rmem_max");
  stream.congestion = text.congestion.empty() ? nullptr : text.congestion.c_str();
  stream.device = text.device.empty() ? nullptr : text.device.c_str();
  stream.no_delay = !text.nagle;
  if (!text.bind.empty()) {
    const auto from = parse_address(text.bind);
    if (!from) bad_usage("'" + text.bind + "' is no address; write 127.0.0.1:0 or [::1]:0");
    stream.local = *from;
  }
  if (text.backlog > SocketOptionsText{}.backlog)
    warn_if_cut("--backlog", static_cast<std::size_t>(text.backlog), "somaxconn");
  options.backlog = text.backlog;
  options.v6_only = text.v6_only;
  options.reuse_port = text.reuse_port;
}

void refuse_stream_options(const SocketOptionsText& text, std::string_view transport) {
  const bool given = !(text.keepalive + text.user_timeout + text.congestion).empty() ||
                     text.send_buffer != 0 || text.receive_buffer != 0 || text.nagle ||
                     text.reuse_port || text.backlog != SocketOptionsText{}.backlog;
  if (given)
    bad_usage("the transport " + std::string(transport) +
              " runs over datagrams: leave out --keepalive, --user-timeout, --send-buffer, "
              "--receive-buffer, --congestion, --nagle, --reuse-port and --backlog");
}

std::string explain(const SocketOptionsText& text, const Error& error) {
  if (error != Errc::unsupported) return to_string(error);
  switch (error.os_errno) {
    case ENODEV:
      if (text.device.empty()) break;
      return "there is no network device named '" + text.device +
             "' (ENODEV); `ip link` lists them";
    case EPERM:
      if (!text.device.empty())
        return "only a process with CAP_NET_RAW may bind to a device here (EPERM); grant it, or "
               "leave out --device";
      if (!text.congestion.empty())
        return "only a process with CAP_NET_ADMIN may use the congestion control '" +
               text.congestion + "' (EPERM); net.ipv4.tcp_allowed_congestion_control lists others";
      break;
    case ENOENT:
      if (text.congestion.empty()) break;
      return "this kernel has no congestion control named '" + text.congestion +
             "' (ENOENT); net.ipv4.tcp_available_congestion_control lists what it has";
    default: break;
  }
  return to_string(error);
}

}  // namespace twinwire::cli
