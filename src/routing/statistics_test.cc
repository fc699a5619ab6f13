#include "routing/statistics.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "routing/testing/cases.h"

namespace switchyard::routing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Decision decision_of(int experts, const std::vector<std::vector<std::int32_t>>& items) {
  Decision d;
  d.experts = experts;
  d.offsets.push_back(0);
  d.counts.assign(static_cast<std::size_t>(experts), 0);
  for (const auto& item : items) {
    for (const std::int32_t e : item) {
      d.expert.push_back(e);
      d.weight.push_back(1.0F);
      ++d.counts[static_cast<std::size_t>(e)];
    }
    d.offsets.push_back(static_cast<std::uint32_t>(d.expert.size()));
  }
  return d;
}

TEST(ExpertLoad, EvenLoadHasTheClosedForms) {
  ExpertLoad load(4);
  load.add(decision_of(4, {{0, 1}, {2, 3}}));
  EXPECT_DOUBLE_EQ(load.imbalance(), 1.0);
  EXPECT_DOUBLE_EQ(load.coefficient_of_variation(), 0.0);
  EXPECT_DOUBLE_EQ(load.entropy(), std::log(4.0));
  EXPECT_DOUBLE_EQ(load.normalized_entropy(), 1.0);
  EXPECT_DOUBLE_EQ(load.experts_per_item(), 2.0);
  EXPECT_THAT(load.dead_experts(), IsEmpty());
}

TEST(ExpertLoad, AllOnOneHasTheClosedForms) {
  ExpertLoad load(4);
  load.add(decision_of(4, {{2}, {2}, {2}}));
  EXPECT_DOUBLE_EQ(load.imbalance(), 4.0);
  EXPECT_DOUBLE_EQ(load.coefficient_of_variation(), std::sqrt(3.0));
  EXPECT_DOUBLE_EQ(load.entropy(), 0.0);
  EXPECT_THAT(load.dead_experts(), ElementsAre(0, 1, 3));
}

TEST(ExpertLoad, DeadExpertsBelowAShareOfTheMean) {
  ExpertLoad load(3);
  load.add(decision_of(3, {{0}, {0}, {0}, {0}, {1}, {1}, {1}, {2}}));
  EXPECT_THAT(load.dead_experts(), IsEmpty());
  EXPECT_THAT(load.dead_experts(0.5), ElementsAre(2));
}

TEST(ExpertLoad, StreamsMergesAndKeepsNullsAndDropsApart) {
  const Config config{.experts = 8, .experts_per_token = 2, .capacity_factor = 0.7F};
  ExpertLoad whole(8);
  ExpertLoad left(8);
  ExpertLoad right(8);
  for (std::uint64_t step = 0; step < 6; ++step) {
    const auto logits = testing::random_logits(20, 8, step, 3.0F);
    State state;
    auto d = route(config, {.logits = logits, .items = 20}, state);
    d.null_count = 3;
    whole.add(d);
    (step % 2 == 0 ? left : right).add(d);
  }
  left.merge(right);
  EXPECT_TRUE(std::ranges::equal(left.counts(), whole.counts()));
  EXPECT_EQ(left.items(), 120U);
  EXPECT_EQ(left.assignments() + left.dropped(), 240U);
  EXPECT_GT(left.dropped(), 0U);
  EXPECT_EQ(left.null_count(), 18U);
  EXPECT_EQ(left.idle_items(), whole.idle_items());
  EXPECT_DOUBLE_EQ(left.entropy(), whole.entropy());
}

TEST(ExpertLoad, NothingSeenIsZeroNotNan) {
  const ExpertLoad load(3);
  EXPECT_EQ(load.imbalance(), 0.0);
  EXPECT_EQ(load.coefficient_of_variation(), 0.0);
  EXPECT_EQ(load.entropy(), 0.0);
  EXPECT_EQ(load.normalized_entropy(), 0.0);
  EXPECT_EQ(load.experts_per_item(), 0.0);
  EXPECT_THAT(load.dead_experts(), ElementsAre(0, 1, 2));
}

TEST(ExpertLoad, OneExpertIsEven) {
  ExpertLoad load(1);
  load.add(decision_of(1, {{0}, {}}));
  EXPECT_EQ(load.normalized_entropy(), 1.0);
  EXPECT_EQ(load.idle_items(), 1U);
}

TEST(ExpertLoad, AnotherModelsDecisionIsABug) {
  ExpertLoad load(3);
  EXPECT_THROW(load.add(decision_of(4, {{0}})), InternalError);
}

TEST(RouterConfidence, UniformAndCertainRouters) {
  RouterConfidence flat;
  flat.add(Score::softmax, std::vector<float>(16, 2.0F), 2);
  EXPECT_NEAR(flat.entropy(), std::log(8.0), 1e-6);
  EXPECT_NEAR(flat.normalized_entropy(), 1.0, 1e-6);
  EXPECT_NEAR(flat.top_probability(), 0.125, 1e-7);

  RouterConfidence certain;
  certain.add(Score::softmax, std::vector<float>{200, 0, 0, 0}, 1);
  EXPECT_NEAR(certain.entropy(), 0.0, 1e-9);
  EXPECT_NEAR(certain.top_probability(), 1.0, 1e-9);

  flat.merge(certain);
  EXPECT_EQ(flat.items(), 3U);
  EXPECT_NEAR(flat.entropy(), 2 * std::log(8.0) / 3, 1e-6);
}

TEST(RouterConfidence, SigmoidScoresAreDividedByTheirSum) {
  RouterConfidence confidence;
  confidence.add(Score::sigmoid, std::vector<float>{0.0F, std::log(3.0F)}, 1);
  EXPECT_NEAR(confidence.top_probability(), 0.6, 1e-6);
  EXPECT_NEAR(confidence.entropy(), -(0.6 * std::log(0.6) + 0.4 * std::log(0.4)), 1e-6);
}

TEST(CoActivation, CountsPairsSymmetrically) {
  CoActivation pairs(3);
  pairs.add(decision_of(3, {{0, 1}, {1, 0}, {1, 2}, {1}, {}}));
  EXPECT_EQ(pairs.count(0, 1), 2U);
  EXPECT_EQ(pairs.count(1, 0), 2U);
  EXPECT_EQ(pairs.count(0, 2), 0U);
  EXPECT_EQ(pairs.count(1, 1), 4U);
  EXPECT_DOUBLE_EQ(pairs.conditional(0, 1), 1.0);
  EXPECT_DOUBLE_EQ(pairs.conditional(1, 0), 0.5);
  CoActivation other(3);
  EXPECT_EQ(other.conditional(0, 1), 0.0);
  other.merge(pairs);
  EXPECT_EQ(other.count(1, 2), 1U);
}

TEST(Churn, CountsChangedSetsNotChangedOrder) {
  const auto before = decision_of(4, {{0, 1}, {2}, {3}, {}});
  EXPECT_EQ(churn(before, before), 0.0);
  EXPECT_EQ(churn(before, decision_of(4, {{1, 0}, {2}, {3}, {}})), 0.0);
  EXPECT_EQ(churn(before, decision_of(4, {{1, 2}, {2, 3}, {3}, {}})), 0.5);
  EXPECT_EQ(churn(before, decision_of(4, {{2, 3}, {}, {0}, {0}})), 1.0);
  EXPECT_EQ(churn(decision_of(4, {}), decision_of(4, {})), 0.0);
  EXPECT_THROW(churn(before, decision_of(4, {{0}})), InternalError);
}

}  // namespace
}  // namespace switchyard::routing
