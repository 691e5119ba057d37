// SPDX-License-Identifier: Apache-2.0
#include "cli/endpoint.h"

#include <cerrno>

#include "cli/exit_code.h"

namespace twinwire::cli {
namespace {

constexpr std::string_view unix_prefix = "unix:";

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
  if (!endpoint.unix_name) return;
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

std::string explain_listen(const Endpoint& endpoint, const SocketOptionsText& options,
                           const Error& error) {
  const std::string cannot = "cannot listen on " + endpoint.text + ": ";
  if (endpoint.unix_name) return cannot + real::explain_unix(*endpoint.unix_name, error);
  if (error.os_errno == EADDRINUSE)
    return cannot +
           "another process listens there (EADDRINUSE); stop it, or choose another port (0: any)";
  return cannot + explain(options, error);
}

std::string explain_dial(const Endpoint& endpoint, const SocketOptionsText& options,
                         const Error& error) {
  const std::string cannot = "cannot connect to " + endpoint.text + ": ";
  if (endpoint.unix_name) return cannot + real::explain_unix(*endpoint.unix_name, error);
  return cannot + explain(options, error);
}

std::string peer_name(const Address& peer) {
  return peer == Address{} ? "a process here" : to_string(peer);
}

}  // namespace twinwire::cli
