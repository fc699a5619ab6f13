// Which experts: the part of routing without a gradient. On the CPU the pure functions of
// switchyard::routing decide; on other devices top-k runs as tensor operations, and what is
// sequential by nature decides on the host.
#pragma once

#include <cstdint>

#include <torch/types.h>

#include "switchyard/routing.h"

#include "models/routers/router.h"

namespace switchyard::models {

struct Choice {
  // [N, K'] int64, best first, routing::kNoExpert where there is none; null experts are E and above
  torch::Tensor indices;
  // [N, K'] bool: lost to capacity, whether dropped (the entry of indices stays) or never given a
  // place (it is kNoExpert); undefined: none is.
  torch::Tensor lost;
};

// What routing::route needs besides Config. logits [N, R] carry no gradient.
struct ChooseInputs {
  torch::Tensor logits{};          // [N, R] or undefined
  torch::Tensor selection_bias{};  // [R] or undefined
  torch::Tensor token_ids{};       // [N] or undefined
  torch::Tensor item_ids{};        // [N] or undefined
  std::int64_t items = 0;
  int experts_per_token = 0;  // 0: Config's
  torch::Device device = torch::kCPU;
};

// Picks one of the two below. Throws Error for non-finite logits, naming layer, item and expert.
Choice choose(const routing::Config& config, const ChooseInputs& inputs, const RouterState& state);

// Any kind, by the pure functions; tensors on another device make the trip.
Choice choose_on_host(const routing::Config& config, const ChooseInputs& inputs,
                      const RouterState& state);

// Top-k without next_expert, and top-p, on the device where the logits are.
bool can_choose_on_device(const routing::Config& config);
Choice choose_on_device(const routing::Config& config, const ChooseInputs& inputs,
                        const RouterState& state);

}  // namespace switchyard::models
