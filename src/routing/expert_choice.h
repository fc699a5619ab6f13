// Expert choice (Zhou 2022): each expert takes its best items, so every expert has the same load
// and an item gets as many experts as want it, possibly none.
//
// An expert takes min(N, ceil(N * K / E)) items: K is the mean number of experts per item. Scores
// are over all experts of an item (softmax or sigmoid); ties go to the lower item index. Not
// causal: whether an item is taken depends on the items after it, so it is for training and
// encoders. The paper's weights are raw (renormalize = false).
#pragma once

#include "switchyard/routing.h"

namespace switchyard::routing {

void route_expert_choice(const Config& config, const Inputs& inputs, State& state,
                         Decision& decision);

}  // namespace switchyard::routing
