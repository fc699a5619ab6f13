#include "routing/losses.h"

#include <cmath>
#include <gtest/gtest.h>

#include "base/check.h"
#include "routing/testing/cases.h"

namespace switchyard::routing {
namespace {

using Fraction = LossConfig::Fraction;

// logits that put probability `high` on one expert of E.
std::vector<float> peaked(std::size_t items, std::size_t experts, float high, auto expert_of_item) {
  const float logit = std::log(high * static_cast<float>(experts - 1) / (1 - high));
  std::vector<float> logits(items * experts, 0.0F);
  for (std::size_t n = 0; n < items; ++n) logits[n * experts + expert_of_item(n)] = logit;
  return logits;
}

LossTerms terms(const Config& config, std::span<const float> logits) {
  State state;
  const auto decision = route(
      config, {.logits = logits, .items = logits.size() / static_cast<std::size_t>(config.experts)},
      state);
  return router_losses(config, logits, decision);
}

TEST(Losses, BalanceIsOneOrKAtPerfectBalance) {
  for (const int k : {1, 2, 4}) {
    Config config{.experts = 8, .experts_per_token = k};
    // Item n prefers n, then n + 1, ...: a circle, so every expert is chosen equally often.
    std::vector<float> logits;
    for (int n = 0; n < 16; ++n) {
      for (int e = 0; e < 8; ++e) logits.push_back(static_cast<float>(8 - ((e - n) & 7)));
    }
    EXPECT_NEAR(terms(config, logits).balance, 1.0, 1e-6);
    config.losses.fraction = Fraction::per_item;
    EXPECT_NEAR(terms(config, logits).balance, k, 1e-5);
    config.losses.balance = LossConfig::Balance::gshard;
    EXPECT_NEAR(terms(config, logits).balance, 1.0, 1e-6);
    EXPECT_NEAR(terms(config, logits).importance, 0.0, 1e-10);
  }
}

TEST(Losses, BalanceIsOneWithUniformProbabilitiesWhateverIsChosen) {
  const Config config{.experts = 8, .experts_per_token = 2};
  // Ties: everybody takes experts 0 and 1.
  EXPECT_NEAR(terms(config, std::vector<float>(80, 0.7F)).balance, 1.0, 1e-6);
}

TEST(Losses, CollapsedRouterHasTheClosedForms) {
  Config config{.experts = 8, .experts_per_token = 1, .renormalize = false};
  const auto logits = peaked(20, 8, 0.9F, [](std::size_t) { return 3U; });
  const auto t = terms(config, logits);
  EXPECT_NEAR(t.balance, 8 * 0.9, 1e-5);
  EXPECT_NEAR(t.importance, 7.0, 1e-9);
  // log sum exp = log(0.9 * 7 / 0.1 + 7) = log(70)
  EXPECT_NEAR(t.z, std::pow(std::log(70.0), 2), 1e-5);
}

TEST(Losses, PartlyBalancedByHand) {
  // Two experts; three items choose 0 with 0.75, one chooses 1 with 0.75.
  const Config config{.experts = 2, .experts_per_token = 1, .renormalize = false};
  const auto logits = peaked(4, 2, 0.75F, [](std::size_t n) { return n == 3 ? 1U : 0U; });
  const auto t = terms(config, logits);
  const double q0 = (3 * 0.75 + 0.25) / 4;
  EXPECT_NEAR(t.balance, 2 * (0.75 * q0 + 0.25 * (1 - q0)), 1e-6);
  // Importance 2.25 and 0.75: mean 1.5, variance 0.5625.
  EXPECT_NEAR(t.importance, 0.25, 1e-6);
}

TEST(Losses, GshardLooksAtFirstChoicesOnly) {
  Config config{.experts = 4, .experts_per_token = 2};
  // First choice always 0, second choices spread.
  std::vector<float> logits(16, 0.0F);
  for (std::size_t n = 0; n < 4; ++n) {
    logits[n * 4] = 3.0F;
    if (n > 0) logits[n * 4 + n] = 2.0F;
  }
  const auto all = terms(config, logits).balance;
  config.losses.balance = LossConfig::Balance::gshard;
  const auto first = terms(config, logits).balance;
  double q0 = 0.0;
  for (std::size_t n = 0; n < 4; ++n) {
    const double rest = n > 0 ? std::exp(2.0) + 2 : 3.0;
    q0 += std::exp(3.0) / (std::exp(3.0) + rest) / 4;
  }
  EXPECT_NEAR(first, 4 * q0, 1e-6);
  EXPECT_LT(all, first);
}

TEST(Losses, ZOfZeroLogitsIsTheSquaredLogOfE) {
  EXPECT_NEAR(z_loss(std::vector<float>(30, 0.0F), 3), std::pow(std::log(10.0), 2), 1e-12);
}

TEST(Losses, ZSurvivesHugeLogits) {
  EXPECT_NEAR(z_loss(std::vector<float>{1e30F, -1e30F}, 1) / 1e60, 1.0, 1e-6);
}

TEST(Losses, NoItemsAreNoLoss) {
  const Config config{.experts = 4, .experts_per_token = 2};
  const auto t = terms(config, {});
  EXPECT_EQ(t.balance, 0.0);
  EXPECT_EQ(t.z, 0.0);
  EXPECT_EQ(t.importance, 0.0);
  EXPECT_EQ(t.entropy, 0.0);
}

TEST(Losses, EntropyIsLnEWhenUniformAndZeroWhenOneHot) {
  EXPECT_NEAR(entropy_loss(std::vector<float>(48, 1.0F / 16), 3), std::log(16.0), 1e-6);
  EXPECT_EQ(entropy_loss(std::vector<float>{0, 1, 0, 0, 0, 1}, 2), 0.0);
}

TEST(Losses, BalanceOfTopPIsTheMeanNumberOfExperts) {
  Config config = default_config(Kind::top_p);
  config.experts = config.experts_per_token = 16;
  // Uniform P: 7 experts an item, whoever they are.
  EXPECT_NEAR(terms(config, std::vector<float>(160, 0.0F)).balance, 7.0, 1e-5);
  // Everything on one expert.
  EXPECT_NEAR(terms(config, peaked(20, 16, 1.0F - 1e-6F, [](std::size_t) { return 3U; })).balance,
              16.0, 1e-3);
}

// Item n prefers expert n mod E, then the next: a circle, so that every expert is taken alike while
// each item's probabilities are far from uniform.
std::vector<float> circle(std::size_t items, std::size_t outputs, float slope) {
  std::vector<float> logits;
  for (std::size_t n = 0; n < items; ++n) {
    for (std::size_t e = 0; e < outputs; ++e) {
      logits.push_back(-slope * static_cast<float>((e + outputs - n % outputs) % outputs));
    }
  }
  return logits;
}

TEST(Losses, BalanceOfTopPIsTheMeanNumberOfExpertsAlsoWhereOnlyTheLoadIsUniform) {
  Config config = default_config(Kind::top_p);
  config.experts = config.experts_per_token = 8;
  config.threshold = 0.8F;
  const auto logits = circle(24, 8, 0.5F);
  State state;
  const auto decision = route(config, {.logits = logits, .items = 24}, state);
  EXPECT_GT(decision.assignments(), 24U);
  EXPECT_NEAR(terms(config, logits).balance, static_cast<double>(decision.assignments()) / 24,
              1e-5);
}

TEST(Losses, BalanceWithNullExpertsIsKWhereEveryOutputIsTakenAlike) {
  for (const int k : {3, 10}) {  // within E and above
    for (const auto rule :
         {LossConfig::NullBalance::averaged, LossConfig::NullBalance::individual}) {
      const Config config{.experts = 8,
                          .experts_per_token = k,
                          .null_experts = 8,
                          .losses = {.fraction = Fraction::per_item, .null_balance = rule}};
      const auto logits = circle(32, 16, 0.3F);
      State state;
      const auto decision = route(config, {.logits = logits, .items = 32}, state);
      EXPECT_EQ(decision.assignments(), 32U * static_cast<unsigned>(k) * 8 / 16);
      EXPECT_NEAR(router_losses(config, logits, decision).balance, k, 1e-5);
    }
  }
}

TEST(Losses, TotalAppliesTheCoefficients) {
  const LossTerms t{.balance = 2.0, .z = 3.0, .importance = 5.0, .entropy = 4.0};
  EXPECT_NEAR(t.total({.balance_coefficient = 0.5F,
                       .z_coefficient = 0.25F,
                       .importance_coefficient = 1.0F,
                       .entropy_coefficient = 2.0F}),
              14.75, 1e-12);
}

TEST(Losses, SigmoidProbabilitiesAreDividedByTheirSum) {
  const std::vector<float> logits{0.0F, std::log(3.0F), -500.0F, -501.0F};
  const auto probs = router_probs(Score::sigmoid, logits, 2);
  EXPECT_NEAR(probs[0], 0.5 / 1.25, 1e-6);
  EXPECT_NEAR(probs[1], 0.75 / 1.25, 1e-6);
  EXPECT_NEAR(probs[2] / probs[3], std::exp(1.0), 1e-4);  // both sigmoids underflow
}

TEST(Losses, ADecisionAfterDropsIsABug) {
  const Config config{.experts = 2, .experts_per_token = 1, .capacity_factor = 0.5F};
  EXPECT_THROW(terms(config, std::vector<float>{1, 0, 1, 0, 1, 0}), InternalError);
}

}  // namespace
}  // namespace switchyard::routing
