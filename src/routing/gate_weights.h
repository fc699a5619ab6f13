// From logits to gate weights, for one item whose experts are already chosen.
//
//   softmax, all experts     g_e = exp(l_e) / sum over all R of exp(l)
//   softmax, renormalised    g_e = exp(l_e) / sum over the chosen of exp(l); the same numbers as
//   softmax over the chosen sigmoid                  g_e = 1 / (1 + exp(-l_e)) sigmoid,
//   renormalised    g_e = s_e / sum over the chosen of s
//
// then Config::gate (probability, straight-through, mass, none), then Config::scaling_factor.
// Null experts (indices at E and above) weigh 0. Renormalised, the chosen are those that are no
// null experts (NullWeights::true_only) or all (all_selected: what null experts would weigh is
// lost). Renormalised weights are computed from differences of logits, so they sum to 1 even where
// every probability underflows.
#pragma once

#include <cstdint>
#include <span>

#include "switchyard/routing.h"

namespace switchyard::routing {

// weight[j] belongs to chosen[j]. logits [R] of the item, finite; chosen holds distinct indices
// below R.
void gate_weights(const Config& config, std::span<const float> logits,
                  std::span<const std::int32_t> chosen, std::span<float> weight);

// Softmax over all R of the chosen: probs[j] belongs to chosen[j].
void chosen_probs(std::span<const float> logits, std::span<const std::int32_t> chosen,
                  std::span<float> probs);

// score[e] of every expert: probability under softmax, or sigmoid. What selection adds its bias to.
void expert_scores(Score score, std::span<const float> logits, std::span<float> scores);

// Probability of every expert, summing to 1: softmax, or sigmoids divided by their sum. What losses
// and statistics see.
void expert_probs(Score score, std::span<const float> logits, std::span<float> probs);

}  // namespace switchyard::routing
