// A dense feed-forward network, gated (SwiGLU and relatives) or plain.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include "switchyard/model_config.h"

namespace switchyard::models {

torch::Tensor activate(const torch::Tensor& x, Activation activation);

struct FeedForwardImpl : torch::nn::Module {
  FeedForwardImpl(std::int64_t width, const FfnConfig& ffn);
  torch::Tensor forward(const torch::Tensor& x);  // [..., D] -> [..., D]

  FfnConfig ffn;
  torch::Tensor gate;  // [F, D]; undefined when plain
  torch::Tensor up;    // [F, D]
  torch::Tensor down;  // [D, F]
};
TORCH_MODULE(FeedForward);

}  // namespace switchyard::models
