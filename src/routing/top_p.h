// Top-p (Huang 2024): each item takes its best experts until their probabilities, a softmax over
// all E, sum to Config::threshold. A router that is sure takes few experts, one that is not many.
//
//   P_(1) >= P_(2) >= ...      sorted, ties to the lower index
//   t = min{ j : P_(1) + ... + P_(j) >= p }        (> p unless threshold_inclusive)
//   t = clamp(t, min_experts_per_token, K);  p = 1: t = K
//   weights  the probabilities themselves, not renormalised unless asked for: gate_weights.h
//
// Probabilities and their sums are compared in fp32 (summed in double). No sum can stay below t /
// E, so an item never takes more than ceil(p E) experts.
#pragma once

#include "switchyard/routing.h"

namespace switchyard::routing {

void route_top_p(const Config& config, const Inputs& inputs, State& state, Decision& decision);

// The most experts one item can take when at most `cap` are allowed.
int top_p_limit(const Config& config, int cap);

}  // namespace switchyard::routing
