// SPDX-License-Identifier: Apache-2.0
// ReplicaTable and ClientTable: which connection a peer has now.
//
// Each insertion mints a token, and only its holder can remove it: so that a late clean-up never evicts a newer
// connection of the same peer. A place that is taken is not given away: of two connections the older one wins.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "transport/base/error.h"
#include "transport/base/mix.h"
#include "transport/bus/ids.h"

namespace twinwire::bus {

class Connection;
using Token = std::uint64_t;  // 0: none

class ReplicaTable {
 public:
  Connection* find(ReplicaId id) const noexcept { return places_[id].connection; }
  Token token_of(ReplicaId id) const noexcept { return places_[id].token; }

  // False: there is one already.
  bool insert(ReplicaId id, Connection& connection, Token token) noexcept {
    if (places_[id].connection != nullptr) return false;
    places_[id] = {&connection, token};
    ++size_;
    return true;
  }
  // False, and nothing done, where that insertion is there no more.
  bool remove(ReplicaId id, Token token) noexcept {
    if (places_[id].connection == nullptr || places_[id].token != token) return false;
    places_[id] = {};
    --size_;
    return true;
  }

  std::size_t size() const noexcept { return size_; }
  // Calls f(Connection&) for each, by id.
  template <class F>
  void for_each(F&& f) const {
    for (const Place& place : places_)
      if (place.connection != nullptr) f(*place.connection);
  }

 private:
  struct Place {
    Connection* connection = nullptr;
    Token token = 0;
  };
  std::array<Place, replicas_max> places_{};
  std::size_t size_ = 0;
};

// Open addressing, at most half full. Its order depends on nothing but the ids and how they came.
class ClientTable {
 public:
  Connection* find(ClientId id) const noexcept {
    return places_.empty() ? nullptr : at(id).connection;
  }
  Token token_of(ClientId id) const noexcept { return places_.empty() ? 0 : at(id).token; }

  // False: there is one already.
  // Errors     no_resources
  Result<bool> insert(ClientId id, Connection& connection, Token token) noexcept;
  // False, and nothing done, where that insertion is there no more.
  bool remove(ClientId id, Token token) noexcept;

  std::size_t size() const noexcept { return size_; }
  template <class F>
  void for_each(F&& f) const {
    for (const Place& place : places_)
      if (place.connection != nullptr) f(*place.connection);
  }

 private:
  struct Place {
    ClientId id;
    Connection* connection = nullptr;  // nullptr: free
    Token token = 0;
  };
  std::size_t home_of(ClientId id) const noexcept {
    return scramble(id.low ^ scramble(id.high)) & (places_.size() - 1);
  }
  // Its place, or the free one where it would come.
  std::size_t index_of(ClientId id) const noexcept {
    std::size_t i = home_of(id);
    while (places_[i].connection != nullptr && places_[i].id != id)
      i = (i + 1) & (places_.size() - 1);
    return i;
  }
  const Place& at(ClientId id) const noexcept { return places_[index_of(id)]; }
  bool grow() noexcept;

  std::vector<Place> places_;  // a power of two
  std::size_t size_ = 0;
};

}  // namespace twinwire::bus
