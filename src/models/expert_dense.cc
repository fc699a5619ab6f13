// Masked dense: two large products over all experts, and a weight of zero where an expert was not
// chosen. E / K times the operations of the grouped path, without sorting, gathering or small
// products.
#include "models/expert_paths.h"
#include "models/feed_forward.h"

namespace switchyard::models {

torch::Tensor masked_dense_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                                   const torch::Tensor& slots, const torch::Tensor& weights) {
  const auto items = x.size(0);
  const auto experts = bank.in.size(0);
  const auto hidden = bank.ffn.hidden;
  // [N, E]: the sum of an item's gate weights for each slot, and whether it chose it at all. Absent
  // choices add nothing to slot 0.
  const auto present = (slots >= 0).to(weights.scalar_type());
  const auto index = slots.clamp_min(0);
  const auto nothing = torch::zeros({items, experts}, weights.options());
  const auto dense = nothing.scatter_add(1, index, weights * present);
  const auto unchosen = nothing.scatter_add(1, index, present) == 0;
  auto all = torch::linear(x, bank.in.flatten(0, 1)).view({items, experts, -1});  // [N, E, 2F or F]
  if (bank.ffn.gated) {
    all = activate(all.narrow(2, 0, hidden), bank.ffn.activation) * all.narrow(2, hidden, hidden);
  } else {
    all = activate(all, bank.ffn.activation);
  }
  // An item that did not choose an expert must not see that expert's infinities either: 0 * inf is
  // not 0.
  all = (all * dense.unsqueeze(2).to(all.scalar_type())).masked_fill(unchosen.unsqueeze(2), 0);
  return torch::linear(all.flatten(1), bank.out.permute({1, 0, 2}).flatten(1));
}

}  // namespace switchyard::models
