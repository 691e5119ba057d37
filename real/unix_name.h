// SPDX-License-Identifier: Apache-2.0
// UnixName: what a Unix-domain socket is called (unix(7)): a path, or "@name" in the abstract namespace.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>
#include <string_view>

#include "transport/base/error.h"

namespace twinwire::real {

class UnixName {
 public:
  // The kernel's sockaddr_un holds 108 bytes; a path ends with a zero byte there, an abstract name begins with one.
  static constexpr std::size_t length_max = sizeof(sockaddr_un::sun_path) - 1;

  // "/run/it.sock", "it.sock", or "@it". An abstract name belongs to no file, has no permissions (whoever is in the
  // network namespace may connect), and is gone with its listener.
  // Errors     invalid (empty, "@" alone, or a zero byte in it) · too_large (over 107 bytes)
  static Result<UnixName> parse(std::string_view text);

  bool is_abstract() const noexcept { return text_.front() == '@'; }
  const std::string& text() const noexcept { return text_; }
  // The folder that the path's last part lies in; "." where it names none.
  std::string folder() const;
  // Returns the length that goes with it.
  socklen_t write(sockaddr_un& address) const noexcept;

 private:
  explicit UnixName(std::string_view text) : text_(text) {}

  std::string text_;
};

}  // namespace twinwire::real
