#include "routing/top_p.h"

#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <set>

#include "switchyard/error.h"

#include "routing/losses.h"
#include "routing/testing/cases.h"

namespace switchyard::routing {
namespace {

Config top_p(int experts, float threshold) {
  Config config = default_config(Kind::top_p);
  config.experts = experts;
  config.experts_per_token = experts;
  config.threshold = threshold;
  return config;
}

Decision route_logits(const Config& config, std::span<const float> logits, int cap = 0) {
  State state;
  return route(config,
               {.logits = logits,
                .items = logits.size() / static_cast<std::size_t>(config.experts),
                .experts_per_token = cap},
               state);
}

std::uint32_t taken(const Decision& decision, std::size_t n) {
  return decision.offsets[n + 1] - decision.offsets[n];
}

std::set<std::int32_t> set_of(const Decision& decision, std::size_t n) {
  return {decision.expert.begin() + decision.offsets[n],
          decision.expert.begin() + decision.offsets[n + 1]};
}

TEST(TopP, UniformProbabilities) {
  const std::vector<float> zeros(16, 0.0F);
  const auto decision = route_logits(top_p(16, 0.4F), zeros);
  EXPECT_THAT(decision.expert, ::testing::ElementsAre(0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(decision.weight, ::testing::Each(0.0625F));  // 0.4375 in all
  EXPECT_EQ(taken(route_logits(top_p(16, 0.25F), zeros), 0), 4U);
  Config strict = top_p(16, 0.25F);
  strict.threshold_inclusive = false;
  EXPECT_EQ(taken(route_logits(strict, zeros), 0), 5U);
  // Neither 0.1 nor its multiples are binary fractions.
  EXPECT_EQ(taken(route_logits(top_p(10, 0.3F), std::vector<float>(10, 0.0F)), 0), 3U);
}

TEST(TopP, ATinyThresholdIsSwitchTopOne) {
  const auto logits = testing::random_logits(30, 16, 1);
  State state;
  const auto top_1 = route({.experts = 16, .experts_per_token = 1, .renormalize = false},
                           {.logits = logits, .items = 30}, state);
  EXPECT_EQ(route_logits(top_p(16, 1e-6F), logits), top_1);
}

TEST(TopP, AThresholdOfOneTakesEveryExpertEvenWhereOneHasItAll) {
  for (const float scale : {1.0F, 200.0F}) {
    const auto logits = testing::random_logits(10, 16, 2, scale);
    const auto decision = route_logits(top_p(16, 1.0F), logits);
    EXPECT_THAT(decision.counts, ::testing::Each(10U));
  }
}

TEST(TopP, AThresholdOfOneIsTheDenseMixtureWeighedByTheProbabilities) {
  const auto logits = testing::random_logits(10, 16, 8, 2.0F);
  const auto probs = router_probs(Score::softmax, logits, 10);
  const auto decision = route_logits(top_p(16, 1.0F), logits);
  for (std::size_t a = 0; a < decision.assignments(); ++a) {
    EXPECT_NEAR(decision.weight[a],
                probs[a / 16 * 16 + static_cast<std::size_t>(decision.expert[a])], 1e-7);
  }
}

// What is taken beyond the sum that reaches the threshold is at most the last expert's share.
TEST(TopP, TheSumExceedsTheThresholdByLessThanTheLastWeight) {
  const auto logits = testing::random_logits(500, 16, 9, 0.64F);
  const auto decision = route_logits(top_p(16, 0.4F), logits);
  for (std::size_t n = 0; n < 500; ++n) {
    const auto weights =
        std::span(decision.weight).subspan(decision.offsets[n], taken(decision, n));
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    EXPECT_GE(sum, 0.4 - 1e-6);
    EXPECT_LT(sum, 0.4 + weights.back() + 1e-6);
  }
}

TEST(TopP, TheSmallestSetThatReachesTheThreshold) {
  for (const float p : {0.05F, 0.2F, 0.4F, 0.7F, 0.95F}) {
    const auto logits = testing::random_logits(200, 16, 3, 1.5F);
    const auto decision = route_logits(top_p(16, p), logits);
    for (std::size_t n = 0; n < 200; ++n) {
      const auto weights =
          std::span(decision.weight).subspan(decision.offsets[n], taken(decision, n));
      const float sum = std::accumulate(weights.begin(), weights.end(), 0.0F);
      EXPECT_GE(sum, p - 1e-6F);
      EXPECT_LT(sum - weights.back(), p + 1e-6F);
      EXPECT_TRUE(std::ranges::is_sorted(weights, std::greater<>()));
      EXPECT_LE(taken(decision, n), static_cast<std::uint32_t>(std::ceil(p * 16.0F)));
    }
  }
}

TEST(TopP, SetsAreNestedInTheThreshold) {
  const auto logits = testing::random_logits(50, 16, 4);
  Decision before = route_logits(top_p(16, 0.05F), logits);
  for (float p = 0.1F; p < 1.0F; p += 0.1F) {
    const Decision now = route_logits(top_p(16, p), logits);
    for (std::size_t n = 0; n < 50; ++n) {
      EXPECT_TRUE(std::ranges::includes(set_of(now, n), set_of(before, n)));
    }
    before = now;
  }
}

TEST(TopP, SharperLogitsNeverTakeMoreAndShiftedOnesTakeTheSame) {
  auto logits = testing::random_logits(100, 16, 5);
  const auto plain = route_logits(top_p(16, 0.4F), logits);
  auto sharp = logits;
  for (float& l : sharp) l *= 1.7F;
  const auto fewer = route_logits(top_p(16, 0.4F), sharp);
  for (float& l : logits) l += 8.0F;
  const auto shifted = route_logits(top_p(16, 0.4F), logits);
  for (std::size_t n = 0; n < 100; ++n) EXPECT_LE(taken(fewer, n), taken(plain, n));
  EXPECT_EQ(shifted.expert, plain.expert);
}

// Mean t over Gaussian logits, as a simulation without this library gave it.
TEST(TopP, MeanNumberOfExpertsOfGaussianLogits) {
  for (const auto& [deviation, mean] :
       {std::pair{0.19F, 5.92}, std::pair{0.64F, 3.71}, std::pair{1.0F, 2.64},
        std::pair{2.0F, 1.49}, std::pair{3.0F, 1.20}}) {
    constexpr std::size_t kItems = 60000;
    const auto logits = testing::random_logits(kItems, 16, 6, deviation);
    const auto decision = route_logits(top_p(16, 0.4F), logits);
    EXPECT_NEAR(static_cast<double>(decision.assignments()) / kItems, mean, 0.02) << deviation;
  }
}

TEST(TopP, LimitsOfTheConfigAndOfTheCall) {
  const std::vector<float> flat(16, 0.0F);
  std::vector<float> sure(16, 0.0F);
  sure[5] = 20.0F;
  Config config = top_p(16, 0.4F);
  config.experts_per_token = 4;
  EXPECT_EQ(taken(route_logits(config, flat), 0), 4U);
  EXPECT_EQ(taken(route_logits(config, flat, 2), 0), 2U);
  EXPECT_EQ(taken(route_logits(config, flat, 16), 0), 7U);
  config.min_experts_per_token = 3;
  const auto decision = route_logits(config, sure);
  EXPECT_THAT(decision.expert, ::testing::ElementsAre(5, 0, 1));
  EXPECT_THROW(route_logits(config, flat, 17), Error);
}

TEST(TopP, RenormalisedWeightsSumToOne) {
  Config config = top_p(16, 0.4F);
  config.renormalize = true;
  const auto decision = route_logits(config, testing::random_logits(40, 16, 7));
  for (std::size_t n = 0; n < 40; ++n) {
    const auto begin = decision.weight.begin() + decision.offsets[n];
    EXPECT_NEAR(std::accumulate(begin, begin + taken(decision, n), 0.0), 1.0, 1e-6);
  }
}

}  // namespace
}  // namespace switchyard::routing
