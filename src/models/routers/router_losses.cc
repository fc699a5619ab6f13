#include "models/routers/router_losses.h"

#include <algorithm>
#include <limits>

namespace switchyard::models {
namespace {

// The items that count: rows of everything the losses look at.
struct Rows {
  torch::Tensor logits, probs, indices, g;
  std::int64_t items = 0;
};

Rows without_padding(Rows rows, const torch::Tensor& mask) {
  if (mask.defined()) {
    const auto at = mask.nonzero().squeeze(1);
    for (auto* part : {&rows.logits, &rows.probs, &rows.indices, &rows.g}) {
      *part = part->index_select(0, at);
    }
  }
  rows.items = rows.indices.size(0);
  return rows;
}

torch::Tensor balance_loss(const routing::Config& config, const Rows& rows) {
  const bool first_only = config.losses.balance == routing::LossConfig::Balance::gshard;
  const auto choices = first_only ? rows.indices.narrow(1, 0, 1) : rows.indices;
  const auto counts = count_experts(choices, choices >= 0, config.experts).to(rows.probs.dtype());
  const bool per_item = config.losses.fraction == routing::LossConfig::Fraction::per_item;
  const auto total = per_item ? torch::full_like(counts.sum(), rows.items) : counts.sum();
  const auto fraction = counts / total.clamp_min(1);
  return config.experts * (fraction * rows.probs.mean(0)).sum();
}

torch::Tensor importance_loss(const routing::Config& config, const Rows& rows) {
  // Absent entries have g = 0, so expert 0 may stand in for them.
  const auto importance =
      torch::zeros({config.experts}, rows.g.options())
          .index_add(0, rows.indices.clamp_min(0).reshape({-1}), rows.g.reshape({-1}));
  const auto mean = importance.mean();
  const auto variance = (importance - mean).square().mean();
  return variance / mean.square().clamp_min(std::numeric_limits<float>::min());
}

}  // namespace

torch::Tensor count_experts(const torch::Tensor& indices, const torch::Tensor& counted,
                            std::int64_t experts) {
  return torch::bincount(indices.masked_select(counted), {}, experts);
}

RouterLosses router_losses(const routing::Config& config, const torch::Tensor& logits,
                           const torch::Tensor& probs, const torch::Tensor& indices,
                           const torch::Tensor& g, const torch::Tensor& mask) {
  RouterLosses losses;
  const auto& wanted = config.losses;
  const bool any = wanted.balance_coefficient != 0 || wanted.z_coefficient != 0 ||
                   wanted.importance_coefficient != 0;
  if (!any || !logits.defined()) return losses;

  const auto rows = without_padding({logits, probs, indices, g, 0}, mask);
  const auto zero = [&] { return (logits * 0).sum(); };  // no items: nothing to balance
  if (wanted.balance_coefficient != 0) {
    losses.balance = rows.items == 0 ? zero() : balance_loss(config, rows);
  }
  if (wanted.z_coefficient != 0) {
    losses.z = rows.items == 0 ? zero() : rows.logits.logsumexp(1).square().mean();
  }
  if (wanted.importance_coefficient != 0) {
    losses.importance = rows.items == 0 ? zero() : importance_loss(config, rows);
  }
  return losses;
}

torch::Tensor RouterLosses::total(const routing::LossConfig& config) const {
  torch::Tensor sum;
  const auto add = [&sum](const torch::Tensor& term, float coefficient) {
    if (!term.defined() || coefficient == 0) return;
    sum = sum.defined() ? sum + term * coefficient : term * coefficient;
  };
  add(balance, config.balance_coefficient);
  add(z, config.z_coefficient);
  add(importance, config.importance_coefficient);
  return sum;
}

}  // namespace switchyard::models
