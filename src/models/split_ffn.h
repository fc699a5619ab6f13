// A dense feed-forward network as N experts, and back (SMoE-Dropout, Chen 2023: "modulization").
// Pure functions over weights.
//
// Expert i gets rows i H/N to (i + 1) H/N - 1 of gate and up, and the same columns of down times N.
// Its gate weights sum to 1, so N experts of equal weight 1/N are the dense network, and the mean
// over all choices of K experts is, too: an inverted dropout of blocks.
//
// D model width, H hidden width of the dense network, N experts.
#pragma once

#include <cstdint>

#include <torch/torch.h>

namespace switchyard::models {

// Weights of a dense network; gate undefined when plain.
struct DenseFfn {
  torch::Tensor gate;  // [H, D]
  torch::Tensor up;    // [H, D]
  torch::Tensor down;  // [D, H]
};

// Weights of experts as ExpertBank keeps them.
struct ExpertWeights {
  torch::Tensor in;   // [N, 2 H/N, D]: gate above up; [N, H/N, D] when plain
  torch::Tensor out;  // [N, D, H/N]
};

// Throws Error when N does not divide H. Copies; no gradient.
ExpertWeights split_ffn(const DenseFfn& dense, std::int64_t experts);

// The dense network that equals all N experts with weight 1/N each: what a model trained with
// uniform gates to K = N can be exported as. Exactly undoes split_ffn() where N is a power of two.
DenseFfn join_experts(const ExpertWeights& experts, bool gated);

}  // namespace switchyard::models
