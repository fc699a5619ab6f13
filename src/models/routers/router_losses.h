// Auxiliary losses with a gradient; definitions and values at perfect balance in routing/losses.h.
#pragma once

#include <torch/types.h>

#include "switchyard/routing.h"

#include "models/routers/router.h"

namespace switchyard::models {

// indices [N, K]: the choice before capacity, null experts among it; g [N, K]: the gate values of
// it; mask [N] bool or undefined. Only terms with a coefficient are made. The counts in the balance
// loss are constants; its gradient flows through the probabilities.
RouterLosses router_losses(const routing::Config& config, const torch::Tensor& logits,
                           const torch::Tensor& probs, const torch::Tensor& indices,
                           const torch::Tensor& g, const torch::Tensor& mask);

// [E] int64: how often each expert stands in indices where `counted` [N, K] bool is true.
torch::Tensor count_experts(const torch::Tensor& indices, const torch::Tensor& counted,
                            std::int64_t experts);

}  // namespace switchyard::models
