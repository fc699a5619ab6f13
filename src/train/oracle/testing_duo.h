// A model with a big and a small expert in every layer, for tests of the oracles.
#pragma once

#include <memory>

#include <torch/types.h>
#include <torch/utils.h>

#include "models/decoder.h"
#include "support/tiny_model.h"

namespace switchyard::train::oracle {

inline constexpr int kWindow = 12;  // T

inline ModelConfig duo_config(int layers) {
  auto config = testing_support::tiny_duo();
  config.layers = layers;
  config.context = kWindow;  // sequences fill it
  config.layer_is_moe.assign(static_cast<std::size_t>(layers), true);
  return config;
}

// Weights large enough that routes differ clearly.
inline std::shared_ptr<models::Decoder> duo_model(const ModelConfig& config,
                                                  std::uint64_t seed = 3) {
  auto model = std::make_shared<models::Decoder>(config, seed);
  const torch::NoGradGuard no_grad;
  for (auto& item : model->named_parameters()) {
    if (item.value().dim() > 1) item.value().mul_(8);
  }
  return model;
}

inline torch::Tensor some_windows(const ModelConfig& config, std::int64_t sequences,
                                  std::int64_t length) {
  const auto i = torch::arange(sequences * (length + 1));
  return (i * i * 7 + 3 * i + 1).remainder(config.vocab).view({sequences, length + 1});
}

}  // namespace switchyard::train::oracle
