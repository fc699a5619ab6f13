// What SMoE-Dropout (Chen 2023) rests on: a router that is never trained, gates that sum to 1 for
// every K, and a K that may change from one pass to the next.
#include <gtest/gtest.h>

#include "models/moe_layer.h"
#include "models/testing/gradient_check.h"

namespace switchyard::models {
namespace {

using testing::gradient_error;
using testing::random_tensor;
using testing::relative_error;

constexpr int kWidth = 8, kExperts = 4, kItems = 10;

MoeConfig config_of(routing::Gate gate = routing::Gate::probability) {
  MoeConfig config;
  config.expert = {.hidden = 6, .activation = Activation::relu, .gated = false};
  config.router.experts = kExperts;
  config.router.experts_per_token = kExperts;
  config.router.frozen = true;
  config.router.softmax_after_selection = gate == routing::Gate::probability;
  config.router.gate = gate;
  return config;
}

struct Fixture {
  explicit Fixture(const MoeConfig& config = config_of(), torch::ScalarType type = torch::kFloat32)
      : layer(config, kWidth, 0, 1), x(random_tensor({1, kItems, kWidth}, 1, type)) {
    layer->to(type);
    const torch::NoGradGuard no_grad;
    std::uint64_t seed = 20;
    for (auto& parameter : layer->parameters())
      parameter.copy_(random_tensor(parameter.sizes(), seed++));
  }

  torch::Tensor forward(int k, ForwardContext& context) {
    const auto scope = context.override_k(k);
    return layer->forward(x, torch::zeros({1, kItems}, torch::kInt64), context);
  }

  torch::Tensor expert(std::int64_t e) {
    return apply_experts(*layer->experts, x[0], torch::full({kItems, 1}, e, torch::kInt64),
                         torch::ones({kItems, 1}), ComputePath::naive);
  }

  MoeLayer layer;
  torch::Tensor x;
};

TEST(SmoeDropout, GatesSumToOneWithExactlyKOfThemAndNothingIsDropped) {
  Fixture f;
  for (int k = 1; k <= kExperts; ++k) {
    ForwardContext context;
    f.forward(k, context);
    const auto& route = context.routes[0];
    EXPECT_EQ(route.weights.sizes(), (std::vector<std::int64_t>{kItems, k}));
    EXPECT_TRUE(torch::allclose(route.weights.sum(1), torch::ones({kItems}), 0, 1e-6));
    EXPECT_GT(route.weights.min().item<float>(), 0.0F);
    EXPECT_EQ(route.counts.sum().item<std::int64_t>(), kItems * k);
    EXPECT_EQ(route.dropped, 0);
    EXPECT_FALSE(context.total_loss().defined());  // no auxiliary loss
  }
}

TEST(SmoeDropout, SelectionsOfGrowingKAreNested) {
  Fixture f;
  for (int k = 1; k < kExperts; ++k) {
    ForwardContext fewer, more;
    f.forward(k, fewer);
    f.forward(k + 1, more);
    EXPECT_TRUE(fewer.routes[0].indices.equal(more.routes[0].indices.narrow(1, 0, k)));
  }
}

TEST(SmoeDropout, AllExpertsUnderAZeroRouterAreTheirMeanAndOneIsTheBest) {
  Fixture f;
  ForwardContext one;
  const auto best = f.forward(1, one)[0];
  for (std::int64_t n = 0; n < kItems; ++n) {
    const auto e = one.routes[0].indices[n][0].item<std::int64_t>();
    EXPECT_TRUE(torch::allclose(best[n], f.expert(e)[n], 1e-5, 1e-6));
  }
  f.layer->router->weight.zero_();
  ForwardContext all;
  auto mean = torch::zeros({kItems, kWidth});
  for (std::int64_t e = 0; e < kExperts; ++e) mean = mean + f.expert(e) / kExperts;
  EXPECT_LT(relative_error(f.forward(kExperts, all)[0], mean), 1e-5);
}

TEST(SmoeDropout, EveryComputePathAgreesForEveryKForwardAndBackward) {
  for (int k = 1; k <= kExperts; ++k) {
    std::vector<std::vector<torch::Tensor>> results;
    for (const auto path : {ComputePath::naive, ComputePath::grouped, ComputePath::masked_dense}) {
      Fixture f;
      f.x.requires_grad_();
      ForwardContext context;
      context.path = path;
      const auto y = f.forward(k, context);
      y.square().sum().backward();
      results.push_back(
          {y.detach(), f.x.grad(), f.layer->experts->in.grad(), f.layer->experts->out.grad()});
    }
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      EXPECT_LT(relative_error(results[1][i], results[0][i]), 1e-5) << "grouped, K " << k;
      EXPECT_LT(relative_error(results[2][i], results[0][i]), 1e-5) << "masked dense, K " << k;
    }
  }
}

// The router is not trained, but the gates carry gradient to what it reads: d g / d x is part of
// the difference quotient and of the gradient. With logits cut off from x it would be missing.
TEST(SmoeDropout, TheGradientOfTheInputIncludesTheGates) {
  Fixture f(config_of(), torch::kFloat64);
  f.x.requires_grad_();
  const auto forward = [&] {
    ForwardContext context;
    return f.forward(3, context);
  };
  EXPECT_LT(gradient_error({f.x}, forward), 1e-6);

  const auto detached = [&] {
    ForwardContext context;
    context.forced = ForcedRoutes{.several = true};
    ForwardContext free;
    f.forward(3, free);
    const auto& route = free.routes[0];
    context.forced->experts = route.indices.view({1, 1, kItems, 3});
    context.forced->weights = route.weights.detach().view({1, 1, kItems, 3});
    return f.forward(3, context);
  };
  EXPECT_GT(gradient_error({f.x}, detached), 1e-3);
  EXPECT_FALSE(f.layer->router->weight.requires_grad());
}

TEST(SmoeDropout, UniformGatesHaveNoGradientToTheInput) {
  Fixture f(config_of(routing::Gate::uniform));
  f.x.requires_grad_();
  ForwardContext context;
  f.forward(2, context);
  EXPECT_FALSE(context.routes[0].weights.requires_grad());
  EXPECT_TRUE(context.routes[0].weights.equal(torch::full({kItems, 2}, 0.5F)));
}

TEST(SmoeDropout, TrainingAndEvaluationChooseTheSame) {
  Fixture f;
  for (int k = 1; k <= kExperts; ++k) {
    ForwardContext train, evaluate;
    train.training = true;
    f.forward(k, train);
    f.forward(k, evaluate);
    EXPECT_TRUE(train.routes[0].indices.equal(evaluate.routes[0].indices));
    EXPECT_TRUE(train.routes[0].weights.equal(evaluate.routes[0].weights));
  }
}

}  // namespace
}  // namespace switchyard::models
