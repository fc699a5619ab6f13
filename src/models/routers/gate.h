// From logits to gate weights with a gradient; formulas in routing/gate_weights.h.
#pragma once

#include <torch/types.h>

#include "switchyard/routing.h"

namespace switchyard::models {

// [N, R], rows sum to 1: softmax, or sigmoids divided by their sum.
torch::Tensor router_probs(routing::Score score, const torch::Tensor& logits);

// g [N, K]: the gate values before Config::gate, scaling and drops, 0 where indices is kNoExpert or
// a null expert. logits and probs undefined (kinds without router weights): equal shares that sum
// to 1.
torch::Tensor gate_values(const routing::Config& config, const torch::Tensor& logits,
                          const torch::Tensor& probs, const torch::Tensor& indices);

// What stands in front of the experts' outputs [N, K]. valid [N, K] bool: an expert that is no null
// expert.
torch::Tensor apply_gate(const routing::Config& config, const torch::Tensor& g,
                         const torch::Tensor& valid);

}  // namespace switchyard::models
