// Top-k with null experts (AdaMoE).
#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

#include "switchyard/error.h"
#include "switchyard/routing.h"

#include "routing/losses.h"
#include "routing/statistics.h"
#include "routing/testing/cases.h"
#include "routing/testing/oracle.h"

namespace switchyard::routing {
namespace {

Decision route_logits(const Config& config, std::span<const float> logits) {
  State state;
  return route(
      config,
      {.logits = logits, .items = logits.size() / static_cast<std::size_t>(router_width(config))},
      state);
}

std::vector<float> random_rows(const Config& config, std::size_t items, std::uint64_t seed,
                               float scale = 1.0F) {
  return testing::random_logits(items, static_cast<std::size_t>(router_width(config)), seed, scale);
}

// Rows of E logits each, with m logits of `value` behind them.
std::vector<float> with_nulls(std::span<const float> logits, std::size_t experts, std::size_t nulls,
                              float value) {
  std::vector<float> rows;
  for (std::size_t n = 0; n * experts < logits.size(); ++n) {
    rows.insert(rows.end(), logits.begin() + static_cast<std::ptrdiff_t>(n * experts),
                logits.begin() + static_cast<std::ptrdiff_t>((n + 1) * experts));
    rows.insert(rows.end(), nulls, value);
  }
  return rows;
}

TEST(NullExperts, EveryVariantEqualsTheOracle) {
  for (const auto& c : testing::null_expert_variants(8)) {
    auto rows = testing::adversarial_logits(9, static_cast<std::size_t>(router_width(c.config)));
    rows.push_back({"random", random_rows(c.config, 9, 1, 2.0F)});
    for (const auto& row : rows) {
      const auto got = route_logits(c.config, row.logits);
      const auto want = testing::oracle_route(c.config, {.logits = row.logits, .items = 9});
      for (std::size_t n = 0; n < 9; ++n) {
        ASSERT_EQ(got.offsets[n + 1] - got.offsets[n], want[n].size()) << c.name << row.name;
        for (std::size_t j = 0; j < want[n].size(); ++j) {
          const std::size_t a = got.offsets[n] + j;
          EXPECT_EQ(got.expert[a], want[n][j].expert) << c.name << " on " << row.name;
          EXPECT_NEAR(got.weight[a], want[n][j].weight, 1e-6) << c.name << " on " << row.name;
        }
      }
      EXPECT_EQ(got.null_count + got.assignments(),
                9U * static_cast<unsigned>(c.config.experts_per_token));
    }
  }
}

TEST(NullExperts, FarBelowTheOthersTheyChangeNothingAndFarAboveTheyTakeAll) {
  const auto logits = testing::random_logits(20, 8, 2);
  Config config{.experts = 8, .experts_per_token = 3};
  const auto plain = route_logits(config, logits);
  config.null_experts = 4;
  EXPECT_EQ(route_logits(config, with_nulls(logits, 8, 4, -1e30F)), plain);
  const auto skipped = route_logits(config, with_nulls(logits, 8, 4, 1e30F));
  EXPECT_EQ(skipped.assignments(), 0U);
  EXPECT_EQ(skipped.null_count, 60U);
  // The output of an item without experts is exactly zero.
  const auto out = testing::oracle_combine(skipped, 2, {});
  EXPECT_THAT(out, ::testing::Each(0.0F));
}

TEST(NullExperts, NumberOfExpertsAndSumOfWeights) {
  for (const int k : {1, 3, 5, 9, 12}) {
    const Config config{.experts = 8, .experts_per_token = k, .null_experts = 4};
    const auto decision = route_logits(config, random_rows(config, 100, 3));
    for (std::size_t n = 0; n < 100; ++n) {
      const auto count = static_cast<int>(decision.offsets[n + 1] - decision.offsets[n]);
      EXPECT_GE(count, std::max(0, k - 4));
      EXPECT_LE(count, std::min(k, 8));
      const auto begin = decision.weight.begin() + decision.offsets[n];
      EXPECT_NEAR(std::accumulate(begin, begin + count, 0.0), count > 0 ? 1.0 : 0.0, 1e-6);
    }
  }
}

// c copies of every expert's row: ties in groups of c + 1, the expert first.
TEST(NullExperts, CopiesOfTheExpertsRowsStartAtKOverCPlusOne) {
  const auto logits = testing::random_logits(50, 8, 4);
  for (const int copies : {1, 2, 4}) {
    for (int k = 1; k <= 2 * copies + 2; ++k) {
      const Config config{.experts = 8, .experts_per_token = k, .null_experts = 8 * copies};
      std::vector<float> rows;
      for (std::size_t n = 0; n < 50; ++n) {
        for (int c = 0; c <= copies; ++c) {
          rows.insert(rows.end(), logits.begin() + static_cast<std::ptrdiff_t>(n * 8),
                      logits.begin() + static_cast<std::ptrdiff_t>(n * 8 + 8));
        }
      }
      const int true_experts = (k + copies) / (copies + 1);
      auto decision = route_logits(config, rows);
      EXPECT_EQ(decision.assignments(), 50U * static_cast<unsigned>(true_experts));
      // For c + 2 <= K <= 2c + 2 this is plain top-2 to the last bit.
      decision.null_count = 0;
      EXPECT_EQ(decision, route_logits({.experts = 8, .experts_per_token = true_experts}, logits));
    }
  }
}

TEST(NullExperts, NormalisedOverAllTheNullsShareIsLost) {
  Config config{.experts = 2, .experts_per_token = 2, .null_experts = 1};
  // exp: 1, 2, 6: the second expert and the null are taken.
  const std::vector<float> row{0.0F, std::log(2.0F), std::log(6.0F)};
  EXPECT_THAT(route_logits(config, row).weight, ::testing::ElementsAre(1.0F));
  config.null_weights = NullWeights::all_selected;
  EXPECT_THAT(route_logits(config, row).weight,
              ::testing::Pointwise(::testing::FloatEq(), {0.25F}));
  config.null_weights = NullWeights::true_only;
  config.renormalize = false;
  EXPECT_THAT(route_logits(config, row).weight,
              ::testing::Pointwise(::testing::FloatEq(), {2.0F / 9.0F}));
}

TEST(NullExperts, ABinarySkipGate) {
  const Config config{.experts = 1, .experts_per_token = 1, .null_experts = 1};
  const auto decision = route_logits(config, std::vector<float>{1, 0, 0, 1, 2, 2});
  EXPECT_THAT(decision.offsets, ::testing::ElementsAre(0, 1, 1, 2));
  EXPECT_THAT(decision.weight, ::testing::Each(1.0F));
  EXPECT_EQ(decision.null_count, 1U);
}

TEST(NullExperts, AnItemDoesNotNoticeTheOthers) {
  for (const auto& c : testing::null_expert_variants(8)) {
    EXPECT_TRUE(is_causal(c.config));
    const auto rows = random_rows(c.config, 12, 5);
    const auto width = static_cast<std::size_t>(router_width(c.config));
    const auto all = route_logits(c.config, rows);
    for (std::size_t n = 0; n < 12; ++n) {
      const auto alone = route_logits(c.config, std::span(rows).subspan(n * width, width));
      const std::vector<float> weight(all.weight.begin() + all.offsets[n],
                                      all.weight.begin() + all.offsets[n + 1]);
      EXPECT_EQ(alone.weight, weight) << c.name;
    }
  }
}

LossTerms terms(const Config& config, std::span<const float> logits) {
  return router_losses(config, logits, route_logits(config, logits));
}

TEST(NullExperts, BalanceIsKWhenProbabilitiesAreUniform) {
  for (const int k : {3, 10}) {  // within E and above
    for (const auto rule :
         {LossConfig::NullBalance::averaged, LossConfig::NullBalance::individual}) {
      const Config config{
          .experts = 8,
          .experts_per_token = k,
          .null_experts = 8,
          .losses = {.fraction = LossConfig::Fraction::per_item, .null_balance = rule}};
      EXPECT_NEAR(terms(config, std::vector<float>(160, 0.3F)).balance, k, 1e-5);
    }
  }
}

TEST(NullExperts, AveragedBalanceLooksAtTheTotalOfTheNulls) {
  // Each item takes one expert and one of two nulls; P prefers the first null.
  Config config{.experts = 2,
                .experts_per_token = 2,
                .null_experts = 2,
                .losses = {.fraction = LossConfig::Fraction::per_item}};
  const std::vector<float> one_null{1, 0, 3, 2, 0, 1, 3, 2};
  const std::vector<float> swapped{1, 0, 2, 3, 0, 1, 2, 3};
  const std::vector<float> split{1, 0, 3, 2, 0, 1, 2, 3};
  // Items take their two best: both nulls here, so push one of them down.
  auto only_best = [](std::vector<float> rows) {
    for (float& l : rows) {
      if (l == 2) l = -1;
    }
    return rows;
  };
  const double averaged = terms(config, only_best(one_null)).balance;
  EXPECT_NEAR(terms(config, only_best(swapped)).balance, averaged, 1e-6);
  EXPECT_NEAR(terms(config, only_best(split)).balance, averaged, 1e-6);
  config.losses.null_balance = LossConfig::NullBalance::individual;
  EXPECT_GT(terms(config, only_best(one_null)).balance,
            terms(config, only_best(split)).balance + 0.1);
}

TEST(NullExperts, StatisticsKeepThemApart) {
  const Config config{.experts = 1, .experts_per_token = 1, .null_experts = 1};
  ExpertLoad load(1);
  load.add(route_logits(config, std::vector<float>{1, 0, 0, 1, 0, 1, 0, 1}));
  EXPECT_EQ(load.null_share(), 0.75);
  EXPECT_EQ(load.idle_share(), 0.75);
  EXPECT_EQ(load.imbalance(), 1.0);
  EXPECT_EQ(load.experts_per_item(), 0.25);
  EXPECT_EQ(ExpertLoad(1).null_share(), 0.0);
}

}  // namespace
}  // namespace switchyard::routing
