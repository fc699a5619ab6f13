// Duo-LLM's third stage: soft mixtures, the budget loss, and a hard choice that keeps the budget.
#include <cmath>
#include <gtest/gtest.h>

#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "models/budget_loss.h"
#include "models/decoder.h"
#include "models/share_threshold.h"
#include "support/tiny_model.h"

namespace switchyard::models {
namespace {

using routing::LossConfig;

LossConfig budget_config(std::vector<float> budget,
                         LossConfig::BudgetScope scope = LossConfig::BudgetScope::sequence) {
  return {.budget_coefficient = 10.0F, .budget = std::move(budget), .budget_scope = scope};
}

// Layers whose items (rows) have these probabilities of output 0.
std::vector<LayerRoute> layers_of(const std::vector<torch::Tensor>& first) {
  std::vector<LayerRoute> routes;
  for (const auto& p : first) {
    LayerRoute route;
    route.probs = torch::stack({p, 1 - p}, 1);
    routes.push_back(route);
  }
  return routes;
}

double loss_of(const LossConfig& config, const std::vector<torch::Tensor>& first,
               std::int64_t batch, const torch::Tensor& mask = {}) {
  return budget_loss(config, layers_of(first), batch, mask).item<double>();
}

TEST(BudgetLoss, IsZeroWhereTheAverageIsRightEvenIfLayersDiffer) {
  const auto config = budget_config({0.3F});
  EXPECT_NEAR(loss_of(config, {torch::full(6, 0.6), torch::zeros(6)}, 2), 0.0, 1e-12);
  EXPECT_NEAR(loss_of(config, {torch::full(6, 0.5), torch::full(6, 0.3)}, 2), 0.01, 1e-7);
  // Every output that has a target counts.
  EXPECT_NEAR(loss_of(budget_config({0.3F, 0.5F}), {torch::full(6, 0.4)}, 2), 0.01 + 0.01, 1e-7);
}

TEST(BudgetLoss, ScopesAverageOverTokensSequencesAndTheBatch) {
  const std::vector<torch::Tensor> first = {torch::tensor({0.2, 0.4, 0.9, 0.7})};  // two of two
  using Scope = LossConfig::BudgetScope;
  EXPECT_NEAR(loss_of(budget_config({0.5F}, Scope::token), first, 2),
              (0.09 + 0.01 + 0.16 + 0.04) / 4, 1e-6);
  EXPECT_NEAR(loss_of(budget_config({0.5F}, Scope::sequence), first, 2), (0.04 + 0.09) / 2, 1e-6);
  EXPECT_NEAR(loss_of(budget_config({0.5F}, Scope::batch), first, 2), 0.05 * 0.05, 1e-6);
}

TEST(BudgetLoss, PaddingIsLeftOut) {
  using Scope = LossConfig::BudgetScope;
  const std::vector<torch::Tensor> first = {torch::tensor({0.2, 0.4, 0.9, 0.7, 0.1, 0.8})};
  const auto mask = torch::tensor({{true, true}, {true, false}, {false, false}});
  const auto of = [&](Scope scope) {
    return loss_of(budget_config({0.5F}, scope), first, 3, mask);
  };
  EXPECT_NEAR(of(Scope::token), (0.09 + 0.01 + 0.16) / 3, 1e-6);
  EXPECT_NEAR(of(Scope::sequence), (0.04 + 0.16) / 2, 1e-6);
  EXPECT_NEAR(of(Scope::batch), 0.0, 1e-6);
  const auto none = torch::zeros({3, 2}, torch::kBool);
  for (const auto scope : {Scope::token, Scope::sequence, Scope::batch}) {
    EXPECT_EQ(loss_of(budget_config({0.5F}, scope), first, 3, none), 0.0);
  }
}

TEST(BudgetLoss, GradientOfEveryLayersLogitsHasTheSignOfShareMinusBudget) {
  for (const float budget : {0.2F, 0.8F}) {
    auto logits = torch::tensor({0.1, -0.3, 0.2, 0.4}).view({2, 2}).requires_grad_();
    const auto p = torch::sigmoid(logits);
    const auto loss = budget_loss(budget_config({budget}), layers_of({p[0], p[1]}), 1, {});
    const double share = p.mean().item<double>();
    const auto gradient = torch::autograd::grad({loss}, {logits})[0];
    EXPECT_TRUE((gradient.sign() == (share > budget ? 1 : -1)).all().item<bool>());
  }
}

class SoftRouting : public ::testing::Test {
 protected:
  ModelConfig config_ = testing_support::tiny_duo_router();
  Decoder model_{config_, 5};
  torch::Tensor tokens_ = (torch::arange(24) * 11 % 96).view({2, 12});

  torch::Tensor logits(const std::function<void(ForwardContext&)>& change) {
    const torch::NoGradGuard no_grad;
    ForwardContext context;
    change(context);
    return model_.forward(tokens_, context);
  }
  void set_routers(double scale) {
    const torch::NoGradGuard no_grad;
    torch::manual_seed(1);
    for (auto& layer : model_.layers) {
      layer->moe->router->weight.copy_(torch::randn({2, config_.width}) * scale);
    }
  }
};

TEST_F(SoftRouting, RoutersStartAtZeroSoAllOptionsAreAlike) {
  ForwardContext context;
  context.training = true;
  model_.forward(tokens_, context);
  for (const auto& route : context.routes) {
    EXPECT_TRUE(torch::equal(route.probs, torch::full_like(route.probs, 0.5)));
    EXPECT_EQ(route.weights.size(1), 2);
  }
  ASSERT_EQ(context.losses.size(), 1U);  // once a pass, not once a layer
  EXPECT_EQ(context.losses[0].name, "budget");
  // (1/2 - b)^2 with b = 1/2, and with another budget.
  EXPECT_NEAR(context.losses[0].value.item<double>(), 0.0, 1e-12);
  EXPECT_EQ(context.losses[0].coefficient, 10.0);
  auto other = config_;
  other.moe->router.losses.budget = {0.2F};
  Decoder model(other, 5);
  ForwardContext again;
  again.training = true;
  model.forward(tokens_, again);
  EXPECT_NEAR(again.losses.at(0).value.item<double>(), 0.09, 1e-6);
}

TEST_F(SoftRouting, TrainingMixesEvaluationChooses) {
  set_routers(0.3);
  const auto training = logits([](ForwardContext& c) { c.training = true; });
  EXPECT_TRUE(training.equal(logits([](ForwardContext& c) { c.soft = true; })));
  const auto hard = logits([](ForwardContext&) {});
  EXPECT_TRUE(hard.equal(logits([](ForwardContext& c) {
    c.training = true;
    c.soft = false;
  })));
  EXPECT_GT((training - hard).abs().max().item<double>(), 1e-4);
}

TEST_F(SoftRouting, AMixtureWithOneHotProbabilitiesIsTheHardChoice) {
  set_routers(0.3);
  const auto hard = logits([](ForwardContext&) {});
  double last = 1e9;
  for (const double factor : {1.0, 30.0, 1e5}) {
    const auto soft = logits([&](ForwardContext& c) {
      c.soft = true;
      c.inverse_temperature = factor;
    });
    const double distance = (soft - hard).abs().max().item<double>();
    EXPECT_LT(distance, last);
    last = distance;
  }
  EXPECT_LT(last, 1e-4);
}

// The formula as printed divides e^h by tau above and below, so tau cancels. What is meant, and
// done here, is softmax(tau h), which hardens as tau grows.
TEST_F(SoftRouting, ThePrintedTemperatureCancelsOursHardens) {
  const auto h = torch::tensor({{0.3, -0.2, 0.1}});
  const auto printed = [&](double tau) {
    const auto e = h.exp() / tau;
    return e / e.sum(1, true);
  };
  EXPECT_TRUE(torch::allclose(printed(1), printed(10)));
  set_routers(0.3);
  double last = 0;
  for (const double tau : {1.0, 3.0, 10.0}) {
    ForwardContext context;
    context.training = true;
    context.inverse_temperature = tau;
    model_.forward(tokens_, context);
    const double sure = std::get<0>(context.routes[0].probs.max(1)).mean().item<double>();
    EXPECT_GT(sure, last);
    last = sure;
  }
}

// Stage 1: a token trains the sibling it chose and leaves the other alone, exactly.
TEST(RandomRouting, TheSiblingThatWasNotChosenGetsNoGradient) {
  for (const std::int64_t chosen : {0, 1}) {
    Decoder model(testing_support::tiny_duo(), 5);
    ForwardContext context;
    context.training = true;
    const auto layers = static_cast<std::int64_t>(model.layers.size());
    context.forced = ForcedRoutes{.experts = torch::full({layers}, chosen, torch::kInt64)};
    model.forward(torch::arange(8).unsqueeze(0), context).square().sum().backward();
    for (auto& layer : model.layers) {
      // Columns of the big expert, then of the small one.
      const auto& bank = *layer->moe->experts;
      const auto of = [&](std::int64_t e) {
        return bank.out.grad().narrow(1, e == 0 ? 0 : bank.hidden[0],
                                      bank.hidden[static_cast<std::size_t>(e)]);
      };
      EXPECT_GT(of(chosen).abs().max().item<double>(), 0.0);
      EXPECT_EQ(of(1 - chosen).abs().max().item<double>(), 0.0);
    }
  }
}

TEST_F(SoftRouting, ForcedRoutesAreNotMixed) {
  set_routers(0.3);
  const auto force = [](ForwardContext& c) {
    c.forced = ForcedRoutes{.experts = torch::zeros({2}, torch::kInt64)};
  };
  const auto hard = logits(force);
  EXPECT_TRUE(hard.equal(logits([&](ForwardContext& c) {
    force(c);
    c.soft = true;
  })));
}

TEST(ShareThreshold, CutsOffTheShare) {
  const auto values = torch::tensor({0.1, 0.9, 0.5, 0.3, 0.7});
  EXPECT_NEAR(share_threshold(values, 0.4), 0.6, 1e-6);
  EXPECT_NEAR(share_threshold(values, 0.2), 0.8, 1e-6);
  EXPECT_GT(share_threshold(values, 0.0), 1.0);
  EXPECT_LT(share_threshold(values, 1.0), 0.0);
}

TEST_F(SoftRouting, CalibrationMeetsTheShareAndKeepsTheWeights) {
  set_routers(0.3);
  for (const double share : {0.0, 0.25, 0.75, 1.0}) {
    const auto calibrated = calibrate_share(model_, tokens_, share);
    const torch::NoGradGuard no_grad;
    ForwardContext context;
    calibrated->forward(tokens_, context);
    double big = 0, items = 0;
    for (const auto& route : context.routes) {
      big += (route.indices == 0).sum().item<double>();
      items += static_cast<double>(route.indices.numel());
    }
    EXPECT_NEAR(big / items, share, 0.05) << share;
    EXPECT_TRUE(calibrated->layers[1]->moe->experts->in.equal(model_.layers[1]->moe->experts->in));
  }
}

TEST_F(SoftRouting, SkipsAreAnOptionOfTheMixture) {
  auto config = config_;
  config.moe->router.null_experts = 1;
  config.moe->router.losses.budget = {0.3F, 0.5F, 0.2F};
  Decoder model(config, 5);
  ForwardContext context;
  context.training = true;
  model.forward(tokens_, context);
  // A third of each expert, nothing of the skip.
  for (const auto& route : context.routes) {
    EXPECT_EQ(route.probs.size(1), 3);
    EXPECT_TRUE(torch::allclose(route.weights.sum(1), torch::full({24}, 2.0F / 3.0F)));
  }
  const double third = 1.0 / 3.0;
  EXPECT_NEAR(context.losses.at(0).value.item<double>(),
              std::pow(third - 0.3, 2) + std::pow(third - 0.5, 2) + std::pow(third - 0.2, 2), 1e-6);
}

}  // namespace
}  // namespace switchyard::models
