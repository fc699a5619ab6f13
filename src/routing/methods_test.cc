// What each kind other than top-k promises by itself.
#include <algorithm>
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
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
