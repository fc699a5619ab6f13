#include "models/routers/gate.h"

#include <limits>

namespace switchyard::models {
namespace {

// Softmax over the valid entries of each row; 0 elsewhere. A row without valid entries must not
// meet softmax as a row of -inf: its NaN would survive multiplication by 0 in the backward pass.
torch::Tensor softmax_over(const torch::Tensor& values, const torch::Tensor& valid) {
  const auto excluded = (~valid).logical_and(valid.any(1, /*keepdim=*/true));
  return values.masked_fill(excluded, -std::numeric_limits<double>::infinity()).softmax(1) * valid;
}

torch::Tensor equal_shares(const torch::Tensor& valid) {
  return valid / valid.sum(1, /*keepdim=*/true).clamp_min(1);
}

}  // namespace

torch::Tensor router_probs(routing::Score score, const torch::Tensor& logits) {
  // Sigmoids may all underflow; their logarithms do not.
  return score == routing::Score::softmax ? logits.softmax(1)
                                          : torch::log_sigmoid(logits).softmax(1);
}

torch::Tensor gate_values(const routing::Config& config, const torch::Tensor& logits,
                          const torch::Tensor& probs, const torch::Tensor& indices) {
  const auto taken = indices >= 0;
  const bool nulls = config.null_experts > 0;
  const auto valid = nulls ? taken.logical_and(indices < config.experts) : taken;
  if (!logits.defined()) return equal_shares(valid).to(torch::kFloat32);

  const auto safe = indices.clamp_min(0);
  const bool normal = config.renormalize || config.softmax_after_selection;
  if (!normal) {
    const auto chosen = config.score == routing::Score::softmax ? probs.gather(1, safe)
                                                                : logits.gather(1, safe).sigmoid();
    return chosen * valid;
  }
  const auto chosen = logits.gather(1, safe);
  const auto exponents =
      config.score == routing::Score::softmax ? chosen : torch::log_sigmoid(chosen);
  if (config.null_weights == routing::NullWeights::true_only) return softmax_over(exponents, valid);
  return softmax_over(exponents, taken) * valid;
}

torch::Tensor apply_gate(const routing::Config& config, const torch::Tensor& g,
                         const torch::Tensor& valid) {
  torch::Tensor weights;
  switch (config.gate) {
    case routing::Gate::probability:
      weights = g;
      break;
    case routing::Gate::straight_through:
      weights = (1.0 + (g - g.detach())) * valid;  // the difference is 0, its gradient is not
      break;
    case routing::Gate::mass:
      weights = g.sum(1, /*keepdim=*/true) * valid;
      break;
    case routing::Gate::uniform:
      weights = equal_shares(valid).to(g.scalar_type());
      break;
    case routing::Gate::none:
      weights = valid.to(g.scalar_type());
      break;
  }
  return config.scaling_factor == 1.0F ? weights : weights * config.scaling_factor;
}

}  // namespace switchyard::models
