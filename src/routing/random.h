// Random routing: K experts drawn uniformly for every item, a new draw at every step, pass and
// layer. The baseline that a learned router has to beat. Every expert weighs 1 / K.
//
// The draw depends on the item's id (Inputs::item_ids), not on its neighbours: causal, and the same
// in any batch.
#pragma once

#include "switchyard/routing.h"

namespace switchyard::routing {

void route_random(const Config& config, const Inputs& inputs, State& state, Decision& decision);

}  // namespace switchyard::routing
