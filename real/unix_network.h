// SPDX-License-Identifier: Apache-2.0
// UnixNetwork: a Unix-domain socket as a network, so that every transport over streams runs over it unchanged.
//
//   UnixNetwork network(ring_network, *UnixName::parse("/run/it.sock"));
//   auto listener = Tcp::listen(network, background, {}, options);       // or Tls, Ws, Wss; and dial likewise
//
// A network of its own, with one name, and not one more kind of Address: an Address is 18 bytes that are compared,
// hashed and drawn all over, in the World too, which has no file system; a path is up to 108 bytes and never of use to
// anybody between the one who configures it and the kernel. So the Address that is handed to listen() and dial() is not
// looked at, and those of its streams are all zero.
//
// What differs from TCP: a Unix-domain stream has no reset. What abort() leaves the peer with is in docs/sockets.md.
#pragma once

#include "real/ring_network.h"
#include "real/unix_name.h"

namespace twinwire::real {

class UnixNetwork final : public Network {
 public:
  // On the ring of `network`, which outlives this, as whatever `background()` runs does not.
  UnixNetwork(Ring& ring, RingNetwork& network, UnixName name)
      : ring_(&ring), network_(&network), name_(std::move(name)) {}

  // As listen_on() in real/unix_listen.h. The file has the permissions that umask(2) leaves; it goes with the Acceptor.
  // Errors     unreachable (errno tells) · no_resources · unsupported (EINVAL: an option that only TCP has;
  //            EOPNOTSUPP: the ring sends without a copy)
  Result<std::unique_ptr<Acceptor>> listen(const Address&, const ListenOptions& options) override;
  // Suspends   While the listener's backlog is full.
  // Errors     refused (nobody listens there) · unreachable (ENOENT, EACCES, EPROTOTYPE ...) · timed_out · canceled ·
  //            no_resources · unsupported (as above)
  Result<std::unique_ptr<ByteStream>> dial(const Address&, const StreamOptions& options,
                                           Deadline deadline) override;
  // Errors     unsupported: always
  Result<std::unique_ptr<DatagramSocket>> bind(const Address&, const DatagramOptions&) override {
    return Errc::unsupported;
  }

  const UnixName& name() const noexcept { return name_; }

  Scope& background() noexcept override { return network_->background(); }
  Scheduler& scheduler() noexcept override { return network_->scheduler(); }
  Clock& clock() noexcept override { return network_->clock(); }
  Random& random() noexcept override { return network_->random(); }
  BufferPool& buffers() noexcept override { return network_->buffers(); }

 private:
  Result<DescriptorRef> open(const StreamOptions& options) noexcept;

  Ring* ring_;
  RingNetwork* network_;
  UnixName name_;
};

// One sentence for a person: why `name` could not be listened on, or connected to, and what to do about it.
std::string explain_unix(const UnixName& name, const Error& error);

}  // namespace twinwire::real
