// SPDX-License-Identifier: Apache-2.0
#include "transport/base/plant_list.h"

namespace twinwire::plant {
namespace {

constexpr Entry entries[] = {
#define TWINWIRE_PLANT_ENTRY(name, what, law) {Id::name, #name, what, law, "tcp"},
    TWINWIRE_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
#undef TWINWIRE_PLANT_ENTRY
#define TWINWIRE_PLANT_ENTRY(name, what, law) {Id::name, #name, what, law, "tls"},
        TWINWIRE_TLS_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
#undef TWINWIRE_PLANT_ENTRY
#define TWINWIRE_PLANT_ENTRY(name, what, law) {Id::name, #name, what, law, "ws"},
            TWINWIRE_WS_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
#undef TWINWIRE_PLANT_ENTRY
#define TWINWIRE_PLANT_ENTRY(name, what, law) {Id::name, #name, what, law, "wss"},
                TWINWIRE_WSS_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
#undef TWINWIRE_PLANT_ENTRY
#define TWINWIRE_PLANT_ENTRY(name, what, law) {Id::name, #name, what, law, "quic"},
                    TWINWIRE_QUIC_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
#undef TWINWIRE_PLANT_ENTRY
#define TWINWIRE_PLANT_ENTRY(name, what, law) {Id::name, #name, what, law, "tcp"},
                        TWINWIRE_RING_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
                            TWINWIRE_HANDSHAKE_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
                                TWINWIRE_BUS_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
                                    TWINWIRE_BUS_SHARDS_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
                                        TWINWIRE_LOG_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
#undef TWINWIRE_PLANT_ENTRY
#define TWINWIRE_PLANT_ENTRY(name, what, law) {Id::name, #name, what, law, "tls"},
                                            TWINWIRE_HANDSHAKE_TLS_PLANT_LIST(TWINWIRE_PLANT_ENTRY)
#undef TWINWIRE_PLANT_ENTRY
};

}  // namespace

Id active = Id::none;

std::span<const Entry> catalogue() noexcept { return entries; }

bool activate(std::string_view name) noexcept {
  if (name.empty()) {
    active = Id::none;
    return true;
  }
  for (const Entry& entry : entries) {
    if (entry.name != name) continue;
    active = entry.id;
    return true;
  }
  return false;
}

}  // namespace twinwire::plant
