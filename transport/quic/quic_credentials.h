// SPDX-License-Identifier: Apache-2.0
// QuicCredentials: certificates and keys for QUIC, made of PEM text. Shared and immutable: copies are cheap.
#pragma once

#include <memory>
#include <string>

#include "transport/base/error.h"

namespace twinwire {

// What a side shows and whom it believes, as PEM text. No file is read here.
struct QuicPem {
  std::string certificates;  // the own chain, leaf first; a client may have none
  std::string key;           // of the leaf
  std::string authorities;   // whom to believe; a client with none believes nobody
};

class QuicCredentials {
 public:
  QuicCredentials() noexcept = default;

  // Errors     invalid (a text is no PEM, or the key is not that certificate's) · no_resources
  static Result<QuicCredentials> from_pem(const QuicPem& pem);

  bool empty() const noexcept { return held_ == nullptr; }

  struct Held;  // quic_credentials.cc and quic_engine.cc
  const Held* held() const noexcept { return held_.get(); }

 private:
  std::shared_ptr<const Held> held_;
};

}  // namespace twinwire
