// Top-k: each item takes its K best experts.
//
//   keys     the logits; with a selection bias: score + bias (DeepSeek-V3). Without a bias logits
//   and scores give the same
//            order, and logits keep apart what probabilities round together
//   groups   only experts of the best groups may be chosen (DeepSeek-V2: max, DeepSeek-V3: sum of
//   the two best) choice   the K largest keys, ties to the lower index capacity drop: the weights
//   are those of the full choice, what does not fit is lost
//            next_expert: the choice is made among the experts that have room
//   weights  gate_weights.h; the bias never enters them
#pragma once

#include "switchyard/routing.h"

namespace switchyard::routing {

void route_top_k(const Config& config, const Inputs& inputs, State& state, Decision& decision);

}  // namespace switchyard::routing
