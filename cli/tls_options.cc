// SPDX-License-Identifier: Apache-2.0
#include "cli/tls_options.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "cli/exit_code.h"
#include "cli/key_log.h"
#include "cli/not_empty.h"
#include "transport/tls/self_signed.h"

namespace twinwire::cli {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  if (!file || !text) bad_usage("cannot read " + path + ": " + std::strerror(errno));
  return std::move(text).str();
}

std::shared_ptr<TlsCredentials> load(const TlsMaterial& material) {
  auto credentials = TlsCredentials::load(material);
  if (!credentials)
    bad_usage(
        "the certificates are of no use: give PEM files, and the key that belongs to the "
        "certificate (" +
        to_string(credentials.error()) + ")");
  return std::move(*credentials);
}

TlsIdentity identity_of(const TlsOptionsText& text) {
  if (text.cert.empty() != text.key.empty())
    bad_usage("--cert and --key belong together: give both");
  return {read_file(text.cert), read_file(text.key)};
}

// Good for a day, from now on.
TlsIdentity self_signed(Network& network) {
  const std::int64_t now = network.clock().unix_now_ns() / 1'000'000'000;
  CertificateSpec spec{"twinwire, self-signed", {}, now - 3600, now + 86'400, 1};
  auto authority = mint_authority(network.random(), spec);
  spec = {"localhost", {"localhost", "127.0.0.1", "::1"}, now - 3600, now + 86'400, 2};
  auto identity = authority ? mint_certificate(network.random(), spec, *authority) : authority;
  if (!identity) bad_usage("cannot make a certificate: " + to_string(identity.error()));
  return std::move(*identity);
}

void add_common_options(CLI::App& verb, TlsOptionsText& text) {
  verb.add_option("--alpn", text.alpn,
                  "names of application protocols, the one preferred first: the handshake fails "
                  "unless the peer knows one of them")
      ->delimiter(',')
      ->check(not_empty());
  verb.add_option("--key-log", text.key_log,
                  "append every session's secrets to this file, for a packet analyser: whoever has "
                  "it can read everything")
      ->check(not_empty());
}

// As many, and as long, as the library takes.
std::vector<std::string> protocols_of(const TlsOptionsText& text) {
  constexpr std::size_t names_max = 8;
  constexpr std::size_t length_max = 32;
  for (const std::string& name : text.alpn)
    if (name.empty() || name.size() > length_max || text.alpn.size() > names_max)
      bad_usage("--alpn takes at most 8 names of 1 to 32 characters");
  return text.alpn;
}

}  // namespace

void add_tls_listener_options(CLI::App& verb, TlsOptionsText& text) {
  verb.add_option("--cert", text.cert, "PEM file: the certificate to show, then its chain")
      ->check(not_empty());
  verb.add_option("--key", text.key, "PEM file: its private key")->check(not_empty());
  verb.add_option("--ca", text.ca, "PEM file: demand client certificates that these vouch for")
      ->check(not_empty());
  verb.add_flag("--self-signed", text.self_signed,
                "a certificate made on the spot; `load --self-signed` does not verify it");
  add_common_options(verb, text);
}

void add_tls_dialer_options(CLI::App& verb, TlsOptionsText& text) {
  verb.add_option("--ca", text.ca, "PEM file: whom to trust")->check(not_empty());
  verb.add_option("--server-name", text.server_name,
                  "whom the certificate must name; the address unless given")
      ->check(not_empty());
  verb.add_option("--cert", text.cert, "PEM file: the certificate to show, if the server asks")
      ->check(not_empty());
  verb.add_option("--key", text.key, "PEM file: its private key")->check(not_empty());
  verb.add_flag("--self-signed", text.self_signed, "do not verify the server: for trying out");
  add_common_options(verb, text);
}

TlsConfig tls_listener_config(const TlsOptionsText& text, Network& network) {
  TlsConfig config;
  TlsMaterial material;
  if (text.self_signed && !(text.cert + text.key).empty())
    bad_usage("--self-signed makes a certificate, and --cert and --key give one: choose");
  if (text.self_signed)
    material.identities.push_back(self_signed(network));
  else if (!text.cert.empty() || !text.key.empty())
    material.identities.push_back(identity_of(text));
  else
    bad_usage(
        "this transport needs a certificate: give --cert and --key, or --self-signed to try it "
        "out");
  if (!text.ca.empty()) {
    material.authorities = read_file(text.ca);
    config.require_client_certificate = true;
  }
  config.credentials = load(material);
  config.credentials->enable_tickets(network.random());
  config.alpn = protocols_of(text);
  if (!text.key_log.empty()) config.key_log = key_log_to(text.key_log);
  return config;
}

TlsConfig tls_dialer_config(const TlsOptionsText& text) {
  TlsConfig config;
  TlsMaterial material;
  if (text.self_signed && !text.ca.empty())
    bad_usage("--self-signed trusts whoever answers, and --ca says whom to trust: choose");
  if (text.ca.empty() && !text.self_signed)
    bad_usage(
        "whom to trust? give --ca, or --self-signed to try it out without verifying the server");
  if (!text.ca.empty()) material.authorities = read_file(text.ca);
  if (!text.cert.empty() || !text.key.empty()) material.identities.push_back(identity_of(text));
  config.credentials = load(material);
  config.server_name = text.server_name;
  config.verify_server = !text.self_signed;
  config.alpn = protocols_of(text);
  if (!text.key_log.empty()) config.key_log = key_log_to(text.key_log);
  return config;
}

void refuse_tls_options(std::string_view transport) {
  bad_usage("the transport " + std::string(transport) +
            " does not encrypt: leave out --cert, --key, --ca, --server-name, --alpn, "
            "--key-log and --self-signed");
}

}  // namespace twinwire::cli
