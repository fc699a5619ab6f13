// A trained router (Duo-LLM's third stage) as it is used: mixing its options, choosing one for each
// layer, or giving every token the layers that want the big expert most.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <torch/types.h>

#include "models/decoder.h"
#include "train/oracle/routes.h"

namespace switchyard::train::oracle {

struct RouterEvaluation {
  double soft = 0;   // nats per token: all options, weighted by probability
  double hard = 0;   // the most probable option
  double top_b = 0;  // the big expert in exactly b layers of each token, chosen by the soft pass's
                     // probabilities: not causal in depth, so a measurement, not a decoder
  double soft_share = 0;                 // mean probability of the big expert
  double hard_share = 0;                 // share of (token, layer) that choose it
  std::vector<double> layer_share = {};  // [L]: the hard share of each layer
  double entropy = 0;                    // mean over tokens and layers, nats
};

// windows [S, T + 1] int64. All layers of the model have a router of the same experts.
RouterEvaluation evaluate_router(models::Decoder& model, const torch::Tensor& windows,
                                 int big_layers, std::int64_t batch);

// Mean loss of the model as it stands, without soft mixing, or under one route for all tokens.
double mean_loss(models::Decoder& model, const torch::Tensor& windows, std::int64_t batch,
                 const std::optional<Route>& route = std::nullopt);

}  // namespace switchyard::train::oracle
