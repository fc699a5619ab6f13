// Masked dense: two large products over all experts, and a weight of zero where an expert was not
// chosen. E / K times the operations of the grouped path, without sorting, gathering or small
// products.
#include <vector>

#include "models/expert_paths.h"
#include "models/feed_forward.h"

namespace switchyard::models {

namespace {

// [N, E, F] of equally wide experts.
torch::Tensor equal_hidden(const ExpertBankImpl& bank, const torch::Tensor& x) {
  const auto hidden = bank.ffn.hidden;
  const auto all = torch::linear(x, bank.in.flatten(0, 1))
                       .view({x.size(0), bank.slots(), -1});  // [N, E, 2F or F]
  if (!bank.ffn.gated) return activate(all, bank.ffn.activation);
  return activate(all.narrow(2, 0, hidden), bank.ffn.activation) * all.narrow(2, hidden, hidden);
}

// [N, sum of F_e]: one expert's columns after another's.
torch::Tensor unequal_hidden(const ExpertBankImpl& bank, const torch::Tensor& x) {
  const auto all = torch::linear(x, bank.in);
  if (!bank.ffn.gated) return activate(all, bank.ffn.activation);
  std::vector<torch::Tensor> parts;
  std::int64_t begin = 0;
  for (const std::int64_t hidden : bank.hidden) {
    parts.push_back(activate(all.narrow(1, begin, hidden), bank.ffn.activation) *
                    all.narrow(1, begin + hidden, hidden));
    begin += 2 * hidden;
  }
  return torch::cat(parts, 1);
}

}  // namespace

torch::Tensor masked_dense_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                                   const torch::Tensor& slots, const torch::Tensor& weights) {
  // [N, E]: the sum of an item's gate weights for each slot, and whether it chose it at all. Absent
  // choices add nothing to slot 0.
  const auto present = (slots >= 0).to(weights.scalar_type());
  const auto index = slots.clamp_min(0);
  const auto nothing = torch::zeros({x.size(0), bank.slots()}, weights.options());
  const auto dense = nothing.scatter_add(1, index, weights * present);
  const auto unchosen = nothing.scatter_add(1, index, present) == 0;
  // An item that did not choose an expert must not see that expert's infinities either: 0 * inf is
  // not 0.
  const auto weighted = [](const torch::Tensor& all, const torch::Tensor& weight,
                           const torch::Tensor& absent) {
    return (all * weight.to(all.scalar_type())).masked_fill(absent, 0);
  };
  if (bank.equal_widths()) {
    const auto all = weighted(equal_hidden(bank, x), dense.unsqueeze(2), unchosen.unsqueeze(2));
    return torch::linear(all.flatten(1), bank.out.permute({1, 0, 2}).flatten(1));
  }
  // Which slot each column belongs to.
  const auto column = torch::arange(bank.slots(), slots.options())
                          .repeat_interleave(torch::tensor(bank.hidden, slots.options()));
  const auto all = weighted(unequal_hidden(bank, x), dense.index_select(1, column),
                            unchosen.index_select(1, column));
  return torch::linear(all, bank.out);
}

}  // namespace switchyard::models
