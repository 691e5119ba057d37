// SPDX-License-Identifier: Apache-2.0
#include "props/oracle/private_network.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace twinwire::oracle {
namespace {

constexpr const char* wire_name = "heldwire";
constexpr int wire_mtu = 65'535;          // so that a burst is one packet, as in the World
constexpr int wire_packets_max = 10'000;  // on it at one time
constexpr std::size_t ip_header_min = 20;

Error last_error() { return {Errc::unsupported, errno}; }

ifreq request_for(const char* device) {
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  return request;
}

// Sets one property of a network device by its ioctl.
template <class Set>
bool configure(const char* device, unsigned long what, Set set) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  ifreq request = request_for(device);
  set(request);
  const bool done = ::ioctl(fd, what, &request) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  return done;
}

bool bring_up(const char* device) {
  return configure(device, SIOCSIFFLAGS, [](ifreq& r) { r.ifr_flags = IFF_UP | IFF_RUNNING; });
}

void set_address(ifreq& request, std::uint32_t ip) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(ip);
  std::memcpy(&request.ifr_addr, &address, sizeof address);
}

// Adds an IPv6 address to loopback, where none has to be shown to be unique first.
bool add_address6(const Address& address) {
  struct {
    in6_addr ip;
    std::uint32_t prefix_length;
    int device;
  } request{};  // in6_ifreq, whose header does not go with netinet/in.h
  std::memcpy(&request.ip, address.ip.data(), sizeof request.ip);
  request.prefix_length = 128;
  request.device = static_cast<int>(::if_nametoindex("lo"));
  const int fd = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool done = ::ioctl(fd, SIOCSIFADDR, &request) == 0;
  const int error = errno;
  ::close(fd);
  errno = error;
  return done;
}

// The kernel makes a new address fit for use a little later, in a worker of its own.
bool await_address6(const Address& address) {
  sockaddr_in6 place{};
  place.sin6_family = AF_INET6;
  std::memcpy(&place.sin6_addr, address.ip.data(), sizeof place.sin6_addr);
  const int fd = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool bound = false;
  for (int tries = 0; !bound && tries < 2000; ++tries) {
    bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&place), sizeof place) == 0;
    if (!bound) ::usleep(1000);
  }
  const int error = errno;
  ::close(fd);
  errno = error;
  return bound;
}

// Source for destination; in an ICMP error also those of the packet that it quotes.
void turn_round(std::byte* packet, std::size_t size) {
  const auto exchange = [](std::byte* header) {
    std::swap_ranges(header + 12, header + 16, header + 16);
  };
  exchange(packet);
  const std::size_t header = 4 * std::to_integer<std::size_t>(packet[0] & std::byte{15});
  constexpr std::size_t icmp_header = 8;
  constexpr std::byte unreachable{3};
  if (packet[9] == std::byte{IPPROTO_ICMP} && size >= header + icmp_header + ip_header_min &&
      packet[header] == unreachable)
    exchange(packet + header + icmp_header);
}

}  // namespace

namespace {

Result<void> enter_another() {
  if (::unshare(CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
    return last_error();
  // The name with a colon is that of a second address.
  const bool ready =
      bring_up("lo") &&
      configure("lo:1", SIOCSIFADDR, [](ifreq& r) { set_address(r, 0x0a090101); }) &&
      configure("lo:1", SIOCSIFNETMASK, [](ifreq& r) { set_address(r, 0xffffffff); }) &&
      add_address6(loopback_places().own6) && await_address6(loopback_places().own6);
  if (!ready) return last_error();
  return {};
}

}  // namespace

Result<void> enter_private_network() {
  static bool entered = false;
  if (entered) return {};
  if (auto another = enter_another(); !another) return another;
  entered = true;
  return {};
}

Result<std::uint16_t> fresh_ports() {
  constexpr std::uint16_t first = 1024;
  constexpr std::uint16_t last = 32'000;  // above are those that the kernel gives
  static std::uint16_t next = first;
  if (next >= last) {
    if (auto another = enter_another(); !another) return another.error();
    next = first;
  }
  return std::exchange(next, static_cast<std::uint16_t>(next + 8));
}

Places loopback_places() {
  Places places;
  places.own4 = Address::v4(10, 9, 1, 1, 0);
  places.own6.ip = {0xfd, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  places.far4 = Address::v4(10, 9, 1, 2, 0);
  places.far6.ip = {0xfd, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
  places.nobody4 = Address::v4(10, 9, 1, 77, 0);
  return places;
}

Result<std::unique_ptr<HeldWire>> HeldWire::create() {
  const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return last_error();
  std::unique_ptr<HeldWire> wire(new HeldWire(fd));
  ifreq request = request_for(wire_name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(fd, TUNSETIFF, &request) != 0) return last_error();
  const bool ready =
      configure(wire_name, SIOCSIFTXQLEN, [](ifreq& r) { r.ifr_qlen = wire_packets_max; }) &&
      configure(wire_name, SIOCSIFMTU, [](ifreq& r) { r.ifr_mtu = wire_mtu; }) &&
      configure(wire_name, SIOCSIFADDR, [](ifreq& r) { set_address(r, 0x0a090001); }) &&
      configure(wire_name, SIOCSIFNETMASK, [](ifreq& r) { set_address(r, 0xffffff00); }) &&
      bring_up(wire_name);
  if (!ready) return last_error();
  return wire;
}

HeldWire::~HeldWire() { ::close(fd_); }

std::size_t HeldWire::hop() {
  std::vector<std::vector<std::byte>> packets;
  std::vector<std::byte> buffer(wire_mtu + 1);
  for (;;) {
    const ssize_t n = ::read(fd_, buffer.data(), buffer.size());
    if (n < 0) break;
    const bool is_ipv4 = (buffer[0] & std::byte{0xf0}) == std::byte{0x40};
    if (!is_ipv4 || static_cast<std::size_t>(n) < ip_header_min)
      continue;  // the kernel's own IPv6 talk
    // To anybody else: there nobody is.
    if (std::memcmp(buffer.data() + 16, far_host.ip.data() + 12, 4) != 0) continue;
    packets.emplace_back(buffer.begin(), buffer.begin() + n);
  }
  for (std::vector<std::byte>& packet : packets) {
    turn_round(packet.data(), packet.size());
    (void)!::write(fd_, packet.data(), packet.size());
  }
  return packets.size();
}

void HeldWire::settle() {
  while (hop() > 0) {}
}

}  // namespace twinwire::oracle
