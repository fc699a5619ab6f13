#include "models/moe_layer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "switchyard/error.h"

#include "models/testing/gradient_check.h"

namespace switchyard::models {
namespace {

using testing::gradient_error;
using ::testing::HasSubstr;
using testing::random_tensor;
using testing::relative_error;

constexpr int kWidth = 8, kExperts = 4, kLayer = 1, kLayers = 3;

MoeConfig small_config() {
  MoeConfig config;
  config.expert = {.hidden = 6};
  config.router.experts = kExperts;
  config.router.experts_per_token = 2;
  return config;
}

MoeLayer make_layer(const MoeConfig& config, torch::ScalarType type = torch::kFloat32) {
  MoeLayer layer(config, kWidth, kLayer, kLayers);
  layer->to(type);
  const torch::NoGradGuard no_grad;
  std::uint64_t seed = 20;
  for (auto& parameter : layer->parameters()) {
    parameter.copy_(random_tensor(parameter.sizes(), seed++));
  }
  return layer;
}

torch::Tensor tokens(std::int64_t batch, std::int64_t length) {
  return torch::arange(batch * length).view({batch, length});
}

// What one expert makes of x [B, T, D].
torch::Tensor expert_output(const MoeLayer& layer, const torch::Tensor& x, std::int64_t expert) {
  const auto flat = x.view({-1, kWidth});
  return apply_experts(*layer->experts, flat, torch::full({flat.size(0), 1}, expert, torch::kInt64),
                       torch::ones({flat.size(0), 1}), ComputePath::naive)
      .view_as(x);
}

TEST(MoeLayer, HasTheGradientOfFiniteDifferences) {
  auto config = small_config();
  config.shared_hidden = 5;
  config.shared_gate = true;
  auto layer = make_layer(config, torch::kFloat64);
  auto x = random_tensor({2, 3, kWidth}, 1, torch::kFloat64).requires_grad_();
  auto leaves = layer->parameters();
  leaves.push_back(x);
  for (const auto path : {ComputePath::naive, ComputePath::grouped, ComputePath::masked_dense}) {
    const auto forward = [&] {
      ForwardContext context;
      context.path = path;
      return layer->forward(x, tokens(2, 3), context);
    };
    EXPECT_LT(gradient_error(leaves, forward), 1e-6) << path_name(path);
  }
}

// The routers of the methods, on this layer's experts.
std::vector<std::pair<std::string, routing::Config>> method_routers() {
  auto top_p = routing::default_config(routing::Kind::top_p);
  top_p.experts_per_token = kExperts;
  top_p.threshold = 0.7F;
  top_p.losses.balance_coefficient = 0.01F;
  top_p.losses.entropy_coefficient = 0.01F;
  auto sigmoid = routing::default_config(routing::Kind::sigmoid_threshold);
  sigmoid.experts_per_token = kExperts;
  sigmoid.min_experts_per_token = 0;
  std::vector<std::pair<std::string, routing::Config>> out{
      {"top p", top_p},
      {"sigmoid threshold", sigmoid},
      {"null experts",
       {.experts_per_token = 3, .null_experts = 4, .losses = {.balance_coefficient = 0.02F}}},
      {"two layers", {.router_hidden = 5}},
      {"frozen", {.experts_per_token = 3, .softmax_after_selection = true, .frozen = true}}};
  for (auto& [name, router] : out) router.experts = kExperts;
  return out;
}

TEST(MoeLayer, EveryMethodHasTheGradientOfFiniteDifferencesWithItsLosses) {
  for (const auto& [name, router] : method_routers()) {
    auto config = small_config();
    config.router = router;
    auto layer = make_layer(config, torch::kFloat64);
    auto x = random_tensor({2, 3, kWidth}, 1, torch::kFloat64).requires_grad_();
    std::vector<torch::Tensor> leaves{x};
    for (const auto& parameter : layer->parameters()) {
      if (parameter.requires_grad()) leaves.push_back(parameter);
    }
    for (const auto path : {ComputePath::naive, ComputePath::grouped, ComputePath::masked_dense}) {
      const auto forward = [&] {
        ForwardContext context;
        context.path = path;
        const auto y = layer->forward(x, tokens(2, 3), context);
        const auto loss = context.total_loss();
        return loss.defined() ? y + loss : y;
      };
      EXPECT_LT(gradient_error(leaves, forward), 1e-6) << name << ", " << path_name(path);
    }
  }
}

TEST(MoeLayer, ExpertsThatNobodyTookGetExactlyZeroGradientAndTheRouterAllOfIt) {
  auto config = small_config();
  config.router = method_routers()[0].second;
  config.router.losses = {};
  config.router.threshold = 0.01F;  // one expert an item
  for (const auto path : {ComputePath::naive, ComputePath::grouped, ComputePath::masked_dense}) {
    auto layer = make_layer(config);
    ForwardContext context;
    context.path = path;
    // One item takes one expert.
    layer->forward(random_tensor({1, 1, kWidth}, 3), tokens(1, 1), context)
        .square()
        .sum()
        .backward();
    const auto taken = context.routes[0].indices[0][0].item<std::int64_t>();
    for (std::int64_t e = 0; e < kExperts; ++e) {
      const auto in = layer->experts->in.grad()[e].abs().max().item<float>();
      const auto out = layer->experts->out.grad()[e].abs().max().item<float>();
      EXPECT_EQ(in > 0, e == taken) << path_name(path);
      EXPECT_EQ(out > 0, e == taken) << path_name(path);
    }
    const auto rows = std::get<0>(layer->router->weight.grad().abs().max(1));
    EXPECT_GT(rows.min().item<float>(), 0.0F) << path_name(path);
  }
}

TEST(MoeLayer, AnItemWithNullExpertsOnlyAddsExactlyZero) {
  auto config = small_config();
  config.router.experts_per_token = 2;
  config.router.null_experts = 2;
  for (const auto path : {ComputePath::naive, ComputePath::grouped, ComputePath::masked_dense}) {
    auto layer = make_layer(config);
    const torch::NoGradGuard no_grad;
    layer->router->weight.narrow(0, kExperts, 2).fill_(0);
    layer->router->weight.narrow(0, 0, kExperts).fill_(-1);
    const auto x = random_tensor({1, 4, kWidth}, 5).abs();  // all experts' logits are negative
    ForwardContext context;
    context.path = path;
    const auto y = layer->forward(x, tokens(1, 4), context);
    EXPECT_TRUE(y.equal(torch::zeros_like(y))) << path_name(path);
    EXPECT_EQ(context.routes[0].null_count, 8);
  }
}

TEST(MoeLayer, ReportsItsRouteAndLosses) {
  auto config = small_config();
  config.router.losses.balance_coefficient = 0.01F;
  config.router.losses.z_coefficient = 0.001F;
  auto layer = make_layer(config);
  ForwardContext context;
  context.training = true;
  layer->forward(random_tensor({2, 5, kWidth}, 1), tokens(2, 5), context);
  ASSERT_EQ(context.routes.size(), 1U);
  const auto& route = context.routes[0];
  EXPECT_EQ(route.layer, kLayer);
  EXPECT_FALSE(route.forced);
  EXPECT_EQ(route.logits.sizes(), (std::vector<std::int64_t>{10, kExperts}));
  EXPECT_EQ(route.indices.sizes(), (std::vector<std::int64_t>{10, 2}));
  EXPECT_EQ(route.counts.sum().item<std::int64_t>(), 20);
  ASSERT_EQ(context.losses.size(), 2U);
  EXPECT_EQ(context.losses[0].name, "balance");
  EXPECT_EQ(context.losses[0].layer, kLayer);
  EXPECT_TRUE(context.total_loss().requires_grad());
  EXPECT_TRUE(context.notices.empty());
}

TEST(MoeLayer, ForcedRoutesInAllShapesReplaceTheChoice) {
  auto layer = make_layer(small_config());
  const torch::NoGradGuard no_grad;
  const auto x = random_tensor({2, 3, kWidth}, 1);
  const auto run = [&](const torch::Tensor& experts) {
    ForwardContext context;
    context.forced = ForcedRoutes{.experts = experts};
    auto y = layer->forward(x, tokens(2, 3), context);
    EXPECT_TRUE(context.routes[0].forced);
    return y;
  };
  // One prescribed expert has gate weight 1, because this router renormalises.
  EXPECT_LT(relative_error(run(torch::tensor({0, 3, 0})), expert_output(layer, x, 3)), 1e-5);

  const auto by_token = run(torch::tensor({{0, 0, 0}, {2, 1, -1}, {0, 0, 0}}));
  EXPECT_LT(relative_error(by_token.select(1, 0), expert_output(layer, x, 2).select(1, 0)), 1e-5);
  EXPECT_LT(relative_error(by_token.select(1, 1), expert_output(layer, x, 1).select(1, 1)), 1e-5);
  EXPECT_EQ(by_token.select(1, 2).abs().max().item<float>(), 0);

  auto experts = torch::zeros({2, kLayers, 3}, torch::kInt64);
  experts[1][kLayer][2] = 3;
  const auto by_item = run(experts);
  EXPECT_LT(relative_error(by_item[1][2], expert_output(layer, x, 3)[1][2]), 1e-5);
  EXPECT_LT(relative_error(by_item[0], expert_output(layer, x, 0)[0]), 1e-5);
}

TEST(MoeLayer, ReplayingItsOwnRouteGivesTheSameBits) {
  auto layer = make_layer(small_config());
  const torch::NoGradGuard no_grad;
  const auto x = random_tensor({2, 3, kWidth}, 1);
  ForwardContext first, second;
  const auto y = layer->forward(x, tokens(2, 3), first);
  const auto spread = [](const torch::Tensor& rows) {
    return rows.view({2, 1, 3, -1}).expand({2, kLayers, 3, rows.size(1)});
  };
  second.forced = ForcedRoutes{.experts = spread(first.routes[0].indices),
                               .several = true,
                               .weights = spread(first.routes[0].weights)};
  EXPECT_TRUE(layer->forward(x, tokens(2, 3), second).equal(y));
}

TEST(MoeLayer, OverridingKChangesThisPassOnly) {
  auto layer = make_layer(small_config());
  const torch::NoGradGuard no_grad;
  const auto x = random_tensor({1, 3, kWidth}, 1);
  ForwardContext context;
  const auto before = layer->forward(x, tokens(1, 3), context);
  {
    const auto scope = context.override_k(kExperts);
    layer->forward(x, tokens(1, 3), context);
  }
  const auto after = layer->forward(x, tokens(1, 3), context);
  EXPECT_EQ(context.routes[1].indices.size(1), kExperts);
  EXPECT_EQ(context.routes[2].indices.size(1), 2);
  EXPECT_TRUE(before.equal(after));
}

TEST(MoeLayer, SharedExpertStandsOutsideTheRouter) {
  auto config = small_config();
  config.shared_hidden = 5;
  auto layer = make_layer(config);
  const torch::NoGradGuard no_grad;
  const auto x = random_tensor({1, 3, kWidth}, 1);
  ForwardContext context;
  context.forced = ForcedRoutes{.experts = torch::tensor({-1, -1, -1})};
  EXPECT_TRUE(layer->forward(x, tokens(1, 3), context).equal(layer->shared->forward(x)));
}

TEST(MoeLayer, MergedExpertsShareASlot) {
  auto layer = make_layer(small_config());
  const torch::NoGradGuard no_grad;
  layer->expert_map.copy_(torch::tensor({2, 2, 2, 2}));
  const auto x = random_tensor({1, 3, kWidth}, 1);
  ForwardContext context;
  // All weights add up to 1 on the one slot that is left.
  EXPECT_LT(relative_error(layer->forward(x, tokens(1, 3), context), expert_output(layer, x, 2)),
            1e-5);
}

TEST(MoeLayer, RoutersThatCannotLearnAreReported) {
  const auto notices = [](const MoeConfig& config, bool freeze, bool training = true) {
    auto layer = make_layer(config);
    layer->router->weight.set_requires_grad(!freeze);
    ForwardContext context;
    context.training = training;
    layer->forward(random_tensor({1, 3, kWidth}, 1), tokens(1, 3), context);
    return context.notices;
  };
  EXPECT_TRUE(notices(small_config(), false).empty());

  const auto frozen = notices(small_config(), true);
  ASSERT_EQ(frozen.size(), 1U);
  EXPECT_EQ(frozen[0].kind, RouterNotice::Kind::frozen);
  EXPECT_EQ(frozen[0].layer, kLayer);

  auto top_1 = small_config();  // renormalised over one expert: the weight is always 1
  top_1.router.experts_per_token = 1;
  const auto missing = notices(top_1, false);
  ASSERT_EQ(missing.size(), 1U);
  EXPECT_EQ(missing[0].kind, RouterNotice::Kind::no_gradient);
  EXPECT_THAT(missing[0].why, HasSubstr("layer 1"));
  EXPECT_TRUE(notices(top_1, false, /*training=*/false).empty());

  top_1.router.losses.balance_coefficient = 0.01F;
  EXPECT_TRUE(notices(top_1, false).empty());
}

TEST(MoeLayer, NonFiniteRouterLogitsNameTheLayer) {
  auto layer = make_layer(small_config());
  const torch::NoGradGuard no_grad;
  auto x = random_tensor({1, 3, kWidth}, 1);
  x[0][1][0] = std::numeric_limits<float>::quiet_NaN();
  ForwardContext context;
  try {
    layer->forward(x, tokens(1, 3), context);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("layer 1"));
  }
}

}  // namespace
}  // namespace switchyard::models
