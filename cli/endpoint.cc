// SPDX-License-Identifier: Apache-2.0
#include "cli/endpoint.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "cli/exit_code.h"
#include "real/socket_address.h"

namespace twinwire::cli {
namespace {

constexpr std::string_view unix_prefix = "unix:";

// Whether an interface of this machine has it; the port does not matter.
bool is_of_this_machine(Address address) {
  address.port = 0;
  const real::SocketAddress any_port(address);
  const int fd = ::socket(any_port.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return true;  // nothing speaks against it
  const bool is = ::bind(fd, &any_port.any, any_port.length) == 0 || errno != EADDRNOTAVAIL;
  ::close(fd);
  return is;
}

// Whether a listener at `wide` hears what comes to `other`, too. One at [::] without --v6-only hears IPv4.
bool covers(const Address& wide, bool v6_only, const Address& other) {
  if (wide.ip == other.ip) return true;
  return real::is_wildcard(wide) && (wide.is_v4() == other.is_v4() || (other.is_v4() && !v6_only));
}

constexpr const char* not_ours =
    "no interface of this machine has that address (EADDRNOTAVAIL); `ip address` lists those that "
    "there are";

std::string explain_source(const Address& source, const Error& error) {
  if (!is_of_this_machine(source)) return not_ours;
  const std::string name = error.os_errno == EADDRINUSE ? " (EADDRINUSE)" : " (EADDRNOTAVAIL)";
  if (source.port == 0)
    return "all its ports are taken" + name + "; net.ipv4.ip_local_port_range says which there are";
  return "that port is taken, or was until a minute ago" + name +
         "; choose another port (0: any that is free)";
}

}  // namespace

Endpoint parse_endpoint(const std::string& text, bool to_connect) {
  Endpoint endpoint{.text = text};
  if (text.starts_with(unix_prefix)) {
    auto name = real::UnixName::parse(std::string_view(text).substr(unix_prefix.size()));
    if (!name && name.error() == Errc::too_large)
      bad_usage("'" + text +
                "' is too long: the name of a Unix-domain socket has at most 107 bytes");
    if (!name) bad_usage("'" + text + "' names no socket; write unix:/run/it.sock or unix:@name");
    endpoint.unix_name = std::move(*name);
    return endpoint;
  }
  const auto address = parse_address(text);
  if (!address || (to_connect && address->port == 0))
    bad_usage("'" + text +
              "' is no address; write 127.0.0.1:4000, [::1]:4000, unix:/run/it.sock or unix:@name");
  endpoint.address = *address;
  return endpoint;
}

void require_streams(const Endpoint& endpoint, std::string_view transport, bool over_datagrams,
                     const SocketOptionsText& options) {
  if (over_datagrams) refuse_stream_options(options, transport);
  if (!endpoint.unix_name) {
    if (options.v6_only && endpoint.address.is_v4())
      bad_usage("--v6-only means nothing to the IPv4 address " + endpoint.text +
                ": leave it out, or listen on an IPv6 address such as [::]:4000");
    return;
  }
  if (over_datagrams)
    bad_usage("the transport " + std::string(transport) +
              " runs over datagrams, and a Unix-domain socket here carries streams: choose tcp, "
              "tls, ws or wss");
  const std::string strange =
      options.keepalive + options.user_timeout + options.congestion + options.device + options.bind;
  if (!strange.empty() || options.v6_only || options.reuse_port || options.nagle)
    bad_usage(
        "Unix-domain sockets have no --keepalive, --user-timeout, --congestion, --device, --bind, "
        "--nagle, --v6-only or --reuse-port: leave them out");
}

void require_apart(const Endpoint& listen, bool v6_only, const Endpoint& metrics) {
  const bool same_name = listen.unix_name && metrics.unix_name &&
                         listen.unix_name->text() == metrics.unix_name->text();
  const bool same_port = !listen.unix_name && !metrics.unix_name && listen.address.port != 0 &&
                         listen.address.port == metrics.address.port &&
                         (covers(listen.address, v6_only, metrics.address) ||
                          covers(metrics.address, false, listen.address));
  if (same_name || same_port)
    bad_usage("--metrics " + metrics.text + " and --listen " + listen.text +
              " cannot both be had: give the metrics another port (0: any that is free) or name");
}

std::string explain_listen(const Endpoint& endpoint, const SocketOptionsText& options,
                           const Error& error) {
  const std::string cannot = "cannot listen on " + endpoint.text + ": ";
  if (endpoint.unix_name) return cannot + real::explain_unix(*endpoint.unix_name, error);
  if (error.os_errno == EADDRNOTAVAIL) return cannot + not_ours;
  if (error.os_errno == EADDRINUSE)
    return cannot +
           "another process listens there (EADDRINUSE); stop it, or choose another port (0: any)";
  return cannot + explain(options, error);
}

std::string explain_dial(const Endpoint& endpoint, const SocketOptionsText& options,
                         const Error& error) {
  const std::string cannot = "cannot connect to " + endpoint.text + ": ";
  if (endpoint.unix_name) return cannot + real::explain_unix(*endpoint.unix_name, error);
  if (error.os_errno == EADDRNOTAVAIL || error.os_errno == EADDRINUSE)
    if (const auto source = parse_address(options.bind))
      return "cannot connect from " + options.bind + ": " + explain_source(*source, error);
  return cannot + explain(options, error);
}

std::string peer_name(const Address& peer) {
  return peer == Address{} ? "a process here" : to_string(peer);
}

}  // namespace twinwire::cli
