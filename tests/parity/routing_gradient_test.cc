// What gradient the libtorch routers give: finite differences in double, gate modes, and the
// reports about routers that do not learn.
#include <functional>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include <torch/autograd.h>
#include <torch/optim/adam.h>
#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"
#include "switchyard/routing.h"

#include "models/routers/router.h"
#include "routing/testing/cases.h"

namespace switchyard::models {
namespace {

using routing::Config;
using routing::Gate;
using routing::Kind;
using Status = RouterGradient::Status;

// Apart enough that no finite difference moves a choice.
torch::Tensor spread_logits(std::int64_t items, std::int64_t experts) {
  torch::manual_seed(3);
  const auto order = torch::rand({items, experts}).argsort(std::int64_t{1}).to(torch::kFloat64);
  return order * 0.4 - 0.2 * static_cast<double>(experts) +
         0.05 * torch::rand({items, experts}, torch::kFloat64);
}

// The same for a config: wide enough that some sigmoids pass a high threshold.
torch::Tensor spread_logits(std::int64_t items, const Config& config) {
  const double width = config.kind == Kind::sigmoid_threshold ? 3.0 : 1.0;
  return width * spread_logits(items, routing::router_width(config));
}

RouterOutput twin(const Config& config, const torch::Tensor& logits) {
  RouterState state;
  const auto bias =
      config.selection_bias ? torch::linspace(-0.05, 0.05, config.experts) : torch::Tensor();
  return route(config, logits, bias, logits.size(0), torch::kCPU, {}, state);
}

using Function = std::function<torch::Tensor(const torch::Tensor&)>;

// Largest difference between the gradient of f at x and its central differences, relative to the
// largest entry.
double gradient_error(const Function& f, const torch::Tensor& at) {
  const auto x = at.clone().requires_grad_(true);
  const auto gradient = torch::autograd::grad({f(x)}, {x})[0];
  auto numeric = torch::zeros_like(at);
  const double step = 1e-5;
  const torch::NoGradGuard no_grad;
  for (std::int64_t i = 0; i < at.numel(); ++i) {
    auto moved = at.clone();
    moved.view(-1)[i] += step;
    const double up = f(moved).item<double>();
    moved.view(-1)[i] -= 2 * step;
    const double down = f(moved).item<double>();
    numeric.view(-1)[i] = (up - down) / (2 * step);
  }
  return (gradient - numeric).abs().max().item<double>() /
         std::max(1e-3, numeric.abs().max().item<double>());
}

// A fixed function of the weights, different in every entry.
torch::Tensor probe(const torch::Tensor& weights) {
  return (weights * torch::arange(1, weights.numel() + 1, torch::kFloat64).view_as(weights).sin())
      .sum();
}

TEST(RoutingGradient, WeightsOfEveryVariantMatchFiniteDifferences) {
  auto cases = routing::testing::top_k_variants(8, 3);
  for (auto& c : routing::testing::top_p_variants(8)) cases.push_back(c);
  for (auto& c : routing::testing::null_expert_variants(8)) cases.push_back(c);
  for (auto& c : routing::testing::sigmoid_threshold_variants(8)) cases.push_back(c);
  for (auto& c : routing::testing::recurrent_variants(8, 3)) cases.push_back(c);
  for (auto& c : routing::testing::expert_choice_variants(8, 3)) cases.push_back(c);
  for (const auto& c : cases) {
    // Modes that are constant forward have no finite difference; they are tested below.
    if (c.config.gate == Gate::straight_through || c.config.gate == Gate::none ||
        c.config.gate == Gate::uniform) {
      continue;
    }
    const auto f = [&](const torch::Tensor& logits) {
      return probe(twin(c.config, logits).weights);
    };
    EXPECT_LT(gradient_error(f, spread_logits(5, c.config)), 1e-6) << c.name;
  }
}

TEST(RoutingGradient, EveryLossMatchesFiniteDifferences) {
  for (const auto score : {routing::Score::softmax, routing::Score::sigmoid}) {
    const Config config{.experts = 8,
                        .experts_per_token = 2,
                        .score = score,
                        .losses = {.balance_coefficient = 1.0F,
                                   .z_coefficient = 1.0F,
                                   .importance_coefficient = 1.0F,
                                   .entropy_coefficient = 1.0F}};
    for (const auto term : {&RouterLosses::balance, &RouterLosses::z, &RouterLosses::importance,
                            &RouterLosses::entropy}) {
      const auto f = [&](const torch::Tensor& logits) { return twin(config, logits).losses.*term; };
      EXPECT_LT(gradient_error(f, spread_logits(5, 8)), 1e-6);
    }
  }
}

TEST(RoutingGradient, EveryLossOfEveryMethodMatchesFiniteDifferences) {
  auto cases = routing::testing::top_p_variants(8);
  for (auto& c : routing::testing::null_expert_variants(8)) cases.push_back(c);
  for (auto& c : routing::testing::sigmoid_threshold_variants(8)) cases.push_back(c);
  for (auto& c : routing::testing::recurrent_variants(8, 3)) cases.push_back(c);
  for (auto& c : cases) {
    auto& losses = c.config.losses;
    losses.balance_coefficient = losses.z_coefficient = losses.entropy_coefficient = 1.0F;
    for (const auto term : {&RouterLosses::balance, &RouterLosses::z, &RouterLosses::entropy}) {
      const auto f = [&](const torch::Tensor& logits) {
        return twin(c.config, logits).losses.*term;
      };
      EXPECT_LT(gradient_error(f, spread_logits(5, c.config)), 1e-6) << c.name;
    }
  }
}

// dL_d / dz = -P (ln P + H), a mean over items.
TEST(RoutingGradient, EntropyLossHasItsClosedForm) {
  Config config = routing::default_config(Kind::top_p);
  config.experts = config.experts_per_token = 8;
  config.losses.entropy_coefficient = 1.0F;
  const auto logits = spread_logits(5, 8).requires_grad_(true);
  const auto gradient = torch::autograd::grad({twin(config, logits).losses.entropy}, {logits})[0];
  const auto p = logits.detach().softmax(1);
  const auto h = -(p * p.log()).sum(1, true);
  EXPECT_TRUE(torch::allclose(gradient, -p * (p.log() + h) / 5));
}

// Where every expert is taken alike the balance loss has no gradient, however many experts an item
// takes: only the entropy loss lowers their number.
TEST(RoutingGradient, BalanceOfTopPHasNoGradientUnderAUniformLoad) {
  Config config = routing::default_config(Kind::top_p);
  config.experts = config.experts_per_token = 8;
  config.threshold = 0.8F;
  config.losses.balance_coefficient = 1.0F;
  // Row n is the same row turned by n: every expert comes first once, second once, ...
  std::vector<torch::Tensor> rows;
  const auto row = torch::linspace(1.0, -1.0, 8, torch::kFloat64);
  for (std::int64_t n = 0; n < 8; ++n) rows.push_back(row.roll(n));
  const auto logits = torch::stack(rows).requires_grad_(true);
  const auto out = twin(config, logits);
  EXPECT_GT(out.counts[0].item<std::int64_t>(), 1);
  EXPECT_TRUE(out.counts.equal(out.counts[0].expand_as(out.counts)));
  const auto gradient = torch::autograd::grad({out.losses.balance}, {logits})[0];
  EXPECT_LT(gradient.abs().max().item<double>(), 1e-12);
}

// The loss of the model moves null experts' logits only where they share in the weights.
TEST(RoutingGradient, NullLogitsAreTrainedByTheBalanceLossAlone) {
  Config config{.experts = 4,
                .experts_per_token = 4,
                .null_experts = 4,
                .losses = {.balance_coefficient = 1.0F}};
  const auto logits = spread_logits(20, 8).requires_grad_(true);
  const auto nulls_of = [](const torch::Tensor& gradient) {
    return gradient.narrow(1, 4, 4).abs().max().item<double>();
  };
  const auto out = twin(config, logits);
  const auto by_weights =
      torch::autograd::grad({probe(out.weights)}, {logits}, {}, /*retain_graph=*/true)[0];
  EXPECT_EQ(nulls_of(by_weights), 0.0);
  EXPECT_GT(by_weights.abs().max().item<double>(), 1e-3);
  // An item with at most one expert tells the router nothing.
  const auto few = (out.indices >= 0).sum(1) <= 1;
  EXPECT_GT(few.sum().item<std::int64_t>(), 0);
  EXPECT_EQ(by_weights.index({few}).abs().max().item<double>(), 0.0);

  EXPECT_GT(nulls_of(torch::autograd::grad({out.losses.balance}, {logits})[0]), 1e-4);
  config.null_weights = routing::NullWeights::all_selected;
  EXPECT_GT(nulls_of(torch::autograd::grad({probe(twin(config, logits).weights)}, {logits})[0]),
            1e-3);
}

// Raw weights: a single expert still trains the router, and every row of it.
TEST(RoutingGradient, TopPTrainsEveryLogitEvenWithOneExpertAnItem) {
  Config config = routing::default_config(Kind::top_p);
  config.experts = config.experts_per_token = 8;
  config.threshold = 0.05F;
  const auto logits = spread_logits(5, 8).requires_grad_(true);
  const auto out = twin(config, logits);
  EXPECT_EQ(out.indices.size(1), 1);
  const auto gradient = torch::autograd::grad({out.weights.sum()}, {logits})[0];
  EXPECT_GT(gradient.abs().min().item<double>(), 0.0);
}

// No loss of the model at all: random inputs, a linear router, the balance loss.
TEST(RoutingGradient, TheBalanceLossAloneBringsTheNumberOfExpertsToItsTarget) {
  const Config config{
      .experts = 8,
      .experts_per_token = 3,
      .null_experts = 8,
      .losses = {.fraction = routing::LossConfig::Fraction::per_item, .balance_coefficient = 1.0F}};
  torch::manual_seed(5);
  Router router(config, 16, 0.3);
  torch::optim::Adam adam(router->parameters(), torch::optim::AdamOptions(0.01));
  RouterState state;
  double experts = 0;
  constexpr int kSteps = 400, kItems = 1024, kMeasured = 50;
  for (int step = 0; step < kSteps; ++step) {
    const auto out = router->forward(torch::randn({kItems, 16}), {}, state);
    adam.zero_grad();
    out.losses.balance.backward();
    adam.step();
    if (step >= kSteps - kMeasured) {
      experts += out.counts.sum().item<double>() / kItems / kMeasured;
    }
  }
  EXPECT_NEAR(experts, 3.0 * 8 / 16, 0.02 * 1.5);
}

TEST(RoutingGradient, StraightThroughIsOneForwardAndProbabilityBackward) {
  Config config{.experts = 8, .experts_per_token = 2, .renormalize = false};
  const auto logits = spread_logits(5, 8).requires_grad_(true);
  const auto by_probability =
      torch::autograd::grad({probe(twin(config, logits).weights)}, {logits});
  config.gate = Gate::straight_through;
  const auto weights = twin(config, logits).weights;
  EXPECT_TRUE(torch::equal(weights, torch::ones_like(weights)));
  EXPECT_TRUE(
      torch::allclose(torch::autograd::grad({probe(weights)}, {logits})[0], by_probability[0]));
}

TEST(RoutingGradient, GateNoneIsOneWithoutGradient) {
  const Config config{.experts = 8, .experts_per_token = 2, .gate = Gate::none};
  const auto weights = twin(config, spread_logits(5, 8).requires_grad_(true)).weights;
  EXPECT_TRUE(torch::equal(weights, torch::ones_like(weights)));
  EXPECT_FALSE(weights.requires_grad());
}

TEST(RoutingGradient, RowsWithoutAnyExpertGiveFiniteGradients) {
  const Config config{.experts = 4, .experts_per_token = 2, .capacity_factor = 0.5F};
  const auto logits = torch::zeros({6, 4}, torch::kFloat64).requires_grad_(true);
  const auto out = twin(config, logits);
  EXPECT_GT(out.dropped, 0);
  EXPECT_TRUE(
      torch::isfinite(torch::autograd::grad({probe(out.weights)}, {logits})[0]).all().item<bool>());

  const RouterInputs inputs{.forced = torch::full({6, 2}, routing::kNoExpert, torch::kInt64)};
  RouterState again;
  const auto forced =
      route({.experts = 4, .experts_per_token = 2}, logits, {}, 6, torch::kCPU, inputs, again);
  const auto gradient = torch::autograd::grad({forced.weights.sum()}, {logits})[0];
  EXPECT_TRUE(torch::equal(gradient, torch::zeros_like(gradient)));
}

// gate_has_gradient() is what the trainer asks; this is what autograd says.
TEST(RoutingGradient, GateHasGradientTellsTheTruth) {
  for (const int k : {1, 2, 8}) {
    auto cases = routing::testing::top_k_variants(8, k > 4 ? 4 : k);
    for (auto& c : routing::testing::top_p_variants(8)) {
      if (c.config.min_experts_per_token <= k) cases.push_back(c);
    }
    for (auto& c : routing::testing::null_expert_variants(8)) cases.push_back(c);
    for (auto& c : routing::testing::sigmoid_threshold_variants(8)) {
      if (c.config.min_experts_per_token <= k) cases.push_back(c);
    }
    for (auto& c : routing::testing::recurrent_variants(8, k)) cases.push_back(c);
    for (auto& c : cases) {
      if (c.config.groups == 1) c.config.experts_per_token = k;
      const auto logits = spread_logits(200, c.config).requires_grad_(true);
      const auto weights = twin(c.config, logits).weights;
      double largest = 0.0;
      if (weights.requires_grad()) {
        largest = torch::autograd::grad({probe(weights)}, {logits})[0].abs().max().item<double>();
      }
      EXPECT_EQ(largest > 1e-9, routing::gate_has_gradient(c.config)) << c.name << ", K = " << k;
    }
  }
}

TEST(RoutingGradient, ReachesTheInputThroughAFrozenRouter) {
  const Config config{.experts = 4, .experts_per_token = 2, .frozen = true};
  Router router(config, 6);
  const auto x = torch::randn({5, 6}).requires_grad_(true);
  RouterState state;
  router->forward(x, {}, state).weights.square().sum().backward();
  EXPECT_GT(x.grad().abs().max().item<double>(), 0.0);
  EXPECT_EQ(router_gradient(*router).status, Status::frozen);
  EXPECT_EQ(router_gradient(*router).message, "the router is frozen, as configured");
}

TEST(RouterReports, EveryStatus) {
  Router router(Config{.experts = 4, .experts_per_token = 2}, 6);
  EXPECT_EQ(router_gradient(*router).status, Status::missing);

  RouterState state;
  router->forward(torch::randn({5, 6}), {}, state).weights.square().sum().backward();
  const auto flows = router_gradient(*router);
  EXPECT_EQ(flows.status, Status::flows);
  EXPECT_GT(flows.norm, 0.0);
  EXPECT_EQ(flows.message, "");

  router->weight.mutable_grad().zero_();
  EXPECT_EQ(router_gradient(*router).status, Status::zero);
  router->weight.mutable_grad().fill_(NAN);
  EXPECT_EQ(router_gradient(*router).status, Status::non_finite);

  router->weight.requires_grad_(false);
  const auto frozen = router_gradient(*router);
  EXPECT_EQ(frozen.status, Status::frozen);
  EXPECT_THAT(frozen.message, ::testing::HasSubstr("does not say so"));

  Router none(Config{.kind = Kind::random, .experts = 4, .experts_per_token = 2}, 6);
  EXPECT_EQ(router_gradient(*none).status, Status::none);
  EXPECT_TRUE(none->parameters().empty());
}

TEST(RouterReports, ARouterThatCannotLearnIsRefused) {
  Config config{.experts = 4, .experts_per_token = 1};
  try {
    require_trainable(config, "recipe.toml: model.router");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.parts().where, "recipe.toml: model.router");
    EXPECT_THAT(error.parts().what, ::testing::HasSubstr("never be trained"));
  }
  const auto accepted = [](Config changed) { EXPECT_NO_THROW(require_trainable(changed, "")); };
  auto changed = config;
  changed.renormalize = false;
  accepted(changed);
  changed = config;
  changed.frozen = true;
  accepted(changed);
  changed = config;
  changed.losses.z_coefficient = 0.1F;
  accepted(changed);
  accepted({.kind = Kind::hash, .experts = 4, .experts_per_token = 1});
}

TEST(Router, WeightsAreFp32ForAnyInputAndFollowTheLogits) {
  Router router(Config{.experts = 4, .experts_per_token = 2}, 6);
  RouterState state;
  const auto x = torch::randn({5, 6}).to(torch::kBFloat16);
  const auto out = router->forward(x, {}, state);
  EXPECT_EQ(out.weights.scalar_type(), torch::kFloat32);
  EXPECT_TRUE(torch::allclose(out.logits, torch::linear(x.to(torch::kFloat32), router->weight)));
  const auto sum = out.weights.sum(1);
  EXPECT_TRUE(torch::allclose(sum, torch::ones_like(sum)));
}

TEST(Router, SelectionBiasMovesTowardsIdleExperts) {
  Router router(Config{.experts = 4, .experts_per_token = 2, .selection_bias = true}, 6);
  router->update_selection_bias(torch::tensor({10L, 2L, 4L, 0L}), 0.001);
  EXPECT_TRUE(
      torch::allclose(router->selection_bias, torch::tensor({-0.001F, 0.001F, 0.0F, 0.001F})));
  EXPECT_TRUE(router->named_buffers().contains("selection_bias"));
}

TEST(Router, ABadConfigIsRefused) {
  EXPECT_THROW(Router(Config{.experts = 4, .experts_per_token = 5}, 6), Error);
}

}  // namespace
}  // namespace switchyard::models
