// The budget loss of a forward pass (Alizadeh 2024, "Duo-LLM", section 2.4): how far the mean
// probabilities of the router's outputs are from their targets. Layers may differ freely as long as
// their mean is right, so it is computed once a pass, over all layers.
#pragma once

#include <cstdint>
#include <span>

#include <torch/types.h>

#include "switchyard/routing.h"

#include "models/forward_context.h"

namespace switchyard::models {

// sum over r of (share[r] - config.budget[r])^2 for the outputs that have a target. `routes`: the
// layers of one pass over `batch` sequences; those without probabilities are left out. A share is
// the mean probability over layers and, as config.budget_scope says, nothing more (token: the loss
// is averaged over items), a sequence's items (sequence: averaged over sequences) or all items
// (batch). mask [B, T] bool, false for padding, or undefined. Undefined if no layer has
// probabilities.
torch::Tensor budget_loss(const routing::LossConfig& config, std::span<const LayerRoute> routes,
                          std::int64_t batch, const torch::Tensor& mask);

}  // namespace switchyard::models
