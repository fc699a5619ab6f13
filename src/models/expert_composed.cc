// Grouped experts out of tensor operations, for devices and types without a hand-written path.
#include <torch/types.h>

#include "models/expert_paths.h"
#include "models/feed_forward.h"

namespace switchyard::models {
namespace {

torch::Tensor between(const ExpertBankImpl& bank, const torch::Tensor& hidden) {
  if (!bank.ffn.gated) return activate(hidden, bank.ffn.activation);
  const auto halves = hidden.chunk(2, -1);
  return activate(halves[0], bank.ffn.activation) * halves[1];
}

}  // namespace

torch::Tensor grouped_composed(const ExpertBankImpl& bank, const torch::Tensor& x,
                               const torch::Tensor& slots, const torch::Tensor& weights) {
  const auto items = x.size(0);
  const auto choices = slots.size(1);
  const auto experts = bank.slots();
  // Absent choices sort behind the last expert and are cut off.
  const auto flat = slots.flatten();
  const auto key = torch::where(flat < 0, torch::full_like(flat, experts), flat);
  const auto order =
      std::get<1>(torch::sort(key, /*stable=*/true, /*dim=*/0, /*descending=*/false));
  const auto counts = torch::bincount(key, {}, experts + 1).to(torch::kCPU);
  const auto* count = counts.data_ptr<std::int64_t>();
  std::int64_t rows = 0, longest = 0;
  for (std::int64_t e = 0; e < experts; ++e) {
    rows += count[e];
    longest = std::max(longest, count[e]);
  }
  if (rows == 0) return torch::zeros_like(x);

  const auto present = order.narrow(0, 0, rows);  // assignment of each row
  const auto gathered = x.index_select(0, torch::div(present, choices, "floor"));
  torch::Tensor results;
  if (bank.equal_widths() && experts * longest <= 2 * rows) {
    // Balanced enough: one batched product over experts, each padded to the longest. The copy in
    // and out is linear in rows; what it saves is one launch an expert and direction.
    const auto expert_of_row = key.index_select(0, present);
    const auto begin = torch::cumsum(torch::bincount(expert_of_row, {}, experts), 0) -
                       torch::bincount(expert_of_row, {}, experts);
    const auto place = expert_of_row * longest + torch::arange(rows, key.options()) -
                       begin.index_select(0, expert_of_row);
    const auto padded =
        torch::zeros({experts * longest, x.size(1)}, x.options()).index_copy(0, place, gathered);
    const auto hidden =
        between(bank, torch::bmm(padded.view({experts, longest, -1}), bank.in.transpose(1, 2)));
    results = torch::bmm(hidden, bank.out.transpose(1, 2)).flatten(0, 1).index_select(0, place);
  } else {
    std::vector<torch::Tensor> parts;
    std::int64_t begin = 0;
    for (std::int64_t e = 0; e < experts; ++e) {
      if (count[e] == 0) continue;
      const auto hidden =
          between(bank, torch::linear(gathered.narrow(0, begin, count[e]), bank.gate_and_up(e)));
      parts.push_back(torch::linear(hidden, bank.down(e)));
      begin += count[e];
    }
    results = torch::cat(parts);
  }
  // Back to assignment order through the inverse permutation, so that the sum over choices has a
  // fixed order.
  const auto inverse = torch::full({items * choices}, rows, order.options())
                           .index_copy(0, present, torch::arange(rows, order.options()));
  const auto with_zero = torch::cat({results, torch::zeros({1, x.size(1)}, results.options())});
  const auto per_choice = with_zero.index_select(0, inverse).view({items, choices, -1});
  return (per_choice.to(weights.scalar_type()) * weights.unsqueeze(2)).sum(1).to(x.scalar_type());
}

}  // namespace switchyard::models
