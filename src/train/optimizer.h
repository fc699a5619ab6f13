// AdamW, Adam and SGD with momentum. Written here and not taken from torch::optim because the state
// must be a plain list of named tensors that a checkpoint holds exactly, and because one fused pass
// over a weight is several times faster on a CPU than a dozen tensor operations.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <torch/types.h>

#include "train/recipe.h"

namespace switchyard::train {

// A weight to train: fp32, contiguous.
struct Parameter {
  std::string name;
  torch::Tensor value;
};

// sqrt of the sum of squares of all gradients; a weight without a gradient counts as zero.
double gradient_norm(const std::vector<Parameter>& parameters);

// Moments of one weight, named as in a checkpoint: "<weight>.m", "<weight>.v".
struct NamedTensor {
  std::string name;
  torch::Tensor value;
};

// Thread rule: one caller. Elementwise, so the result does not depend on the number of threads.
class Optimizer {
 public:
  Optimizer(const OptimizerRecipe& recipe, std::vector<Parameter> parameters);

  // One update with every gradient multiplied by `gradient_scale` first (clipping). A weight
  // without a gradient stays.
  void step(double lr, double gradient_scale);
  void zero_gradients();

  // Updates done so far; bias correction of Adam counts them.
  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }
  // The moments, to be saved or overwritten in place.
  std::vector<NamedTensor> state() const;
  const std::vector<Parameter>& parameters() const { return parameters_; }

 private:
  void update_fused(std::size_t index, double lr, double gradient_scale);
  void update_tensors(std::size_t index, double lr, double gradient_scale);

  OptimizerRecipe recipe_;
  std::vector<Parameter> parameters_;
  std::vector<torch::Tensor> first_;   // momentum, or Adam's first moment
  std::vector<torch::Tensor> second_;  // Adam's second moment; empty for SGD
  std::int64_t steps_ = 0;
};

}  // namespace switchyard::train
