// SPDX-License-Identifier: Apache-2.0
#include "transport/bus/peer_tables.h"

#include <exception>
#include <utility>

namespace twinwire::bus {

bool ClientTable::grow() noexcept {
  std::vector<Place> old;
  try {
    old.resize(places_.empty() ? 16 : 2 * places_.size());
  } catch (const std::exception&) {
    return false;
  }
  old.swap(places_);
  for (const Place& place : old)
    if (place.connection != nullptr) places_[index_of(place.id)] = place;
  return true;
}

Result<bool> ClientTable::insert(ClientId id, Connection& connection, Token token) noexcept {
  if (2 * (size_ + 1) > places_.size() && !grow()) return Errc::no_resources;
  Place& place = places_[index_of(id)];
  if (place.connection != nullptr) return false;
  place = {id, &connection, token};
  ++size_;
  return true;
}

bool ClientTable::remove(ClientId id, Token token) noexcept {
  if (places_.empty()) return false;
  std::size_t hole = index_of(id);
  if (places_[hole].connection == nullptr || places_[hole].token != token) return false;
  places_[hole] = {};
  --size_;
  // Those behind it that had to give way to it move up, so that no search ends at the hole too early.
  const std::size_t mask = places_.size() - 1;
  for (std::size_t i = (hole + 1) & mask; places_[i].connection != nullptr; i = (i + 1) & mask) {
    const std::size_t home = home_of(places_[i].id);
    if (((i - home) & mask) < ((i - hole) & mask)) continue;
    places_[hole] = std::exchange(places_[i], {});
    hole = i;
  }
  return true;
}

}  // namespace twinwire::bus
