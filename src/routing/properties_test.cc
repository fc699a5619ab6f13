// Properties that hold for every kind, or are shown not to.
#include <algorithm>
#include <gtest/gtest.h>
#include <numeric>

#include "switchyard/routing.h"

#include "routing/testing/cases.h"

namespace switchyard::routing {
namespace {

constexpr std::size_t kItems = 24;
constexpr std::size_t kExperts = 8;

// All inputs any kind looks at, owned.
struct Batch {
  std::vector<float> logits = testing::random_logits(kItems, kExperts, 21, 2.0F);
  std::vector<float> bias = testing::random_logits(1, kExperts, 22, 0.1F);
  std::vector<std::int32_t> tokens;
  std::vector<std::uint64_t> ids;

  Batch() {
    for (std::size_t n = 0; n < kItems; ++n) {
      tokens.push_back(static_cast<std::int32_t>(n * 37 % 11));
      ids.push_back(n);
    }
  }

  Inputs inputs(const Config& config, std::size_t items = kItems) const {
    return {.logits = std::span(logits).first(items * kExperts),
            .selection_bias =
                config.selection_bias ? std::span<const float>(bias) : std::span<const float>(),
            .token_ids = std::span(tokens).first(items),
            .item_ids = std::span(ids).first(items),
            .items = items};
  }
};

std::vector<testing::ConfigCase> every_kind() {
  auto cases = testing::top_k_variants(kExperts, 2);
  for (auto& c : testing::top_p_variants(kExperts)) cases.push_back(c);
  for (auto& c : testing::sigmoid_threshold_variants(kExperts)) cases.push_back(c);
  for (auto& c : testing::recurrent_variants(kExperts, 2)) cases.push_back(c);
  for (auto& c : testing::expert_choice_variants(kExperts, 2)) cases.push_back(c);
  cases.push_back({"hash", {.kind = Kind::hash, .experts = kExperts, .experts_per_token = 2}});
  cases.push_back({"random", {.kind = Kind::random, .experts = kExperts, .experts_per_token = 2}});
  return cases;
}

Decision decide(const Config& config, const Batch& batch, std::size_t items = kItems) {
  State state{.seed = 1, .layer = 2};
  return route(config, batch.inputs(config, items), state);
}

using Item = std::vector<std::pair<std::int32_t, float>>;

Item item_of(const Decision& decision, std::size_t n) {
  Item item;
  for (std::uint32_t a = decision.offsets[n]; a < decision.offsets[n + 1]; ++a) {
    item.emplace_back(decision.expert[a], decision.weight[a]);
  }
  return item;
}

bool same_up_to(const Decision& a, const Decision& b, std::size_t items) {
  for (std::size_t n = 0; n < items; ++n) {
    if (item_of(a, n) != item_of(b, n)) return false;
  }
  return true;
}

// Changes and cuts off everything after `kept` items, in several ways: does any of it reach the
// items before?
bool survives_perturbation(const Config& config, std::size_t kept) {
  const Batch batch;
  const auto before = decide(config, batch);
  if (!same_up_to(before, decide(config, batch, kept), kept)) return false;
  for (std::uint64_t trial = 0; trial < 20; ++trial) {
    Batch changed;
    const auto other = testing::random_logits(kItems, kExperts, 100 + trial, 5.0F);
    std::copy(other.begin() + static_cast<std::ptrdiff_t>(kept * kExperts), other.end(),
              changed.logits.begin() + static_cast<std::ptrdiff_t>(kept * kExperts));
    for (std::size_t n = kept; n < kItems; ++n) changed.tokens[n] += 5;
    if (!same_up_to(before, decide(config, changed), kept)) return false;
  }
  return true;
}

TEST(RoutingProperties, CausalExactlyWhereTheTableSaysSo) {
  for (const auto& c : every_kind()) {
    bool survives = true;
    for (std::size_t kept = 1; kept < kItems; ++kept)
      survives = survives && survives_perturbation(c.config, kept);
    EXPECT_EQ(survives, is_causal(c.config)) << c.name;
  }
}

TEST(RoutingProperties, DecisionsHoldTogether) {
  for (const auto& c : every_kind()) {
    const auto decision = decide(c.config, Batch());
    ASSERT_EQ(decision.items(), kItems) << c.name;
    EXPECT_EQ(decision.offsets.front(), 0U);
    EXPECT_EQ(decision.offsets.back(), decision.assignments());
    EXPECT_EQ(decision.weight.size(), decision.assignments());
    EXPECT_TRUE(std::ranges::is_sorted(decision.offsets));
    std::vector<std::uint32_t> counts(kExperts, 0);
    for (const std::int32_t e : decision.expert) ++counts.at(static_cast<std::size_t>(e));
    EXPECT_EQ(decision.counts, counts) << c.name;
    for (std::size_t n = 0; n < kItems; ++n) {
      auto item = item_of(decision, n);
      std::ranges::sort(item);
      const auto twice = std::ranges::adjacent_find(item, {}, &Item::value_type::first);
      EXPECT_EQ(twice, item.end()) << c.name << ": one expert twice for item " << n;
    }
  }
}

TEST(RoutingProperties, SameInputsSameBits) {
  for (const auto& c : every_kind()) {
    EXPECT_EQ(decide(c.config, Batch()), decide(c.config, Batch())) << c.name;
  }
}

// Permuted items give permuted decisions, where items do not compete for room.
TEST(RoutingProperties, ItemOrderDoesNotMatterWithoutCapacity) {
  std::vector<std::size_t> order(kItems);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::reverse(order);
  std::swap(order[3], order[17]);
  const Batch batch;
  Batch permuted;
  for (std::size_t n = 0; n < kItems; ++n) {
    std::copy_n(batch.logits.begin() + static_cast<std::ptrdiff_t>(order[n] * kExperts), kExperts,
                permuted.logits.begin() + static_cast<std::ptrdiff_t>(n * kExperts));
    permuted.tokens[n] = batch.tokens[order[n]];
    permuted.ids[n] = batch.ids[order[n]];
  }
  for (const auto& c : every_kind()) {
    if (c.config.capacity_factor > 0.0F) continue;
    const auto plain = decide(c.config, batch);
    const auto moved = decide(c.config, permuted);
    for (std::size_t n = 0; n < kItems; ++n) {
      EXPECT_EQ(item_of(moved, n), item_of(plain, order[n])) << c.name << ", item " << n;
    }
  }
}

// Experts renamed inside their groups give the same choice under new names.
TEST(RoutingProperties, ExpertNamesDoNotMatter) {
  const auto renamed = [](std::size_t e) {
    return e ^ 1U;
  };  // swaps neighbours; groups of 4 have 2
  const Batch batch;
  Batch other;
  for (std::size_t n = 0; n < kItems; ++n) {
    for (std::size_t e = 0; e < kExperts; ++e) {
      other.logits[n * kExperts + renamed(e)] = batch.logits[n * kExperts + e];
    }
  }
  for (std::size_t e = 0; e < kExperts; ++e) other.bias[renamed(e)] = batch.bias[e];
  for (const auto& c : every_kind()) {
    if (!method(c.config.kind).needs_logits) continue;
    const auto plain = decide(c.config, batch);
    const auto moved = decide(c.config, other);
    ASSERT_EQ(plain.offsets, moved.offsets) << c.name;
    for (std::size_t a = 0; a < plain.assignments(); ++a) {
      EXPECT_EQ(moved.expert[a],
                static_cast<std::int32_t>(renamed(static_cast<std::size_t>(plain.expert[a]))));
      EXPECT_NEAR(moved.weight[a], plain.weight[a], 1e-6F * std::max(1.0F, plain.weight[a]));
    }
  }
}

TEST(RoutingProperties, AConstantAddedToARowChangesNoSoftmaxChoice) {
  Batch shifted;
  for (float& logit : shifted.logits) logit += 64.0F;
  const auto plain = decide({.experts = kExperts}, Batch());
  const auto moved = decide({.experts = kExperts}, shifted);
  EXPECT_EQ(plain.expert, moved.expert);
  for (std::size_t a = 0; a < plain.assignments(); ++a) {
    EXPECT_NEAR(plain.weight[a], moved.weight[a], 1e-4);
  }
}

}  // namespace
}  // namespace switchyard::routing
