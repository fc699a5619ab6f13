#include "models/budget_loss.h"

#include <vector>

#include "base/check.h"

namespace switchyard::models {

torch::Tensor budget_loss(const routing::LossConfig& config, std::span<const LayerRoute> routes,
                          std::int64_t batch, const torch::Tensor& mask) {
  std::vector<torch::Tensor> layers;
  const auto outputs = static_cast<std::int64_t>(config.budget.size());
  for (const LayerRoute& route : routes) {
    if (route.probs.defined()) layers.push_back(route.probs.narrow(1, 0, outputs));
  }
  if (layers.empty()) return {};
  // [B, T, outputs]: what every item does on average over the layers.
  const auto mean = torch::stack(layers).mean(0).view({batch, -1, outputs});
  const auto counted = mask.defined() ? mask.view({batch, -1, 1}).to(mean.scalar_type())
                                      : torch::ones({batch, mean.size(1), 1}, mean.options());
  const auto target = torch::tensor(config.budget, mean.options());
  // Mean of values [.., outputs] weighted by [.., 1] over the given dimensions.
  const auto weighted_mean = [](const torch::Tensor& values, const torch::Tensor& weight,
                                at::IntArrayRef dimensions) {
    return (values * weight).sum(dimensions) / weight.sum(dimensions).clamp_min(1);
  };
  const auto distance = [&](const torch::Tensor& share) { return (share - target).square(); };
  switch (config.budget_scope) {
    case routing::LossConfig::BudgetScope::token:
      return weighted_mean(distance(mean), counted, {0, 1}).sum();
    case routing::LossConfig::BudgetScope::sequence: {
      // A sequence that is all padding does not count.
      const auto has_items = (counted.sum(1) > 0).to(mean.scalar_type());  // [B, 1]
      return weighted_mean(distance(weighted_mean(mean, counted, {1})), has_items, {0}).sum();
    }
    case routing::LossConfig::BudgetScope::batch:
      return distance(weighted_mean(mean, counted, {0, 1})).sum() *
             (counted.sum() > 0).to(mean.scalar_type());
  }
  SWITCHYARD_CHECK(false);
}

}  // namespace switchyard::models
