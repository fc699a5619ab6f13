// The weights of one layer's experts as banks, and the function every compute path implements.
//
//   expert e:  y = out[e] . (act(gate[e] x) * up[e] x)     gated
//              y = out[e] . act(up[e] x)                   plain
//
// S slots, D model width, F expert width, F_e that of slot e where widths differ, N items, K
// experts per item. Slots need not be the router's indices: the MoE layer maps router index ->
// slot, and merged experts share one.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/nn/module.h>
#include <torch/types.h>

#include "switchyard/model_config.h"

#include "models/compute_path.h"

namespace switchyard::models {

struct ExpertBankImpl : torch::nn::Module {
  // `widths` [S]: F of each slot; empty: all are ffn.hidden wide.
  ExpertBankImpl(std::int64_t slots, std::int64_t width, const FfnConfig& ffn,
                 std::vector<std::int64_t> widths = {});

  // Views of one slot's matrices. gate() only when gated.
  torch::Tensor gate(std::int64_t slot) const;         // [F_e, D]
  torch::Tensor up(std::int64_t slot) const;           // [F_e, D]
  torch::Tensor down(std::int64_t slot) const;         // [D, F_e]
  torch::Tensor gate_and_up(std::int64_t slot) const;  // [2 F_e or F_e, D]

  std::int64_t slots() const { return static_cast<std::int64_t>(hidden.size()); }
  bool equal_widths() const { return in.dim() == 3; }

  FfnConfig ffn;                     // hidden is the largest width
  std::vector<std::int64_t> hidden;  // [S]: F_e
  // gate and up one below the other, so that one GEMM computes both: rows [0, F) gate, [F, 2F) up;
  // [S, F, D] when plain. Where widths differ the slots' rows and columns stand one after another.
  torch::Tensor in;   // [S, 2F or F, D]; [sum of 2 F_e or F_e, D]
  torch::Tensor out;  // [S, D, F];       [D, sum of F_e]
};
TORCH_MODULE(ExpertBank);

// y[n] = sum over k of weights[n, k] * expert slots[n, k] of x[n], in the order of k. `slots` int64
// [N, K], -1: none; x [N, D]; weights [N, K] fp32 (or x's type if that is double). Differentiable
// in x, weights and the banks.
torch::Tensor apply_experts(const ExpertBankImpl& bank, const torch::Tensor& x,
                            const torch::Tensor& slots, const torch::Tensor& weights,
                            ComputePath path);

}  // namespace switchyard::models
