#include "train/routing_totals.h"

#include <cmath>
#include <gtest/gtest.h>

#include <torch/types.h>

namespace switchyard::train {
namespace {

// One layer of three experts, four items, two places an item; items 2 and 3 use null experts.
models::LayerRoute route() {
  models::LayerRoute out;
  out.layer = 1;
  out.indices = torch::tensor({{0, 1}, {0, -1}, {-1, -1}, {2, 0}}, torch::kInt64);
  out.counts = torch::tensor({3, 1, 1}, torch::kInt64);
  out.null_count = 3;
  out.probs = torch::tensor(
      {{0.6F, 0.3F, 0.1F}, {0.8F, 0.1F, 0.1F}, {0.4F, 0.2F, 0.4F}, {0.3F, 0.1F, 0.6F}});
  return out;
}

TEST(RoutingTotals, CountsWhatTheRouteSays) {
  models::ForwardContext context;
  context.routes = {route()};
  context.losses = {{"balance", 1, torch::tensor(2.0), 0.5},
                    {"balance", 2, torch::tensor(1.0), 0.5}};
  RoutingTotals totals(RoutingTotals::Detail::evaluation);
  totals.add(context);
  totals.add(context);  // sums double, means stay
  const RoutingSummary s = totals.summary();
  EXPECT_DOUBLE_EQ(s.experts_per_token, 5.0 / 4);
  EXPECT_EQ(s.experts_per_token_by_layer, std::vector<double>{5.0 / 4});
  EXPECT_DOUBLE_EQ(s.null_share, 3.0 / 8);
  EXPECT_DOUBLE_EQ(*s.skip_share, 1.0 / 4);
  EXPECT_NEAR(s.load_max, 9.0 / 5, 1e-12);
  // Loads 3, 1, 1 over their mean 5/3.
  EXPECT_NEAR(s.load_cv, std::sqrt((0.8 * 0.8 + 0.4 * 0.4 + 0.4 * 0.4) / 3), 1e-12);
  EXPECT_EQ(s.dead, 0);
  EXPECT_NEAR(*s.selected_mass, (0.9 + 0.8 + 0.0 + 0.9) / 4, 1e-6);
  EXPECT_NEAR(*s.top_ratio, 2.0, 0.02);  // 1, 2, 2, 8
  double entropy = 0;
  for (const double p : {0.6, 0.3, 0.1, 0.8, 0.1, 0.1, 0.4, 0.2, 0.4, 0.3, 0.1, 0.6})
    entropy -= p * std::log(p) / 4;
  EXPECT_NEAR(*s.router_entropy, entropy, 1e-6);
  EXPECT_DOUBLE_EQ(totals.losses().at("balance"), 1.5);
}

// What RMoE is about: whether a layer's choice says something about the next one's.
TEST(RoutingTotals, InformationBetweenLayersIsZeroForIndependentChoicesAndTheEntropyForEqualOnes) {
  const auto layer_of = [](int number, const std::vector<std::int64_t>& first) {
    models::LayerRoute out;
    out.layer = number;
    out.indices = torch::tensor(first).unsqueeze(1);
    out.counts = torch::bincount(out.indices.flatten() + 1, {}, 4).narrow(0, 1, 3);
    return out;
  };
  const auto information = [&](const std::vector<std::int64_t>& a,
                               const std::vector<std::int64_t>& b) {
    models::ForwardContext context;
    context.routes = {layer_of(1, a), layer_of(4, b)};
    RoutingTotals totals(RoutingTotals::Detail::evaluation);
    totals.add(context);
    totals.add(context);
    return *totals.summary().layer_information;
  };
  EXPECT_NEAR(information({0, 0, 1, 1}, {0, 1, 0, 1}), 0.0, 1e-12);
  EXPECT_NEAR(information({0, 1, 2}, {2, 0, 1}), std::log(3.0), 1e-12);
  EXPECT_NEAR(information({-1, -1, 0, 0}, {1, 1, 2, 2}), std::log(2.0), 1e-12);  // no expert counts
  // Joint 1/2, 1/4, 1/4: H(a) + H(b) - H(a, b).
  const auto h = [](double p) { return -p * std::log(p); };
  EXPECT_NEAR(information({0, 0, 0, 1}, {0, 0, 1, 1}),
              h(0.75) + h(0.25) + 2 * h(0.5) - h(0.5) - 2 * h(0.25), 1e-12);

  models::ForwardContext one;
  one.routes = {layer_of(1, {0, 1})};
  RoutingTotals alone(RoutingTotals::Detail::evaluation);
  alone.add(one);
  EXPECT_FALSE(alone.summary().layer_information.has_value());
}

TEST(RoutingTotals, ExpertsOfDifferentWidthCountWithTheirOwnWeights) {
  ModelConfig config;
  config.width = 10;
  config.moe = MoeConfig{.expert = {.hidden = 8}, .router = {}};
  config.moe->expert_hidden = {8, 4, 2};
  models::ForwardContext context;
  context.routes = {route()};
  RoutingTotals totals(RoutingTotals::Detail::training);
  totals.add(context);
  EXPECT_DOUBLE_EQ(totals.expert_parameters_per_token(config), 3 * 10 * (3 * 8 + 4 + 2) / 4.0);
  EXPECT_FALSE(totals.summary().skip_share.has_value());
}

TEST(RoutingTotals, ADeadExpertAndNoProbabilities) {
  models::LayerRoute only = route();
  only.probs = torch::Tensor();
  only.counts = torch::tensor({5, 0, 0}, torch::kInt64);
  models::ForwardContext context;
  context.routes = {only};
  RoutingTotals totals(RoutingTotals::Detail::evaluation);
  EXPECT_FALSE(totals.any());
  totals.add(context);
  const RoutingSummary s = totals.summary();
  EXPECT_EQ(s.dead, 2);
  EXPECT_NEAR(s.load_entropy, 0, 1e-12);
  EXPECT_FALSE(s.router_entropy.has_value());
  EXPECT_FALSE(s.top_ratio.has_value());
}

}  // namespace
}  // namespace switchyard::train
