// The cell that all layers of a recurrent router share (RMoE, Qiu 2024); formulas in
// routing/recurrent.h. The decoder owns it, registered once and saved once; the routers of the
// layers hold on to it.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/rnn.h>
#include <torch/types.h>

#include "switchyard/routing.h"

namespace switchyard::models {

class RouterCellImpl : public torch::nn::Module {
 public:
  // REQUIRES: a recurrent kind. Weights uniform as torch::nn::GRUCell has them, until the model
  // sets its own; they do not require a gradient when Config::frozen.
  explicit RouterCellImpl(const routing::Config& config);

  // x [N, p], h [N, p] -> h of this layer [N, p], fp32 (double for double x).
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& h) const;

  torch::Tensor weight_ih;  // [G p, p]
  torch::Tensor weight_hh;  // [G p, p]
  torch::Tensor bias_ih;    // [G p]
  torch::Tensor bias_hh;    // [G p]

 private:
  routing::Cell cell_;
};
TORCH_MODULE(RouterCell);

}  // namespace switchyard::models
