#include "cli/route_statistics.h"

#include <cmath>
#include <gtest/gtest.h>

namespace switchyard::cli {
namespace {

// Big, small and a null expert; the second of three tokens takes the null expert.
ModelConfig big_and_small() {
  ModelConfig config;
  config.layers = 2;
  config.layer_is_moe = {false, true};
  config.moe = MoeConfig{.expert = {.hidden = 32}, .expert_hidden = {32, 2}, .router = {}};
  config.moe->router.experts = 2;
  config.moe->router.experts_per_token = 1;
  config.moe->router.null_experts = 1;
  return config;
}

routing::Decision decision() {
  return {.experts = 2,
          .offsets = {0, 1, 1, 2},
          .expert = {0, 1},
          .weight = {1.0F, 1.0F},
          .counts = {1, 1},
          .null_count = 1};
}

TEST(RouteStatistics, CountsByClassAndRemembersTheFirstTokens) {
  RouteStatistics routes(big_and_small(),
                         {TokenClass::number, TokenClass::number, TokenClass::line_end}, 2);
  const routing::Decision d = decision();
  routes.add({.layer = 1, .decision = &d, .logits = {}});
  EXPECT_EQ(routes.expert_names(), (std::vector<std::string>{"big", "small"}));
  EXPECT_TRUE(routes.has_nulls());
  ASSERT_EQ(routes.layers().size(), 1U);
  const LayerRoutes& layer = routes.layers().at(1);
  const auto of = [&](TokenClass c) { return layer.by_class[static_cast<std::size_t>(c)]; };
  EXPECT_DOUBLE_EQ(of(TokenClass::number).experts_per_item(), 0.5);
  EXPECT_DOUBLE_EQ(of(TokenClass::line_end).experts_per_item(), 1.0);
  EXPECT_NEAR(layer.load.null_share(), 1.0 / 3, 1e-12);
  ASSERT_EQ(layer.tokens.size(), 2U);
  EXPECT_EQ(layer.tokens[0].experts, std::vector<std::int32_t>{0});
  EXPECT_TRUE(layer.tokens[1].experts.empty());
}

// Probabilities are those the router chooses by: softmax of the scaled logits.
TEST(RouteStatistics, TheInverseTemperatureEntersProbabilities) {
  ModelConfig config = big_and_small();
  config.moe->router.inverse_temperature = 10;
  RouteStatistics routes(config, {}, 3);
  const routing::Decision d = decision();
  const std::vector<float> logits = {0.3F, 0.1F, 0.0F, 0.1F, 0.0F, 0.3F, 0.0F, 0.3F, 0.1F};
  routes.add({.layer = 1, .decision = &d, .logits = logits});
  const double sum = std::exp(3.0) + std::exp(1.0) + 1;
  const LayerRoutes& layer = routes.layers().at(1);
  EXPECT_NEAR(layer.confidence.top_probability(), std::exp(3.0) / sum, 1e-6);
  const double entropy = std::log(sum) - (3 * std::exp(3.0) + std::exp(1.0)) / sum;
  EXPECT_NEAR(layer.confidence.entropy(), entropy, 1e-6);
  EXPECT_NEAR(layer.tokens[2].entropy, entropy / std::log(3.0), 1e-6);
}

}  // namespace
}  // namespace switchyard::cli
