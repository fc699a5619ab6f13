// Sigmoid threshold: each item takes every expert whose score reaches Config::threshold. Scores are
// sigmoids, so experts do not compete: one item may want many, another none.
//
//   s_e = sigmoid(l_e);  taken: s_e >= threshold (> unless threshold_inclusive), best first
//   at least min_experts_per_token of the best, at most K
//   weights  the scores themselves, not renormalised unless asked for: gate_weights.h
//
// The threshold acts on fp32 scores, as the weights do. DeepSeek-V3 scores the same way but takes a
// fixed K; here the count is the router's.
#pragma once

#include "switchyard/routing.h"

namespace switchyard::routing {

void route_sigmoid_threshold(const Config& config, const Inputs& inputs, State& state,
                             Decision& decision);

}  // namespace switchyard::routing
