#include "base/check.h"
#include "models/routers/choose.h"
#include "models/routers/gate.h"
#include "models/routers/router.h"
#include "models/routers/router_losses.h"

namespace switchyard::models {
namespace {

Choice forced_choice(const RouterInputs& inputs, std::int64_t items, const torch::Device& device) {
  SWITCHYARD_CHECK(inputs.forced.dim() == 2 && inputs.forced.size(0) == items);
  Choice choice;
  choice.indices = inputs.forced.to(device, torch::kInt64);
  return choice;
}

torch::Tensor gate_weights(const routing::Config& config, const RouterInputs& inputs,
                           const torch::Tensor& g, const torch::Tensor& valid) {
  if (inputs.forced_weights.defined()) {
    SWITCHYARD_CHECK(inputs.forced.defined());
    SWITCHYARD_CHECK(inputs.forced_weights.sizes() == inputs.forced.sizes());
    return inputs.forced_weights.to(g.options()) * valid;
  }
  return apply_gate(config, g, valid);
}

}  // namespace

RouterOutput route(const routing::Config& config, const torch::Tensor& given,
                   const torch::Tensor& selection_bias, std::int64_t items,
                   const torch::Device& device, const RouterInputs& inputs, RouterState& state) {
  SWITCHYARD_CHECK(!given.defined() || (given.size(0) == items && given.device() == device));
  const bool scaled = given.defined() && config.inverse_temperature != 1.0F;
  const auto logits = scaled ? given * config.inverse_temperature : given;

  const auto choice = inputs.forced.defined()
                          ? forced_choice(inputs, items, device)
                          : choose(config,
                                   {.logits = given.defined() ? given.detach() : given,
                                    .selection_bias = selection_bias,
                                    .token_ids = inputs.token_ids,
                                    .item_ids = inputs.item_ids,
                                    .items = items,
                                    .experts_per_token = inputs.experts_per_token,
                                    .device = device},
                                   state);

  RouterOutput out;
  out.logits = given;
  if (logits.defined()) out.probs = router_probs(config.score, logits);
  const auto g = gate_values(config, logits, out.probs, choice.indices);
  out.losses = router_losses(config, logits, out.probs, choice.indices, g, inputs.mask);

  auto valid = choice.indices >= 0;
  out.indices = choice.indices;
  const auto count = [&](const torch::Tensor& assignments) {
    return inputs.mask.defined() ? assignments.logical_and(inputs.mask.unsqueeze(1)) : assignments;
  };
  if (config.null_experts > 0) {
    const auto null = choice.indices >= config.experts;
    out.null_count = count(null).sum().item<std::int64_t>();
    valid = valid.logical_and(~null);
    out.indices = out.indices.masked_fill(null, routing::kNoExpert);
  } else if (!config.probabilities.empty()) {  // K is 1: no expert is the share for doing nothing
    out.null_count = count(valid.logical_not()).sum().item<std::int64_t>();
  }
  out.weights = gate_weights(config, inputs, g, valid);
  if (choice.lost.defined()) {
    out.dropped = count(choice.lost).sum().item<std::int64_t>();
    valid = valid.logical_and(~choice.lost);
    out.weights = out.weights * valid;
    out.indices = out.indices.masked_fill(~valid, routing::kNoExpert);
  }
  out.counts = count_experts(out.indices, count(valid), config.experts);
  return out;
}

}  // namespace switchyard::models
