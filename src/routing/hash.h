// Hash routing (Roller 2021): a token id always goes to the same K experts of a layer, drawn once
// and for all by (seed, layer, token id). Every expert weighs 1 / K; nothing is learned.
#pragma once

#include "switchyard/routing.h"

namespace switchyard::routing {

void route_hash(const Config& config, const Inputs& inputs, State& state, Decision& decision);

}  // namespace switchyard::routing
