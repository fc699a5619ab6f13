// The compute paths behind apply_experts() (expert_bank.h), one file each. All take x [N, D], slots
// [N, K] int64 with -1 for none, weights [N, K] in the type the sum is made in, and return y [N, D]
// in x's type.
#pragma once

#include <torch/types.h>

#include "models/expert_bank.h"

namespace switchyard::models {

torch::Tensor naive_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                            const torch::Tensor& slots, const torch::Tensor& weights);
torch::Tensor masked_dense_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                                   const torch::Tensor& slots, const torch::Tensor& weights);
// Takes grouped_on_cpu for fp32 and double on the CPU, grouped_composed for everything else.
torch::Tensor grouped_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                              const torch::Tensor& slots, const torch::Tensor& weights);
// Hand-written forward and backward. Not differentiable twice: that is an Error naming the naive
// path.
torch::Tensor grouped_on_cpu(const ExpertBankImpl& bank, const torch::Tensor& x,
                             const torch::Tensor& slots, const torch::Tensor& weights);
// Sorted the same way, out of plain tensor operations: any device, any type.
torch::Tensor grouped_composed(const ExpertBankImpl& bank, const torch::Tensor& x,
                               const torch::Tensor& slots, const torch::Tensor& weights);

}  // namespace switchyard::models
