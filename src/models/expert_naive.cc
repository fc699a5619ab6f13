// The oracle: one expert after another, each on the items that chose it. Reads like the definition.
#include "models/expert_paths.h"
#include "models/feed_forward.h"

namespace switchyard::models {

torch::Tensor naive_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                            const torch::Tensor& slots, const torch::Tensor& weights) {
  auto y = torch::zeros_like(x, x.options().dtype(weights.scalar_type()));
  for (std::int64_t e = 0; e < bank.slots(); ++e) {
    const auto where = (slots == e).nonzero();  // [n_e, 2]: item, choice
    if (where.size(0) == 0) continue;
    const auto item = where.select(1, 0);
    const auto choice = where.select(1, 1);
    auto hidden = torch::linear(x.index({item}), bank.gate_and_up(e));
    if (bank.ffn.gated) {
      const auto halves = hidden.chunk(2, 1);
      hidden = activate(halves[0], bank.ffn.activation) * halves[1];
    } else {
      hidden = activate(hidden, bank.ffn.activation);
    }
    const auto result = torch::linear(hidden, bank.down(e));
    y = y.index_add(0, item,
                    result.to(y.scalar_type()) * weights.index({item, choice}).unsqueeze(1));
  }
  return y.to(x.scalar_type());
}

}  // namespace switchyard::models
