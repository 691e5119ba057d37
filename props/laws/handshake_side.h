// SPDX-License-Identifier: Apache-2.0
// The honest ends of handshakes between replicas, and the laws that hold whatever somebody between them does.
#pragma once

#include <list>
#include <set>
#include <string>
#include <utility>

#include "props/laws/judge.h"
#include "transport/bus/handshake/handshake.h"

namespace twinwire::laws {

using bus::HandshakeCore;
using bus::HandshakeNonce;
using bus::HandshakeOptions;
using bus::HandshakeRole;
using bus::ReplicaPeer;

// One honest end of one connection.
struct HandshakeSide {
  HandshakeSide(HandshakeRole r, const HandshakeOptions& o, const Result<ChannelBinding>& b,
                const HandshakeNonce& nonce, std::int64_t unix_now_ns)
      : role(r),
        options(o),
        binding(b),
        core(r, options, bus::bytes_of(binding), nonce, unix_now_ns) {}
  HandshakeSide(const HandshakeSide&) = delete;
  HandshakeSide& operator=(const HandshakeSide&) = delete;

  HandshakeRole role;
  HandshakeOptions options;
  Result<ChannelBinding> binding;
  HandshakeCore core;
  bool reported = false;  // its caller was told that the peer is verified
};

class HandshakeLaws {
 public:
  explicit HandshakeLaws(Judge& judge) noexcept : judge_(&judge) {}

  HandshakeSide& begin(HandshakeRole role, const HandshakeOptions& options,
                       const Result<ChannelBinding>& binding, Network& network) {
    const HandshakeNonce nonce = bus::draw_nonce(network.random());
    return sides_.emplace_back(role, options, binding, nonce, network.clock().unix_now_ns());
  }

  // This side's caller is told that the peer is verified, now.
  void reported(HandshakeSide& side, const ReplicaPeer& peer) {
    side.reported = true;
    const bool dialer = side.role == HandshakeRole::dialer;
    judge_->check(has_partner(side, peer), "authentic", [&] {
      return std::string(dialer ? "a dialer" : "an acceptor") + " takes its peer for replica " +
             std::to_string(peer.id) + ", which has not verified it in that handshake";
    });
    const HandshakeNonce& key = side.core.session().dialer;
    judge_->check(!altered_[dialer].contains(key), "authentic",
                  "a message was changed on its way, and its hearer verified the peer");
    judge_->check(!late_.contains(key), "handshake_fresh",
                  "a dialer's first message was older than the window, and it was verified");
    judge_->check(!outdated_.contains(key), "handshake_keys",
                  "a dialer used a key whose time was over, and it was verified");
  }

  // What was done to the handshake whose dialer has that nonce: it is not to be verified by `hearer`, or by nobody.
  void altered(HandshakeRole hearer, const HandshakeNonce& nonce) {
    altered_[hearer == HandshakeRole::dialer].insert(nonce);
  }
  void late(const HandshakeNonce& nonce) { late_.insert(nonce); }
  void outdated(const HandshakeNonce& nonce) { outdated_.insert(nonce); }

  // An acceptor has verified a dialer that began with this nonce.
  bool finished(const HandshakeNonce& nonce) const {
    for (const HandshakeSide& side : sides_)
      if (side.role == HandshakeRole::acceptor && side.core.session().dialer == nonce &&
          side.core.state() == HandshakeCore::State::verified)
        return true;
    return false;
  }

 private:
  // Whether an honest replica of that id had the same handshake: same nonces, same channel, about the same thing; and
  // has verified this side in it. An acceptor reports once the dialer has proven to know it.
  bool has_partner(const HandshakeSide& side, const ReplicaPeer& peer) const {
    std::size_t partners = 0;
    for (const HandshakeSide& other : sides_) {
      const bool knows = other.role == HandshakeRole::acceptor
                             ? other.core.state() == HandshakeCore::State::verified
                             : other.core.peer_proven();
      partners += knows && other.role != side.role && other.core.session() == peer.session &&
                          other.options.id == peer.id &&
                          other.core.claimed_peer() == side.options.id &&
                          other.options.cluster == side.options.cluster &&
                          other.options.plane == side.options.plane &&
                          other.binding.has_value() == side.binding.has_value() &&
                          (!side.binding || *other.binding == *side.binding)
                      ? 1
                      : 0;
    }
    return partners == 1 && peer.session == side.core.session();
  }

  Judge* judge_;
  std::list<HandshakeSide> sides_;
  std::set<HandshakeNonce> altered_[2];  // to be heard by an acceptor, by a dialer
  std::set<HandshakeNonce> late_;
  std::set<HandshakeNonce> outdated_;
};

}  // namespace twinwire::laws
