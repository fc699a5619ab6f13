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
//   null experts (Zeng 2024) stand behind the E experts in the row of keys, so an expert wins a tie
//            with one; those chosen are counted, and take up their part of K
#pragma once

#include "switchyard/routing.h"

namespace switchyard::routing {

void route_top_k(const Config& config, const Inputs& inputs, State& state, Decision& decision);

// The same router told to take null experts for experts like any other, R of them. Its decision
// lists every choice; with `config` those of experts are listed and the others counted.
Config listing_nulls(const Config& config);

}  // namespace switchyard::routing
