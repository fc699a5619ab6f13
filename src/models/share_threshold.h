// A router that was trained soft for a budget and then chooses hard does not keep that budget: the
// share of items with p > 1/2 is not the mean of p. A threshold on p that is taken from held-out
// text does (Duo-LLM, section 8). It is stored as the router's selection bias, so the runtime needs
// nothing new: with two outputs,
//
//   p_0 + b >= p_1   <=>   p_0 >= threshold,   b = 1 - 2 threshold
#pragma once

#include <memory>
#include <vector>

#include <torch/types.h>

#include "models/decoder.h"

namespace switchyard::models {

// The threshold at or above which `share` (0..1) of the values lie, halfway between two of them.
// Shares of 0 and 1 give thresholds beyond every probability. values: any shape, not empty.
double share_threshold(const torch::Tensor& values, double share);

// The same model whose routers (top-k, two outputs, K = 1) choose output 0 at or above a threshold.
// thresholds: one a layer with experts. Throws Error for other routers.
std::shared_ptr<Decoder> with_thresholds(const Decoder& model,
                                         const std::vector<double>& thresholds);

// Probabilities of output 0 when the model decides hard on `tokens` [B, T], one tensor [B * T] a
// layer with experts: what thresholds are made of.
std::vector<torch::Tensor> first_probabilities(Decoder& model, const torch::Tensor& tokens);

// The model with one threshold for all layers, such that on `tokens` the hard choice of output 0
// has `share` over all layers and items. One for all keeps the differences between layers that
// training gave them. A layer's decisions change what the next ones see, so this is repeated until
// they agree, a few times.
std::shared_ptr<Decoder> calibrate_share(const Decoder& model, const torch::Tensor& tokens,
                                         double share);

}  // namespace switchyard::models
