// SPDX-License-Identifier: Apache-2.0
#include "real/unix_name.h"

#include <cstddef>
#include <cstring>

namespace twinwire::real {

Result<UnixName> UnixName::parse(std::string_view text) {
  if (text.empty() || text == "@" || text.find('\0') != std::string_view::npos)
    return Errc::invalid;
  const bool abstract = text.front() == '@';
  if (text.size() - (abstract ? 1 : 0) > length_max) return Errc::too_large;
  return UnixName(text);
}

std::string UnixName::folder() const {
  const std::size_t slash = text_.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : text_.substr(0, slash);
}

socklen_t UnixName::write(sockaddr_un& address) const noexcept {
  address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, text_.data(), text_.size());
  if (is_abstract()) address.sun_path[0] = '\0';
  // Every byte of an abstract name counts; a path ends with its zero byte.
  const std::size_t bytes = text_.size() + (is_abstract() ? 0 : 1);
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes);
}

}  // namespace twinwire::real
