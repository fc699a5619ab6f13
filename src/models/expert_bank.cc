#include "models/expert_bank.h"

#include "base/check.h"
#include "models/expert_paths.h"

namespace switchyard::models {

ExpertBankImpl::ExpertBankImpl(std::int64_t slots, std::int64_t width, const FfnConfig& config)
    : ffn(config) {
  const std::int64_t hidden = ffn.hidden;
  in = register_parameter("in", torch::empty({slots, ffn.gated ? 2 * hidden : hidden, width}));
  out = register_parameter("out", torch::empty({slots, width, hidden}));
}

torch::Tensor ExpertBankImpl::gate() const {
  SWITCHYARD_CHECK(ffn.gated);
  return in.narrow(1, 0, ffn.hidden);
}

torch::Tensor ExpertBankImpl::up() const {
  return in.narrow(1, ffn.gated ? ffn.hidden : 0, ffn.hidden);
}

torch::Tensor apply_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                            const torch::Tensor& slots, const torch::Tensor& weights,
                            ComputePath path) {
  SWITCHYARD_CHECK(x.dim() == 2 && slots.dim() == 2 && slots.sizes() == weights.sizes() &&
                   slots.size(0) == x.size(0));
  SWITCHYARD_CHECK(slots.scalar_type() == torch::kInt64 && x.size(1) == bank.out.size(1));
  if (path == ComputePath::automatic) {
    path = choose_path({.items = x.size(0),
                        .assignments = slots.numel(),
                        .experts = bank.in.size(0),
                        .width = x.size(1),
                        .hidden = bank.ffn.hidden});
  }
  switch (path) {
    case ComputePath::naive:
      return naive_experts(bank, x, slots, weights);
    case ComputePath::masked_dense:
      return masked_dense_experts(bank, x, slots, weights);
    case ComputePath::grouped:
      return grouped_experts(bank, x, slots, weights);
    case ComputePath::automatic:
      break;
  }
  SWITCHYARD_CHECK(false);
}

}  // namespace switchyard::models
