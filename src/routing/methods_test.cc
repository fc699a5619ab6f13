// What each kind other than top-k promises by itself.
#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>
#include <set>

#include "switchyard/routing.h"

#include "routing/testing/cases.h"

namespace switchyard::routing {
namespace {

Decision route_tokens(const Config& config, const std::vector<std::int32_t>& tokens,
                      State state = {}) {
  return route(config, {.token_ids = tokens, .items = tokens.size()}, state);
}

Decision route_ids(const Config& config, const std::vector<std::uint64_t>& ids, State state = {}) {
  return route(config, {.item_ids = ids, .items = ids.size()}, state);
}

// No share of E bins over n draws is further from n / E than five standard deviations of a fair
// draw.
void expect_fair(const std::vector<std::uint32_t>& counts, double draws) {
  const double p = 1.0 / static_cast<double>(counts.size());
  const double deviation = std::sqrt(draws * p * (1 - p));
  for (const std::uint32_t count : counts) EXPECT_NEAR(count, draws * p, 5 * deviation);
}

void expect_distinct_and_equal_shares(const Decision& decision, std::size_t k) {
  for (std::size_t n = 0; n < decision.items(); ++n) {
    const std::set<std::int32_t> set(decision.expert.begin() + decision.offsets[n],
                                     decision.expert.begin() + decision.offsets[n + 1]);
    ASSERT_EQ(set.size(), k);
  }
  EXPECT_THAT(decision.weight, ::testing::Each(1.0F / static_cast<float>(k)));
}

std::vector<std::int32_t> iota_tokens(int n) {
  std::vector<std::int32_t> tokens;
  for (int t = 0; t < n; ++t) tokens.push_back(t);
  return tokens;
}

TEST(Hash, IsAFixedFunctionOfTheTokenAndTheLayer) {
  const Config config{.kind = Kind::hash, .experts = 16, .experts_per_token = 3, .seed = 9};
  const auto first = route_tokens(config, {5, 7, 5});
  for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(first.expert[j], first.expert[6 + j]);
  // Neither the run's seed nor its step enters.
  EXPECT_EQ(route_tokens(config, {5, 7, 5}, {.seed = 4, .step = 5, .pass = 6}), first);

  const auto tokens = iota_tokens(100);
  EXPECT_NE(route_tokens(config, tokens, {.layer = 1}).expert, route_tokens(config, tokens).expert);
  auto other = config;
  other.seed = 10;
  EXPECT_NE(route_tokens(other, tokens).expert, route_tokens(config, tokens).expert);
}

TEST(Hash, SpreadsTokensEvenly) {
  const Config config{.kind = Kind::hash, .experts = 8, .experts_per_token = 2};
  const auto decision = route_tokens(config, iota_tokens(8000));
  expect_distinct_and_equal_shares(decision, 2);
  expect_fair(decision.counts, 16000);
}

TEST(Random, IsKeyedBySeedStepPassLayerAndItem) {
  const Config config{.kind = Kind::random, .experts = 16, .experts_per_token = 2};
  const std::vector<std::uint64_t> ids{0, 1, 2, 3, 4, 5, 6, 7};
  const State base{.seed = 1, .step = 2, .pass = 3, .layer = 4};
  const auto decision = route_ids(config, ids, base);
  EXPECT_EQ(route_ids(config, ids, base), decision);
  for (const State& other : {State{.seed = 9, .step = 2, .pass = 3, .layer = 4},
                             State{.seed = 1, .step = 9, .pass = 3, .layer = 4},
                             State{.seed = 1, .step = 2, .pass = 9, .layer = 4},
                             State{.seed = 1, .step = 2, .pass = 3, .layer = 9}}) {
    EXPECT_NE(route_ids(config, ids, other).expert, decision.expert);
  }
}

TEST(Random, AnItemDrawsTheSameAloneAsInABatch) {
  const Config config{.kind = Kind::random, .experts = 16, .experts_per_token = 2};
  const auto batch = route_ids(config, {10, 11, 12});
  const auto alone = route_ids(config, {12});
  EXPECT_EQ(alone.expert[0], batch.expert[4]);
  EXPECT_EQ(alone.expert[1], batch.expert[5]);
}

TEST(Random, IsUniformOverExperts) {
  const Config config{.kind = Kind::random, .experts = 8, .experts_per_token = 3};
  State state;
  const auto decision = route(config, {.items = 8000}, state);
  expect_distinct_and_equal_shares(decision, 3);
  expect_fair(decision.counts, 24000);
}

TEST(Random, EveryExpertWhenKIsE) {
  const Config config{.kind = Kind::random, .experts = 5, .experts_per_token = 5};
  State state;
  expect_distinct_and_equal_shares(route(config, {.items = 3}, state), 5);
}

// Duo-LLM's first stage: every token and layer by itself.
TEST(Random, SharesAreTheExpectedCounts) {
  const Config config{.kind = Kind::random,
                      .experts = 2,
                      .experts_per_token = 1,
                      .probabilities = {0.5F, 0.3F, 0.2F}};
  std::vector<std::uint64_t> ids(10000);
  std::iota(ids.begin(), ids.end(), 0);
  const double n = static_cast<double>(ids.size());
  const auto within = [&](double count, double share) {
    EXPECT_NEAR(count, n * share, 3 * std::sqrt(n * share * (1 - share)));
  };
  const auto one = route_ids(config, ids, {.seed = 3, .layer = 0});
  const auto two = route_ids(config, ids, {.seed = 3, .layer = 1});
  for (const Decision* decision : {&one, &two}) {
    within(decision->counts[0], 0.5);
    within(decision->counts[1], 0.3);
    within(decision->null_count, 0.2);
    EXPECT_EQ(decision->assignments() + decision->null_count, ids.size());
    EXPECT_THAT(decision->weight, ::testing::Each(1.0F));
  }
  // Layers, and neighbours in one layer, choose the first expert together as often as independent
  // draws do.
  const auto first = [](const Decision& d, std::size_t i) {
    return d.offsets[i + 1] > d.offsets[i] && d.expert[d.offsets[i]] == 0;
  };
  double layers = 0, neighbours = 0;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    layers += first(one, i) && first(two, i) ? 1 : 0;
    neighbours += first(one, i) && first(one, (i + 1) % ids.size()) ? 1 : 0;
  }
  within(layers, 0.25);
  within(neighbours, 0.25);
}

TEST(Random, AShareOfZeroIsNeverDrawnAndAShareOfOneAlways) {
  for (const auto& [shares, expert] :
       {std::pair{std::vector<float>{1.0F, 0.0F}, 0}, {{0.0F, 1.0F, 0.0F}, 1}}) {
    const Config config{
        .kind = Kind::random, .experts = 2, .experts_per_token = 1, .probabilities = shares};
    State state;
    const auto decision = route(config, {.items = 500}, state);
    EXPECT_THAT(decision.expert, ::testing::Each(expert));
    EXPECT_EQ(decision.expert.size(), 500U);
  }
  const Config skip{.kind = Kind::random,
                    .experts = 2,
                    .experts_per_token = 1,
                    .probabilities = {0.0F, 0.0F, 1.0F}};
  State state;
  const auto decision = route(skip, {.items = 7}, state);
  EXPECT_EQ(decision.assignments(), 0U);
  EXPECT_EQ(decision.null_count, 7U);
}

TEST(InverseTemperature, ScalesTheLogitsAndChangesNoPlainChoice) {
  const auto logits = testing::random_logits(40, 8, 3);
  auto scaled = logits;
  for (float& logit : scaled) logit *= 4.0F;
  const Config plain{.experts = 8, .experts_per_token = 3, .renormalize = false};
  Config sharp = plain;
  sharp.inverse_temperature = 4.0F;
  State state;
  const auto got = route(sharp, {.logits = logits, .items = 40}, state);
  EXPECT_EQ(got, route(plain, {.logits = scaled, .items = 40}, state));
  EXPECT_EQ(got.expert, route(plain, {.logits = logits, .items = 40}, state).expert);
}

TEST(InverseTemperature, ProbabilitiesBecomeOneHotAsItGrows) {
  const std::vector<float> logits{0.3F, -0.2F, 0.1F};
  double last = 0;
  for (const float factor : {0.5F, 1.0F, 4.0F, 16.0F, 200.0F}) {
    Config config{.experts = 3, .experts_per_token = 1, .inverse_temperature = factor};
    config.soft_training = true;
    State state;
    const auto soft = route(soft_config(config), {.logits = logits, .items = 1}, state);
    ASSERT_EQ(soft.assignments(), 3U);
    EXPECT_EQ(soft.expert[0], 0);
    EXPECT_GT(soft.weight[0], last);
    EXPECT_NEAR(soft.weight[0] + soft.weight[1] + soft.weight[2], 1.0, 1e-6);
    last = soft.weight[0];
  }
  EXPECT_GT(last, 1 - 1e-6);
}

// The formula as the paper prints it divides e^h by tau above and below the fraction line, which
// changes nothing; here tau multiplies the logits instead.
TEST(InverseTemperature, TheFormulaAsPrintedDoesNotDependOnTemperature) {
  const std::vector<double> h{0.3, -0.2, 0.1};
  const auto printed = [&](double tau, std::size_t x) {
    double sum = 0;
    for (const double value : h) sum += std::exp(value) / tau;
    return std::exp(h[x]) / tau / sum;
  };
  for (std::size_t x = 0; x < h.size(); ++x) {
    EXPECT_NEAR(printed(1, x), printed(10, x), 1e-15);
    EXPECT_NEAR(printed(1, x), printed(1000, x), 1e-15);
  }
}

TEST(Random, ASmallerKDrawsAPrefix) {
  const Config config{.kind = Kind::random, .experts = 8, .experts_per_token = 4};
  State state;
  const auto four = route(config, {.items = 10}, state);
  const auto two = route(config, {.items = 10, .experts_per_token = 2}, state);
  for (std::size_t n = 0; n < 10; ++n) {
    EXPECT_EQ(two.expert[2 * n], four.expert[4 * n]);
    EXPECT_EQ(two.expert[2 * n + 1], four.expert[4 * n + 1]);
  }
}

TEST(ExpertChoice, EveryExpertHasTheSameLoad) {
  for (const std::size_t items : {1U, 7U, 64U}) {
    const Config config{.kind = Kind::expert_choice, .experts = 8, .experts_per_token = 2};
    const auto logits = testing::random_logits(items, 8, 1, 4.0F);
    State state;
    const auto decision = route(config, {.logits = logits, .items = items}, state);
    EXPECT_THAT(decision.counts, ::testing::Each(static_cast<std::uint32_t>((items * 2 + 7) / 8)));
  }
}

TEST(ExpertChoice, NoItemsIsAnEmptyDecision) {
  State state;
  const auto decision = route({.kind = Kind::expert_choice}, {}, state);
  EXPECT_EQ(decision.items(), 0U);
  EXPECT_THAT(decision.offsets, ::testing::ElementsAre(0));
}

}  // namespace
}  // namespace switchyard::routing
