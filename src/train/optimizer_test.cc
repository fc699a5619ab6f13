#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace switchyard::train {
namespace {

torch::Tensor weight(std::int64_t rows, std::int64_t columns) {
  torch::manual_seed(3);
  return torch::randn({rows, columns}).set_requires_grad(true);
}

// A gradient that depends on the weight, so that errors add up.
void set_gradient(torch::Tensor& w, int step) {
  w.mutable_grad() = (w.detach() * 0.3 + std::sin(step + 1.0)).contiguous();
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

TEST(Optimizer, AdamWAgreesWithLibtorch) {
  torch::Tensor ours = weight(37, 19);
  torch::Tensor theirs = weight(37, 19);
  Optimizer optimizer({.kind = OptimizerKind::adamw, .weight_decay = 0.1}, {{"w", ours}});
  torch::optim::AdamW reference(
      {theirs}, torch::optim::AdamWOptions(0.01).betas({0.9, 0.95}).eps(1e-8).weight_decay(0.1));
  for (int step = 0; step < 20; ++step) {
    set_gradient(ours, step);
    set_gradient(theirs, step);
    optimizer.step(0.01, 1.0);
    reference.step();
  }
  EXPECT_LT(largest_difference(ours, theirs), 2e-6);
}

TEST(Optimizer, AdamAgreesWithLibtorch) {
  torch::Tensor ours = weight(8, 8);
  torch::Tensor theirs = weight(8, 8);
  Optimizer optimizer({.kind = OptimizerKind::adam, .weight_decay = 0.05}, {{"w", ours}});
  torch::optim::Adam reference(
      {theirs}, torch::optim::AdamOptions(0.01).betas({0.9, 0.95}).eps(1e-8).weight_decay(0.05));
  for (int step = 0; step < 20; ++step) {
    set_gradient(ours, step);
    set_gradient(theirs, step);
    optimizer.step(0.01, 1.0);
    reference.step();
  }
  EXPECT_LT(largest_difference(ours, theirs), 2e-6);
}

TEST(Optimizer, SgdWithMomentumAgreesWithLibtorch) {
  torch::Tensor ours = weight(8, 8);
  torch::Tensor theirs = weight(8, 8);
  Optimizer optimizer({.kind = OptimizerKind::sgd, .weight_decay = 0.05, .momentum = 0.8},
                      {{"w", ours}});
  torch::optim::SGD reference({theirs},
                              torch::optim::SGDOptions(0.01).momentum(0.8).weight_decay(0.05));
  for (int step = 0; step < 20; ++step) {
    set_gradient(ours, step);
    set_gradient(theirs, step);
    optimizer.step(0.01, 1.0);
    reference.step();
  }
  EXPECT_LT(largest_difference(ours, theirs), 2e-6);
  EXPECT_EQ(optimizer.state().size(), 1U);  // no second moment
}

TEST(Optimizer, TensorAndFusedUpdatesAgree) {
  for (const OptimizerKind kind : {OptimizerKind::adamw, OptimizerKind::adam, OptimizerKind::sgd}) {
    torch::Tensor fused = weight(12, 12);
    torch::Tensor tensors = weight(12, 12);
    Optimizer a({.kind = kind, .weight_decay = 0.1}, {{"w", fused}});
    Optimizer b({.kind = kind, .weight_decay = 0.1}, {{"w", tensors}});
    for (int step = 0; step < 10; ++step) {
      set_gradient(fused, step);
      set_gradient(tensors, step);
      tensors.mutable_grad() =
          tensors.grad().t().contiguous().t();  // not contiguous: the other path
      a.step(0.01, 0.5);
      b.step(0.01, 0.5);
    }
    EXPECT_LT(largest_difference(fused, tensors), 2e-6);
  }
}

TEST(Optimizer, DecoupledDecaySparesVectors) {
  torch::Tensor matrix = torch::ones({2, 2}).set_requires_grad(true);
  torch::Tensor vector = torch::ones({2}).set_requires_grad(true);
  Optimizer optimizer({.kind = OptimizerKind::adamw, .weight_decay = 0.5},
                      {{"m", matrix}, {"v", vector}});
  matrix.mutable_grad() = torch::zeros({2, 2});
  vector.mutable_grad() = torch::zeros({2});
  optimizer.step(0.1, 1.0);
  EXPECT_FLOAT_EQ(matrix[0][0].item<float>(), 0.95F);
  EXPECT_FLOAT_EQ(vector[0].item<float>(), 1.0F);
}

TEST(Optimizer, WeightWithoutGradientStays) {
  torch::Tensor w = torch::ones({2, 2}).set_requires_grad(true);
  Optimizer optimizer({.kind = OptimizerKind::adamw}, {{"w", w}});
  optimizer.step(0.1, 1.0);
  EXPECT_TRUE(torch::equal(w, torch::ones({2, 2})));
  EXPECT_EQ(optimizer.steps(), 1);
}

TEST(GradientNorm, IsThatOfAllGradientsTogether) {
  torch::Tensor a = torch::ones({2}).set_requires_grad(true);
  torch::Tensor b = torch::ones({3}).set_requires_grad(true);
  torch::Tensor none = torch::ones({3}).set_requires_grad(true);
  a.mutable_grad() = torch::full({2}, 2.0F);
  b.mutable_grad() = torch::full({3}, -3.0F);
  EXPECT_NEAR(gradient_norm({{"a", a}, {"b", b}, {"c", none}}), std::sqrt(8.0 + 27.0), 1e-6);
}

}  // namespace
}  // namespace switchyard::train
