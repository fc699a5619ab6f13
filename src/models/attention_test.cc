#include "models/attention.h"

#include <gtest/gtest.h>

#include <torch/nn/init.h>

#include "models/testing/gradient_check.h"

namespace switchyard::models {
namespace {

using testing::gradient_error;
using testing::random_tensor;
using testing::relative_error;

ModelConfig small_config(int heads, int kv_heads, QkNorm norm = QkNorm::none, bool bias = false) {
  ModelConfig config;
  config.width = 12;
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = 4;
  config.qk_norm = norm;
  config.attention_bias = bias;
  return config;
}

Attention make_attention(const ModelConfig& config, torch::ScalarType type) {
  Attention attention(config);
  attention->to(type);
  const torch::NoGradGuard no_grad;
  std::uint64_t seed = 10;
  for (auto& parameter : attention->parameters()) {
    parameter.copy_(random_tensor(parameter.sizes(), seed++) * 0.5 + 0.2);
  }
  return attention;
}

RopeTable rope(std::int64_t tokens, torch::ScalarType type) { return {tokens, 4, 100.0, type}; }

TEST(RmsNorm, HasUnitMeanSquareAndTheGradientOfFiniteDifferences) {
  RmsNorm norm(6, 1e-5);
  norm->to(torch::kFloat64);
  torch::nn::init::ones_(norm->weight);
  auto x = random_tensor({3, 6}, 1, torch::kFloat64).requires_grad_();
  EXPECT_NEAR(norm->forward(x).square().mean().item<double>(), 1, 1e-3);
  {
    const torch::NoGradGuard no_grad;
    norm->weight.copy_(random_tensor({6}, 2));
  }
  EXPECT_LT(gradient_error({x, norm->weight}, [&] { return norm->forward(x); }), 1e-7);
}

TEST(RmsNorm, EpsilonKeepsAZeroRowFinite) {
  RmsNorm norm(4, 1e-5);
  torch::nn::init::ones_(norm->weight);
  EXPECT_EQ(norm->forward(torch::zeros({1, 4})).abs().max().item<float>(), 0);
}

TEST(Rope, KeepsLengthsAndMakesProductsDependOnTheDistanceOnly) {
  const auto table = rope(12, torch::kFloat64);
  const auto one = random_tensor({4}, 1, torch::kFloat64).expand({1, 1, 12, 4});
  const auto other = random_tensor({4}, 2, torch::kFloat64).expand({1, 1, 12, 4});
  const auto a = apply_rope(one, table)[0][0], b = apply_rope(other, table)[0][0];
  EXPECT_LT(relative_error(a.norm(2, 1), one[0][0].norm(2, 1)), 1e-6);
  const auto products = torch::matmul(a, b.t());
  for (const int distance : {0, 1, 5}) {
    const auto diagonal = products.diagonal(distance);
    EXPECT_LT((diagonal - diagonal[0]).abs().max().item<double>(), 1e-5) << distance;
  }
  EXPECT_GT((products.diagonal(1)[0] - products.diagonal(5)[0]).abs().item<double>(), 1e-3);
}

TEST(Rope, PositionZeroIsUntouchedAndHalvesArePairs) {
  const RopeTable table(2, 4, 10000.0, torch::kFloat64);
  const auto x = torch::tensor({1.0, 2.0, 3.0, 4.0}, torch::kFloat64).expand({1, 1, 2, 4});
  const auto y = apply_rope(x, table)[0][0];
  EXPECT_TRUE(y[0].equal(x[0][0][0]));
  // Element 0 pairs with element 2 at angle 1, element 1 with element 3 at angle 1/100.
  const auto expected = torch::tensor(
      {1 * std::cos(1.0) - 3 * std::sin(1.0), 2 * std::cos(0.01) - 4 * std::sin(0.01),
       3 * std::cos(1.0) + 1 * std::sin(1.0), 4 * std::cos(0.01) + 2 * std::sin(0.01)},
      torch::kFloat64);
  EXPECT_LT((y[1] - expected).abs().max().item<double>(), 1e-6);
}

TEST(Attention, HasTheGradientOfFiniteDifferences) {
  for (const auto norm : {QkNorm::none, QkNorm::full, QkNorm::per_head}) {
    const auto config = small_config(4, 2, norm, /*bias=*/true);
    auto attention = make_attention(config, torch::kFloat64);
    auto x = random_tensor({2, 3, 12}, 1, torch::kFloat64).requires_grad_();
    auto leaves = attention->parameters();
    leaves.push_back(x);
    const auto table = rope(3, torch::kFloat64);
    EXPECT_LT(gradient_error(
                  leaves, [&] { return attention->forward(x, table); }, 8),
              1e-6)
        << static_cast<int>(norm);
  }
}

TEST(Attention, GroupedHeadsEqualRepeatedHeads) {
  auto grouped = make_attention(small_config(6, 2), torch::kFloat64);
  auto repeated = make_attention(small_config(6, 6), torch::kFloat64);
  const torch::NoGradGuard no_grad;
  const auto repeat = [](const torch::Tensor& weight) {
    return weight.view({2, 4, 12}).repeat_interleave(3, 0).reshape({24, 12});
  };
  repeated->q.copy_(grouped->q);
  repeated->k.copy_(repeat(grouped->k));
  repeated->v.copy_(repeat(grouped->v));
  repeated->o.copy_(grouped->o);
  const auto x = random_tensor({2, 7, 12}, 1, torch::kFloat64);
  const auto table = rope(7, torch::kFloat64);
  EXPECT_LT(relative_error(grouped->forward(x, table), repeated->forward(x, table)), 1e-12);
}

TEST(Attention, FirstPositionSeesItselfOnly) {
  auto attention = make_attention(small_config(2, 2), torch::kFloat64);
  const torch::NoGradGuard no_grad;
  const auto x = random_tensor({1, 5, 12}, 1, torch::kFloat64);
  const auto y = attention->forward(x, rope(5, torch::kFloat64));
  const auto alone = torch::matmul(torch::matmul(x[0][0], attention->v.t()), attention->o.t());
  EXPECT_LT(relative_error(y[0][0], alone), 1e-12);
}

}  // namespace
}  // namespace switchyard::models
