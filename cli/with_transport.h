// SPDX-License-Identifier: Apache-2.0
// From a transport's name, known when the tool runs, to its type, known when it is compiled.
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include "props/laws/registry.h"

namespace twinwire::cli {

// Calls f.operator()<T>() for the transport of that index.
template <class F>
void with_transport(std::size_t index, F&& f) {
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    (void)((i == index &&
            (f.template operator()<std::tuple_element_t<i, laws::Transports>>(), true)) ||
           ...);
  }(std::make_index_sequence<laws::transport_count>{});
}

}  // namespace twinwire::cli
