// SPDX-License-Identifier: Apache-2.0
// PLANT(name): a bug that can be switched on, to prove that a law catches it.
//
// In the shipped archive PLANT(x) is the constant false and leaves no trace. The same sources are compiled once more
// with TWINWIRE_PLANTS defined, as a library that only the tests and `twinwire-planted` link; there one plant at a
// time is switched on by name (twinwire::plant::activate). The catalogue, with what each bug does and the law that
// must catch it, is plant_list.h. PLANT may stand only in .cc files: an inline function would differ between the two.
#pragma once

#ifdef TWINWIRE_PLANTS
#include "transport/base/plant_list.h"
#define PLANT(name) (::twinwire::plant::active == ::twinwire::plant::Id::name)
#else
#define PLANT(name) false
#endif
