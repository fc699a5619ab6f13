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

// Every null expert counts as their mean.
torch::Tensor averaged_nulls(const torch::Tensor& counts, std::int64_t experts) {
  const auto nulls = counts.narrow(0, experts, counts.size(0) - experts);
  return torch::cat({counts.narrow(0, 0, experts), nulls.mean().expand_as(nulls)});
}

torch::Tensor balance_loss(const routing::Config& config, const Rows& rows) {
  const bool first_only = config.losses.balance == routing::LossConfig::Balance::gshard;
  const auto choices = first_only ? rows.indices.narrow(1, 0, 1) : rows.indices;
  const auto outputs = rows.probs.size(1);
  auto counts = count_experts(choices, choices >= 0, outputs).to(rows.probs.dtype());
  if (config.null_experts > 0 &&
      config.losses.null_balance == routing::LossConfig::NullBalance::averaged) {
    counts = averaged_nulls(counts, config.experts);
  }
  const bool per_item = config.losses.fraction == routing::LossConfig::Fraction::per_item;
  const auto total = per_item ? torch::full_like(counts.sum(), rows.items) : counts.sum();
  const auto fraction = counts / total.clamp_min(1);
  return outputs * (fraction * rows.probs.mean(0)).sum();
}

// A probability that underflows adds nothing, and nothing to the gradient.
torch::Tensor entropy_loss(const Rows& rows) {
  const auto logs = rows.probs.clamp_min(std::numeric_limits<float>::min()).log();
  return -(rows.probs * logs).sum(1).mean();
}

torch::Tensor importance_loss(const routing::Config& config, const Rows& rows) {
  // Absent entries and null experts have g = 0, so any expert may stand in for them.
  const auto safe = rows.indices.clamp(0, config.experts - 1);
  const auto importance = torch::zeros({config.experts}, rows.g.options())
                              .index_add(0, safe.reshape({-1}), rows.g.reshape({-1}));
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
                   wanted.importance_coefficient != 0 || wanted.entropy_coefficient != 0;
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
  if (wanted.entropy_coefficient != 0) {
    losses.entropy = rows.items == 0 ? zero() : entropy_loss(rows);
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
  add(entropy, config.entropy_coefficient);
  return sum;
}

}  // namespace switchyard::models
