// Capacity: how many assignments an expert takes at most.
//
// Items are served in order, each item its experts best first, as in Switch: an early item never
// loses its place to a later one. (GShard serves every item's first choice before any second
// choice; with K = 1 the two agree.)
#pragma once

#include <cstddef>
#include <cstdint>

#include "switchyard/routing.h"

namespace switchyard::routing {

// ceil(factor * N * K / E) with the call's K; 0 means without limit (Config::capacity_factor is 0).
std::uint32_t expert_capacity(const Config& config, std::size_t items, int k);

}  // namespace switchyard::routing
