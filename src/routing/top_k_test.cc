#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

#include "switchyard/error.h"
#include "switchyard/routing.h"

#include "base/check.h"
#include "routing/testing/cases.h"
#include "routing/testing/oracle.h"

namespace switchyard::routing {
namespace {

using ::testing::HasSubstr;

Decision route_logits(const Config& config, std::span<const float> logits,
                      std::span<const float> bias = {}, int k = 0) {
  State state;
  return route(config,
               {.logits = logits,
                .selection_bias = bias,
                .items = logits.size() / static_cast<std::size_t>(config.experts),
                .experts_per_token = k},
               state);
}

void expect_equal(const Decision& got, const testing::OracleDecision& want,
                  const std::string& what) {
  ASSERT_EQ(got.items(), want.size()) << what;
  for (std::size_t n = 0; n < want.size(); ++n) {
    ASSERT_EQ(got.offsets[n + 1] - got.offsets[n], want[n].size()) << what << ", item " << n;
    for (std::size_t j = 0; j < want[n].size(); ++j) {
      const std::size_t a = got.offsets[n] + j;
      EXPECT_EQ(got.expert[a], want[n][j].expert) << what << ", item " << n << ", choice " << j;
      EXPECT_NEAR(got.weight[a], want[n][j].weight, 1e-6 * std::max(1.0, want[n][j].weight))
          << what << ", item " << n << ", choice " << j;
    }
  }
}

std::vector<testing::ConfigCase> all_variants(int experts, int k) {
  auto cases = testing::top_k_variants(experts, k);
  for (auto& c : testing::top_p_variants(experts)) cases.push_back(c);
  for (auto& c : testing::sigmoid_threshold_variants(experts)) cases.push_back(c);
  for (auto& c : testing::expert_choice_variants(experts, k)) cases.push_back(c);
  return cases;
}

TEST(TopK, EveryVariantEqualsTheOracleOnRandomLogits) {
  for (const auto& [experts, k] : {std::pair{8, 1}, {8, 2}, {8, 4}, {64, 8}, {256, 8}, {256, 40}}) {
    const auto logits = testing::random_logits(40, static_cast<std::size_t>(experts), 7, 2.0F);
    const auto bias = testing::random_logits(1, static_cast<std::size_t>(experts), 8, 0.1F);
    for (const auto& c : all_variants(experts, k)) {
      const Inputs inputs{.logits = logits,
                          .selection_bias = c.config.selection_bias ? std::span<const float>(bias)
                                                                    : std::span<const float>(),
                          .items = 40};
      expect_equal(route_logits(c.config, inputs.logits, inputs.selection_bias),
                   testing::oracle_route(c.config, inputs), c.name);
    }
  }
}

TEST(TopK, EveryVariantEqualsTheOracleOnAdversarialLogits) {
  const std::vector<float> bias(8, 0.0F);
  for (const auto& rows : testing::adversarial_logits(9, 8)) {
    for (const auto& c : all_variants(8, 2)) {
      const Inputs inputs{.logits = rows.logits,
                          .selection_bias = c.config.selection_bias ? std::span<const float>(bias)
                                                                    : std::span<const float>(),
                          .items = 9};
      expect_equal(route_logits(c.config, inputs.logits, inputs.selection_bias),
                   testing::oracle_route(c.config, inputs), c.name + " on " + rows.name);
    }
  }
}

TEST(TopK, WeightsOfOneKnownRow) {
  // exp: 1, 2, 4, 1 over 8.
  const std::vector<float> row{0.0F, std::log(2.0F), std::log(4.0F), 0.0F};
  Config config{.experts = 4, .experts_per_token = 2};
  const auto renormalised = route_logits(config, row);
  EXPECT_THAT(renormalised.expert, ::testing::ElementsAre(2, 1));
  EXPECT_THAT(renormalised.weight,
              ::testing::Pointwise(::testing::FloatEq(), {4.0F / 6.0F, 2.0F / 6.0F}));
  EXPECT_THAT(renormalised.counts, ::testing::ElementsAre(0, 1, 1, 0));

  config.renormalize = false;
  EXPECT_THAT(route_logits(config, row).weight,
              ::testing::Pointwise(::testing::FloatEq(), {0.5F, 0.25F}));
  config.gate = Gate::mass;
  EXPECT_THAT(route_logits(config, row).weight,
              ::testing::Pointwise(::testing::FloatEq(), {0.75F, 0.75F}));
  config.gate = Gate::straight_through;
  EXPECT_THAT(route_logits(config, row).weight, ::testing::ElementsAre(1.0F, 1.0F));
  config.gate = Gate::probability;
  config.score = Score::sigmoid;
  EXPECT_THAT(route_logits(config, row).weight,
              ::testing::Pointwise(::testing::FloatEq(), {4.0F / 5.0F, 2.0F / 3.0F}));
  config.scaling_factor = 2.5F;
  EXPECT_THAT(route_logits(config, row).weight,
              ::testing::Pointwise(::testing::FloatEq(), {2.0F, 5.0F / 3.0F}));
}

TEST(TopK, RenormalisedWeightsSumToOneWhereEveryProbabilityUnderflows) {
  for (const Score score : {Score::softmax, Score::sigmoid}) {
    const Config config{.experts = 4, .experts_per_token = 3, .score = score};
    const auto decision = route_logits(config, std::vector<float>{-400, -401, -402, -1e38F});
    EXPECT_NEAR(std::accumulate(decision.weight.begin(), decision.weight.end(), 0.0), 1.0, 1e-6);
    EXPECT_NEAR(decision.weight[0] / decision.weight[1], std::exp(1.0), 1e-5);
  }
}

TEST(TopK, BiasMovesTheChoiceAndNeverTheWeights) {
  Config config{.experts = 4, .experts_per_token = 2, .score = Score::sigmoid};
  const std::vector<float> row{2.0F, 1.0F, 0.0F, -1.0F};
  const auto plain = route_logits(config, row);
  EXPECT_THAT(plain.expert, ::testing::ElementsAre(0, 1));
  config.selection_bias = true;
  const auto biased = route_logits(config, row, std::vector<float>{0, -1, 0, 1});
  EXPECT_THAT(biased.expert, ::testing::ElementsAre(3, 0));
  const float s0 = 1 / (1 + std::exp(-2.0F));
  const float s3 = 1 / (1 + std::exp(1.0F));
  EXPECT_THAT(biased.weight,
              ::testing::Pointwise(::testing::FloatEq(), {s3 / (s0 + s3), s0 / (s0 + s3)}));
}

TEST(TopK, GroupsLimitTheChoice) {
  Config config{.experts = 6, .experts_per_token = 2, .groups = 3, .groups_per_token = 1};
  // Group 0 holds the best expert, group 2 the best pair.
  const std::vector<float> row{3.0F, -9.0F, 0.0F, 0.0F, 2.9F, 2.8F};
  config.group_score = GroupScore::max;
  EXPECT_THAT(route_logits(config, row).expert, ::testing::ElementsAre(0, 1));
  config.group_score = GroupScore::top2_sum;
  EXPECT_THAT(route_logits(config, row).expert, ::testing::ElementsAre(4, 5));
}

TEST(TopK, KOfTheCallReplacesConfigsAndChoicesAreNested) {
  const Config config{.experts = 8, .experts_per_token = 2};
  const auto logits = testing::random_logits(20, 8, 3);
  for (int k = 1; k < 8; ++k) {
    const auto fewer = route_logits(config, logits, {}, k);
    const auto more = route_logits(config, logits, {}, k + 1);
    ASSERT_EQ(fewer.assignments(), 20U * static_cast<unsigned>(k));
    for (std::size_t n = 0; n < 20; ++n) {
      for (std::size_t j = 0; j < static_cast<std::size_t>(k); ++j) {
        EXPECT_EQ(fewer.expert[fewer.offsets[n] + j], more.expert[more.offsets[n] + j]);
      }
    }
  }
  EXPECT_THROW(route_logits(config, logits, {}, 9), Error);
  EXPECT_THROW(route_logits(config, logits, {}, -1), Error);
}

TEST(TopK, NonFiniteLogitsAreRefusedWithTheirPlace) {
  const Config config{.experts = 4, .experts_per_token = 2};
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    std::vector<float> logits(12, 0.5F);
    logits[6] = bad;
    try {
      route_logits(config, logits);
      FAIL() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.parts().where, "item 1, expert 2");
      EXPECT_THAT(error.parts().what, HasSubstr("router logit"));
      EXPECT_EQ(error.parts().expected, "a finite number");
    }
  }
}

TEST(TopK, NonFiniteBiasIsRefusedWithItsPlace) {
  const Config config{.experts = 2, .experts_per_token = 1, .selection_bias = true};
  try {
    route_logits(config, std::vector<float>{0, 1}, std::vector<float>{0, NAN});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.parts().where, "expert 1");
  }
}

TEST(TopK, WrongSizesAreBugs) {
  const Config config{.experts = 4, .experts_per_token = 2};
  State state;
  const std::vector<float> logits(7, 0.0F);
  EXPECT_THROW(route(config, {.logits = logits, .items = 2}, state), InternalError);
}

TEST(TopK, ReusedMemoryGivesTheSameDecision) {
  const Config config{.experts = 8, .experts_per_token = 2, .capacity_factor = 1.0F};
  State state;
  Decision reused;
  for (const std::size_t items : {40U, 0U, 3U, 17U}) {
    const auto logits = testing::random_logits(items, 8, items);
    const Inputs inputs{.logits = logits, .items = items};
    route_into(config, inputs, state, reused);
    EXPECT_EQ(reused, route(config, inputs, state));
  }
}

}  // namespace
}  // namespace switchyard::routing
