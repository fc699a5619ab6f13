#include "models/expert_bank.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"
#include "models/expert_paths.h"

namespace switchyard::models {

ExpertBankImpl::ExpertBankImpl(std::int64_t slots, std::int64_t width, const FfnConfig& config,
                               std::vector<std::int64_t> widths)
    : ffn(config), hidden(std::move(widths)) {
  if (hidden.empty()) hidden.assign(static_cast<std::size_t>(slots), ffn.hidden);
  SWITCHYARD_CHECK(static_cast<std::int64_t>(hidden.size()) == slots);
  const std::int64_t parts = ffn.gated ? 2 : 1;
  const auto same = [&](std::int64_t h) { return h == ffn.hidden; };
  const auto total = std::accumulate(hidden.begin(), hidden.end(), std::int64_t{0});
  const bool equal = std::all_of(hidden.begin(), hidden.end(), same);
  in = register_parameter("in", equal ? torch::empty({slots, parts * ffn.hidden, width})
                                      : torch::empty({parts * total, width}));
  out = register_parameter(
      "out", equal ? torch::empty({slots, width, ffn.hidden}) : torch::empty({width, total}));
}

torch::Tensor ExpertBankImpl::gate_and_up(std::int64_t slot) const {
  if (equal_widths()) return in[slot];
  const auto before = std::accumulate(hidden.begin(), hidden.begin() + slot, std::int64_t{0});
  const std::int64_t parts = ffn.gated ? 2 : 1;
  return in.narrow(0, parts * before, parts * hidden.at(static_cast<std::size_t>(slot)));
}

torch::Tensor ExpertBankImpl::gate(std::int64_t slot) const {
  SWITCHYARD_CHECK(ffn.gated);
  return gate_and_up(slot).narrow(0, 0, hidden.at(static_cast<std::size_t>(slot)));
}

torch::Tensor ExpertBankImpl::up(std::int64_t slot) const {
  const auto rows = hidden.at(static_cast<std::size_t>(slot));
  return gate_and_up(slot).narrow(0, ffn.gated ? rows : 0, rows);
}

torch::Tensor ExpertBankImpl::down(std::int64_t slot) const {
  if (equal_widths()) return out[slot];
  const auto before = std::accumulate(hidden.begin(), hidden.begin() + slot, std::int64_t{0});
  return out.narrow(1, before, hidden.at(static_cast<std::size_t>(slot)));
}

torch::Tensor apply_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                            const torch::Tensor& slots, const torch::Tensor& weights,
                            ComputePath path) {
  SWITCHYARD_CHECK(x.dim() == 2 && slots.dim() == 2 && slots.sizes() == weights.sizes() &&
                   slots.size(0) == x.size(0));
  SWITCHYARD_CHECK(slots.scalar_type() == torch::kInt64 && x.size(1) == bank.in.size(-1));
  if (path == ComputePath::automatic) {
    path = choose_path({.items = x.size(0),
                        .assignments = slots.numel(),
                        .experts = bank.slots(),
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
