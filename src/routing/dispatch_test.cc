#include "switchyard/dispatch.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/check.h"
#include "routing/testing/cases.h"
#include "routing/testing/oracle.h"

namespace switchyard::dispatch {
namespace {

using routing::Decision;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Decision random_decision(std::size_t items, int experts, int k, float capacity_factor = 0.0F) {
  routing::State state;
  const auto logits =
      routing::testing::random_logits(items, static_cast<std::size_t>(experts), items + 1, 2.0F);
  return routing::route(
      {.experts = experts, .experts_per_token = k, .capacity_factor = capacity_factor},
      {.logits = logits, .items = items}, state);
}

TEST(Dispatch, SmallDecisionByHand) {
  Decision decision;
  decision.experts = 4;
  decision.offsets = {0, 2, 2, 3, 5};  // item 1 has no expert
  decision.expert = {3, 0, 3, 0, 1};
  decision.weight = {0.9F, 0.1F, 1.0F, 0.6F, 0.4F};
  const Plan plan = make_plan(decision);
  EXPECT_THAT(plan.expert_begin, ElementsAre(0, 2, 3, 3, 5));
  EXPECT_THAT(plan.row_item, ElementsAre(0, 3, 3, 0, 2));
  EXPECT_THAT(plan.row_weight, ElementsAre(0.1F, 0.6F, 0.4F, 0.9F, 1.0F));
  EXPECT_THAT(plan.assignment_row, ElementsAre(3, 0, 4, 1, 2));
  EXPECT_THAT(plan.active, ElementsAre(0, 1, 3));
}

TEST(Dispatch, PlanIsAPermutationGroupedByExpertAndAscendingInside) {
  for (const float factor : {0.0F, 0.6F}) {
    const Decision decision = random_decision(70, 16, 3, factor);
    const Plan plan = make_plan(decision);
    ASSERT_EQ(plan.rows(), decision.assignments());
    std::vector<std::uint32_t> rows = plan.assignment_row;
    std::ranges::sort(rows);
    for (std::uint32_t r = 0; r < rows.size(); ++r) ASSERT_EQ(rows[r], r);
    for (std::size_t e = 0; e < 16; ++e) {
      EXPECT_EQ(plan.expert_begin[e + 1] - plan.expert_begin[e], decision.counts[e]);
      for (std::uint32_t r = plan.expert_begin[e] + 1; r < plan.expert_begin[e + 1]; ++r) {
        EXPECT_LT(plan.row_item[r - 1], plan.row_item[r]);
      }
    }
    for (std::size_t n = 0; n < decision.items(); ++n) {
      for (std::uint32_t a = decision.offsets[n]; a < decision.offsets[n + 1]; ++a) {
        const std::uint32_t row = plan.assignment_row[a];
        const auto e = static_cast<std::size_t>(decision.expert[a]);
        EXPECT_EQ(plan.row_item[row], n);
        EXPECT_EQ(plan.row_weight[row], decision.weight[a]);
        EXPECT_TRUE(plan.expert_begin[e] <= row && row < plan.expert_begin[e + 1]);
      }
    }
  }
}

TEST(Dispatch, GatherComputeCombineEqualsTheOracleBitForBit) {
  constexpr std::size_t kWidth = 5;
  for (const std::size_t items : {0U, 1U, 33U}) {
    const Decision decision = random_decision(items, 8, 3, 0.8F);
    const Plan plan = make_plan(decision);
    const auto x = routing::testing::random_logits(items, kWidth, 3);

    // Expert e multiplies by e + 1.
    std::vector<std::vector<float>> expert_item(items * 8);
    for (std::size_t i = 0; i < expert_item.size(); ++i) {
      for (std::size_t d = 0; d < kWidth; ++d) {
        expert_item[i].push_back(x[i / 8 * kWidth + d] * static_cast<float>(i % 8 + 1));
      }
    }
    std::vector<float> rows(plan.rows() * kWidth);
    gather(plan, x, kWidth, rows);
    for (std::size_t e = 0; e < 8; ++e) {
      for (std::size_t i = plan.expert_begin[e] * kWidth; i < plan.expert_begin[e + 1] * kWidth;
           ++i) {
        rows[i] *= static_cast<float>(e + 1);
      }
    }
    std::vector<float> out(items * kWidth, 99.0F);
    combine(decision, plan, rows, kWidth, out);
    EXPECT_EQ(out, routing::testing::oracle_combine(decision, kWidth, expert_item));

    // In parts: each writes its own items and nothing else.
    std::vector<float> parts(items * kWidth, 99.0F);
    const std::size_t middle = items / 3;
    combine(decision, plan, rows, kWidth, parts, middle, items);
    for (std::size_t i = 0; i < middle * kWidth; ++i) EXPECT_EQ(parts[i], 99.0F);
    combine(decision, plan, rows, kWidth, parts, 0, middle);
    EXPECT_EQ(parts, out);
  }
}

TEST(Dispatch, ReusedMemoryGivesTheSamePlan) {
  Plan reused;
  for (const std::size_t items : {50U, 0U, 7U}) {
    const Decision decision = random_decision(items, 8, 2);
    make_plan_into(decision, reused);
    const Plan fresh = make_plan(decision);
    EXPECT_EQ(reused.expert_begin, fresh.expert_begin);
    EXPECT_EQ(reused.row_item, fresh.row_item);
    EXPECT_EQ(reused.assignment_row, fresh.assignment_row);
    EXPECT_EQ(reused.active, fresh.active);
  }
}

TEST(Dispatch, AnEmptyDecisionGivesAnEmptyPlan) {
  const Plan plan = make_plan(Decision{});
  EXPECT_EQ(plan.rows(), 0U);
  EXPECT_THAT(plan.active, IsEmpty());
}

TEST(Dispatch, ExpertsOutOfRangeAndWrongSizesAreBugs) {
  Decision decision = random_decision(3, 4, 1);
  decision.expert[1] = 4;
  EXPECT_THROW(make_plan(decision), InternalError);
  decision.expert[1] = routing::kNoExpert;
  EXPECT_THROW(make_plan(decision), InternalError);

  decision = random_decision(3, 4, 1);
  const Plan plan = make_plan(decision);
  std::vector<float> out(5);
  EXPECT_THROW(gather(plan, std::vector<float>(6), 2, out), InternalError);
  EXPECT_THROW(combine(decision, plan, std::vector<float>(6), 2, out), InternalError);
  out.resize(6);
  EXPECT_THROW(combine(decision, plan, std::vector<float>(6), 2, out, 0, 4), InternalError);
  EXPECT_THROW(combine(decision, plan, std::vector<float>(6), 2, out, 2, 1), InternalError);
}

}  // namespace
}  // namespace switchyard::dispatch
