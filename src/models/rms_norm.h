// y = x / sqrt(mean(x^2) + epsilon) * weight over the last dimension, computed in fp32 (double for
// double). Zhang and Sennrich 2019.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

namespace switchyard::models {

struct RmsNormImpl : torch::nn::Module {
  RmsNormImpl(std::int64_t width, double epsilon);
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight;  // [width]
  double epsilon;
};
TORCH_MODULE(RmsNorm);

}  // namespace switchyard::models
