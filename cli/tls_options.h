// SPDX-License-Identifier: Apache-2.0
// --cert, --key, --ca ...: what `serve` and `load` need to know for transports that encrypt. Files are read here and
// nowhere else; to the others the options mean nothing, and giving them is refused.
#pragma once

#include <string>
#include <vector>

#include "transport/net/network.h"
#include "transport/tls/tls_config.h"

namespace CLI {
class App;
}

namespace twinwire::cli {

struct TlsOptionsText {
  std::string cert;
  std::string key;
  std::string ca;
  std::string server_name;
  std::string key_log;
  std::vector<std::string> alpn;
  bool self_signed = false;

  bool any() const {
    return self_signed || !alpn.empty() || !(cert + key + ca + server_name + key_log).empty();
  }
};

void add_tls_listener_options(CLI::App& verb, TlsOptionsText& text);
void add_tls_dialer_options(CLI::App& verb, TlsOptionsText& text);

// Throws Failure with one sentence where a file cannot be read, or something is missing.
TlsConfig tls_listener_config(const TlsOptionsText& text, Network& network);
TlsConfig tls_dialer_config(const TlsOptionsText& text);
[[noreturn]] void refuse_tls_options(std::string_view transport);

// The options of a transport, with what was given for TLS in it.
template <class T>
typename T::Options listen_options(const TlsOptionsText& text, Network& network) {
  typename T::Options options;
  if constexpr (requires { options.tls; })
    options.tls = tls_listener_config(text, network);
  else if (text.any())
    refuse_tls_options(T::name);
  return options;
}
template <class T>
typename T::Options dial_options(const TlsOptionsText& text) {
  typename T::Options options;
  if constexpr (requires { options.tls; })
    options.tls = tls_dialer_config(text);
  else if (text.any())
    refuse_tls_options(T::name);
  return options;
}

}  // namespace twinwire::cli
