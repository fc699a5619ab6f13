// The weights of one layer's experts as banks, and the function every compute path implements.
//
//   expert e:  y = out[e] . (act(gate[e] x) * up[e] x)     gated
//              y = out[e] . act(up[e] x)                   plain
//
// S slots, D model width, F expert width, N items, K experts per item. Slots need not be the
// router's indices: the MoE layer maps router index -> slot, and merged experts share one.
#pragma once

#include <cstdint>

#include <torch/torch.h>

#include "switchyard/model_config.h"

#include "models/compute_path.h"

namespace switchyard::models {

struct ExpertBankImpl : torch::nn::Module {
  ExpertBankImpl(std::int64_t slots, std::int64_t width, const FfnConfig& ffn);

  // Views of the banks, one matrix a slot. gate() only when gated.
  torch::Tensor gate() const;  // [S, F, D]
  torch::Tensor up() const;    // [S, F, D]
  torch::Tensor down() const { return out; }

  FfnConfig ffn;
  // gate and up one below the other, so that one GEMM computes both: rows [0, F) gate, [F, 2F) up;
  // [S, F, D] when plain.
  torch::Tensor in;   // [S, 2F or F, D]
  torch::Tensor out;  // [S, D, F]
};
TORCH_MODULE(ExpertBank);

// y[n] = sum over k of weights[n, k] * expert slots[n, k] of x[n], in the order of k. `slots` int64
// [N, K], -1: none; x [N, D]; weights [N, K] fp32 (or x's type if that is double). Differentiable
// in x, weights and the banks.
torch::Tensor apply_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                            const torch::Tensor& slots, const torch::Tensor& weights,
                            ComputePath path);

}  // namespace switchyard::models
