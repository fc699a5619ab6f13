#include "routing/sigmoid_threshold.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <span>
#include <vector>

#include "routing/testing/cases.h"

namespace switchyard::routing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Config sigmoid_threshold(int experts, float threshold) {
  Config config = default_config(Kind::sigmoid_threshold);
  config.experts = experts;
  config.experts_per_token = experts;
  config.threshold = threshold;
  return config;
}

Decision route_one(const Config& config, std::span<const float> logits, int cap = 0) {
  State state;
  return route(config, {.logits = logits, .items = 1, .experts_per_token = cap}, state);
}

TEST(SigmoidThreshold, TakesEveryExpertThatReachesIt) {
  const std::vector<float> logits = {0.0F, 2.0F, -1.0F, 0.5F};
  const auto decision = route_one(sigmoid_threshold(4, 0.5F), logits);
  EXPECT_THAT(decision.expert, ElementsAre(1, 3, 0));  // sigmoid(0) = 0.5 reaches it exactly
  EXPECT_NEAR(decision.weight[0], 0.880797F, 1e-6);
  EXPECT_NEAR(decision.weight[1], 0.622459F, 1e-6);
  EXPECT_EQ(decision.weight[2], 0.5F);
  Config strict = sigmoid_threshold(4, 0.5F);
  strict.threshold_inclusive = false;
  EXPECT_THAT(route_one(strict, logits).expert, ElementsAre(1, 3));
}

TEST(SigmoidThreshold, NobodyReachesIt) {
  const std::vector<float> logits = {-3.0F, -2.0F, -2.0F};
  EXPECT_THAT(route_one(sigmoid_threshold(3, 0.5F), logits).expert, ElementsAre(1));
  Config none = sigmoid_threshold(3, 0.5F);
  none.min_experts_per_token = 0;
  EXPECT_THAT(route_one(none, logits).expert, IsEmpty());
  none.min_experts_per_token = 2;
  EXPECT_THAT(route_one(none, logits).expert, ElementsAre(1, 2));
}

TEST(SigmoidThreshold, TheCapKeepsTheBest) {
  const std::vector<float> logits = {40.0F, 60.0F, 50.0F, 1.0F};  // sigmoids of three are all 1
  EXPECT_THAT(route_one(sigmoid_threshold(4, 0.5F), logits, 2).expert, ElementsAre(1, 2));
}

TEST(SigmoidThreshold, AHigherThresholdTakesASubset) {
  const auto logits = testing::random_logits(200, 8, 3, 2.0F);
  State state;
  for (const auto& [low, high] : {std::pair{0.2F, 0.5F}, {0.5F, 0.7F}, {0.7F, 0.99F}}) {
    const auto more = route(sigmoid_threshold(8, low), {.logits = logits, .items = 200}, state);
    const auto fewer = route(sigmoid_threshold(8, high), {.logits = logits, .items = 200}, state);
    EXPECT_LT(fewer.assignments(), more.assignments());
    for (std::size_t n = 0; n < 200; ++n) {
      // Both are sorted best first, so a subset is a prefix.
      for (std::uint32_t j = 0; j < fewer.offsets[n + 1] - fewer.offsets[n]; ++j) {
        EXPECT_EQ(fewer.expert[fewer.offsets[n] + j], more.expert[more.offsets[n] + j]);
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::routing
