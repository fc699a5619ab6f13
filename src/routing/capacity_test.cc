#include "routing/capacity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routing/testing/cases.h"

namespace switchyard::routing {
namespace {

TEST(Capacity, IsTheCeilingOfFactorTimesTheMeanLoad) {
  Config config{.experts = 8, .experts_per_token = 2};
  EXPECT_EQ(expert_capacity(config, 100, 2), 0U);  // dropless
  config.capacity_factor = 1.0F;
  EXPECT_EQ(expert_capacity(config, 100, 2), 25U);
  EXPECT_EQ(expert_capacity(config, 101, 2), 26U);
  EXPECT_EQ(expert_capacity(config, 1, 2), 1U);
  config.capacity_factor = 1e9F;
  EXPECT_EQ(expert_capacity(config, 100, 2), 100U);
}

TEST(Capacity, AFactorThatIsNoBinaryFractionDoesNotRoundUp) {
  const Config config{.experts = 10, .experts_per_token = 1, .capacity_factor = 1.1F};
  EXPECT_EQ(expert_capacity(config, 100, 1), 11U);
}

Decision route_rows(const Config& config, std::span<const float> logits) {
  State state;
  return route(
      config, {.logits = logits, .items = logits.size() / static_cast<std::size_t>(config.experts)},
      state);
}

TEST(Capacity, DropServesItemsInOrderAndKeepsTheOtherWeights) {
  // Three items, all want expert 0 then 1; room for 2 each of factor 1 * 3 * 2 / 3.
  const Config config{.experts = 3, .experts_per_token = 2, .capacity_factor = 1.0F};
  const std::vector<float> logits{2, 1, 0, 2, 1, 0, 2, 1, 0};
  const auto decision = route_rows(config, logits);
  EXPECT_THAT(decision.offsets, ::testing::ElementsAre(0, 2, 4, 4));
  EXPECT_EQ(decision.dropped, 2U);
  EXPECT_THAT(decision.counts, ::testing::ElementsAre(2, 2, 0));
}

TEST(Capacity, AnItemThatLosesOneExpertKeepsItsOtherWeightAsItWas) {
  const Config config{.experts = 4, .experts_per_token = 2, .capacity_factor = 1.0F};
  // Room: ceil(2 * 2 / 4) = 1. The second item loses expert 0 and keeps expert 2.
  const std::vector<float> logits{5, 4, 0, 0, 5, 0, 4, 0};
  const auto decision = route_rows(config, logits);
  EXPECT_THAT(decision.expert, ::testing::ElementsAre(0, 1, 2));
  EXPECT_FLOAT_EQ(decision.weight[2], decision.weight[1]);
  EXPECT_LT(decision.weight[2], 0.5F);
}

TEST(Capacity, NextExpertMovesOnAndWeighsWhatItTook) {
  const Config config{.experts = 4,
                      .experts_per_token = 2,
                      .capacity_factor = 1.0F,
                      .overflow = Overflow::next_expert};
  const std::vector<float> logits{5, 4, 0, 0, 5, 4, 0, 1};
  const auto decision = route_rows(config, logits);
  EXPECT_THAT(decision.expert, ::testing::ElementsAre(0, 1, 3, 2));
  EXPECT_EQ(decision.dropped, 0U);
  EXPECT_FLOAT_EQ(decision.weight[2] + decision.weight[3], 1.0F);
  EXPECT_THAT(decision.counts, ::testing::Each(1U));
}

TEST(Capacity, HoldsForEveryVariantAndEveryAssignmentIsAccountedFor) {
  for (const float factor : {0.3F, 1.0F, 1.5F}) {
    for (auto c : testing::top_k_variants(8, 2)) {
      if (c.config.capacity_factor == 0.0F) continue;
      c.config.capacity_factor = factor;
      const auto logits = testing::random_logits(50, 8, 1, 3.0F);
      const std::vector<float> bias(8, 0.0F);
      State state;
      const auto decision =
          route(c.config,
                {.logits = logits,
                 .selection_bias = c.config.selection_bias ? std::span<const float>(bias)
                                                           : std::span<const float>(),
                 .items = 50},
                state);
      EXPECT_THAT(decision.counts,
                  ::testing::Each(::testing::Le(expert_capacity(c.config, 50, 2))));
      EXPECT_EQ(decision.assignments() + decision.dropped, 100U) << c.name;
    }
  }
}

}  // namespace
}  // namespace switchyard::routing
