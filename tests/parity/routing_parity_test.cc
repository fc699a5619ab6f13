// Same logits in, same experts and gate weights out: the libtorch routers against the pure
// functions.
#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <vector>

#include <torch/types.h>

#include "switchyard/error.h"
#include "switchyard/routing.h"

#include "models/routers/choose.h"
#include "models/routers/router.h"
#include "routing/losses.h"
#include "routing/testing/cases.h"

namespace switchyard::models {
namespace {

using routing::Config;
using routing::Decision;
using routing::Kind;

torch::Tensor as_tensor(const std::vector<float>& values, std::int64_t columns) {
  return torch::tensor(values).reshape({-1, columns});
}

RouterOutput twin(const Config& config, const torch::Tensor& logits, std::int64_t items,
                  const torch::Tensor& bias = {}, const RouterInputs& inputs = {},
                  RouterState state = {}) {
  return route(config, logits, bias, items, torch::kCPU, inputs, state);
}

// Row n of the twin, cut at the first kNoExpert, is item n of the decision.
void expect_same(const RouterOutput& got, const Decision& want, const std::string& what) {
  ASSERT_EQ(got.indices.size(0), static_cast<std::int64_t>(want.items())) << what;
  const auto expert = got.indices.accessor<std::int64_t, 2>();
  const auto weights = got.weights.detach().contiguous();
  const auto weight = weights.accessor<float, 2>();
  for (std::int64_t n = 0; n < got.indices.size(0); ++n) {
    std::vector<std::int64_t> chosen;
    std::vector<float> weigh;
    for (std::int64_t j = 0; j < got.indices.size(1); ++j) {
      if (expert[n][j] == routing::kNoExpert) {
        EXPECT_EQ(weight[n][j], 0.0F) << what;
        continue;
      }
      chosen.push_back(expert[n][j]);
      weigh.push_back(weight[n][j]);
    }
    const auto begin = want.offsets[static_cast<std::size_t>(n)];
    const auto end = want.offsets[static_cast<std::size_t>(n) + 1];
    EXPECT_EQ(chosen,
              std::vector<std::int64_t>(want.expert.begin() + begin, want.expert.begin() + end))
        << what << ", item " << n;
    ASSERT_EQ(weigh.size(), end - begin);
    for (std::size_t j = 0; j < weigh.size(); ++j) {
      const float expected = want.weight[begin + j];
      EXPECT_NEAR(weigh[j], expected, 1e-6 * std::max(1.0F, expected)) << what << ", item " << n;
    }
  }
  EXPECT_EQ(got.dropped, want.dropped) << what;
  EXPECT_EQ(got.null_count, want.null_count) << what;
  for (std::size_t e = 0; e < want.counts.size(); ++e) {
    EXPECT_EQ(got.counts[static_cast<std::int64_t>(e)].item<std::int64_t>(), want.counts[e])
        << what;
  }
}

void expect_same_for(const routing::testing::ConfigCase& c, const std::vector<float>& logits,
                     const std::vector<float>& bias, const std::string& what) {
  const std::int64_t outputs = routing::router_width(c.config);
  const auto items = static_cast<std::int64_t>(logits.size()) / outputs;
  const bool biased = c.config.selection_bias;
  routing::State state;
  const auto want = routing::route(
      c.config,
      {.logits = logits,
       .selection_bias = biased ? std::span<const float>(bias) : std::span<const float>(),
       .items = static_cast<std::size_t>(items)},
      state);
  expect_same(twin(c.config, as_tensor(logits, outputs), items,
                   biased ? torch::tensor(bias) : torch::Tensor()),
              want, what);
}

std::vector<routing::testing::ConfigCase> variants(int experts, int k) {
  auto cases = routing::testing::top_k_variants(experts, k);
  for (auto& c : routing::testing::top_p_variants(experts)) cases.push_back(c);
  for (auto& c : routing::testing::sigmoid_threshold_variants(experts)) cases.push_back(c);
  for (auto& c : routing::testing::recurrent_variants(experts, k)) cases.push_back(c);
  for (auto& c : routing::testing::expert_choice_variants(experts, k)) cases.push_back(c);
  return cases;
}

TEST(RoutingParity, NullExperts) {
  for (const auto& c : routing::testing::null_expert_variants(8)) {
    const auto outputs = static_cast<std::size_t>(routing::router_width(c.config));
    auto rows = routing::testing::adversarial_logits(9, outputs);
    rows.push_back({"random", routing::testing::random_logits(60, outputs, 13, 2.0F)});
    for (const auto& row : rows) {
      expect_same_for(c, row.logits, {}, c.name + " on " + row.name);
    }
  }
}

TEST(RoutingParity, RandomLogits) {
  for (const auto& [experts, k] : {std::pair{8, 1}, {8, 2}, {64, 8}}) {
    const auto width = static_cast<std::size_t>(experts);
    const auto logits = routing::testing::random_logits(60, width, 11, 2.0F);
    const auto bias = routing::testing::random_logits(1, width, 12, 0.1F);
    for (const auto& c : variants(experts, k)) expect_same_for(c, logits, bias, c.name);
  }
}

TEST(RoutingParity, AdversarialLogits) {
  for (const auto& rows : routing::testing::adversarial_logits(9, 8)) {
    for (const auto& c : variants(8, 2)) {
      expect_same_for(c, rows.logits, std::vector<float>(8, 0.0F), c.name + " on " + rows.name);
    }
  }
}

// The tensor form of selection, which other devices use, run here against the host form.
TEST(RoutingParity, SelectionOnTheDeviceEqualsSelectionOnTheHost) {
  auto rows = routing::testing::adversarial_logits(9, 8);
  rows.push_back({"random", routing::testing::random_logits(50, 8, 5, 2.0F)});
  const auto bias = torch::linspace(-0.2, 0.2, 8);
  auto cases = routing::testing::top_k_variants(8, 3);
  for (auto& c : routing::testing::top_p_variants(8)) cases.push_back(c);
  for (auto& c : routing::testing::sigmoid_threshold_variants(8)) cases.push_back(c);
  for (auto& c : routing::testing::recurrent_variants(8, 3)) cases.push_back(c);
  cases.push_back({"null experts", {.experts = 5, .experts_per_token = 4, .null_experts = 3}});
  for (const auto& row : rows) {
    for (const auto& c : cases) {
      if (!can_choose_on_device(c.config)) continue;
      const auto logits = as_tensor(row.logits, 8);
      const ChooseInputs inputs{.logits = logits,
                                .selection_bias = c.config.selection_bias ? bias : torch::Tensor(),
                                .items = logits.size(0)};
      const auto host = choose_on_host(c.config, inputs, {});
      const auto device = choose_on_device(c.config, inputs, {});
      EXPECT_TRUE(torch::equal(host.indices, device.indices)) << c.name << " on " << row.name;
      EXPECT_EQ(host.lost.defined(), device.lost.defined());
      if (host.lost.defined()) {
        EXPECT_TRUE(torch::equal(host.lost, device.lost)) << c.name << " on " << row.name;
      }
    }
  }
}

TEST(RoutingParity, HashAndRandom) {
  const Config hash{.kind = Kind::hash, .experts = 8, .experts_per_token = 2, .seed = 5};
  Config random = hash;
  random.kind = Kind::random;
  const Config shares{.kind = Kind::random,
                      .experts = 2,
                      .experts_per_token = 1,
                      .seed = 5,
                      .probabilities = {0.4F, 0.4F, 0.2F}};
  for (const Config& config : {hash, random, shares}) {
    const Kind kind = config.kind;
    std::vector<std::int32_t> tokens;
    std::vector<std::uint64_t> ids;
    for (int n = 0; n < 30; ++n) {
      tokens.push_back(n % 7);
      ids.push_back(static_cast<std::uint64_t>(100 + n));
    }
    routing::State state{.seed = 1, .step = 2, .pass = 3, .layer = 4};
    const auto want =
        routing::route(config, {.token_ids = tokens, .item_ids = ids, .items = 30}, state);
    const RouterInputs inputs{.token_ids = torch::arange(30) % 7,
                              .item_ids = torch::arange(100, 130)};
    const auto got =
        twin(config, {}, 30, {}, inputs, {.seed = 1, .step = 2, .pass = 3, .layer = 4});
    expect_same(got, want, std::string(routing::method(kind).name));
    EXPECT_FALSE(got.weights.requires_grad());
  }
}

TEST(RoutingParity, KOfTheCall) {
  const Config config{.experts = 8, .experts_per_token = 2};
  const auto logits = routing::testing::random_logits(10, 8, 1);
  for (const int k : {1, 5, 8}) {
    routing::State state;
    const auto want =
        routing::route(config, {.logits = logits, .items = 10, .experts_per_token = k}, state);
    expect_same(twin(config, as_tensor(logits, 8), 10, {}, {.experts_per_token = k}), want, "k");
  }
}

TEST(RoutingParity, Losses) {
  for (const auto balance :
       {routing::LossConfig::Balance::switch_transformer, routing::LossConfig::Balance::gshard}) {
    for (const auto fraction :
         {routing::LossConfig::Fraction::per_assignment, routing::LossConfig::Fraction::per_item}) {
      for (const auto score : {routing::Score::softmax, routing::Score::sigmoid}) {
        const Config config{.experts = 16,
                            .experts_per_token = 3,
                            .score = score,
                            .scaling_factor = 2.0F,
                            .losses = {.balance = balance,
                                       .fraction = fraction,
                                       .balance_coefficient = 0.01F,
                                       .z_coefficient = 0.001F,
                                       .importance_coefficient = 0.1F}};
        const auto logits = routing::testing::random_logits(50, 16, 9, 2.0F);
        routing::State state;
        const auto want = routing::router_losses(
            config, logits, routing::route(config, {.logits = logits, .items = 50}, state));
        const auto got = twin(config, as_tensor(logits, 16), 50).losses;
        EXPECT_NEAR(got.balance.item<double>(), want.balance, 1e-5);
        EXPECT_NEAR(got.z.item<double>(), want.z, 1e-5 * want.z);
        EXPECT_NEAR(got.importance.item<double>(), want.importance, 1e-5);
        EXPECT_NEAR(got.total(config.losses).item<double>(), want.total(config.losses), 1e-5);
      }
    }
  }
}

TEST(RoutingParity, LossesOfEveryMethod) {
  auto cases = routing::testing::top_p_variants(8);
  for (auto& c : routing::testing::sigmoid_threshold_variants(8)) cases.push_back(c);
  for (auto& c : routing::testing::recurrent_variants(8, 3)) cases.push_back(c);
  for (auto& c : routing::testing::null_expert_variants(8)) {
    cases.push_back(c);
    c.config.losses.null_balance = routing::LossConfig::NullBalance::individual;
    c.name += ", individual balance";
    cases.push_back(c);
  }
  for (auto& c : cases) {
    if (c.config.gate != routing::Gate::probability) continue;
    c.config.losses.balance_coefficient = 1.0F;
    c.config.losses.importance_coefficient = 0.1F;
    c.config.losses.entropy_coefficient = 0.5F;
    for (const auto fraction :
         {routing::LossConfig::Fraction::per_assignment, routing::LossConfig::Fraction::per_item}) {
      c.config.losses.fraction = fraction;
      const auto outputs = routing::router_width(c.config);
      const auto logits =
          routing::testing::random_logits(50, static_cast<std::size_t>(outputs), 9, 2.0F);
      routing::State state;
      const auto want = routing::router_losses(
          c.config, logits, routing::route(c.config, {.logits = logits, .items = 50}, state));
      const auto got = twin(c.config, as_tensor(logits, outputs), 50).losses;
      EXPECT_NEAR(got.balance.item<double>(), want.balance, 1e-5 * want.balance) << c.name;
      EXPECT_NEAR(got.entropy.item<double>(), want.entropy, 1e-5) << c.name;
      EXPECT_NEAR(got.importance.item<double>(), want.importance, 1e-5) << c.name;
      EXPECT_NEAR(got.total(c.config.losses).item<double>(), want.total(c.config.losses), 1e-4);
    }
  }
}

TEST(RoutingParity, PaddingIsLeftOutOfNullsAndTheirBalance) {
  const Config config{.experts = 4,
                      .experts_per_token = 6,
                      .null_experts = 4,
                      .losses = {.balance_coefficient = 1.0F, .entropy_coefficient = 1.0F}};
  const auto logits = as_tensor(routing::testing::random_logits(20, 8, 2, 3.0F), 8);
  const auto short_one = twin(config, logits.narrow(0, 0, 12), 12);
  const auto padded = twin(config, logits, 20, {}, {.mask = torch::arange(20) < 12});
  EXPECT_EQ(padded.null_count, short_one.null_count);
  EXPECT_TRUE(torch::allclose(padded.losses.balance, short_one.losses.balance));
  EXPECT_TRUE(torch::allclose(padded.losses.entropy, short_one.losses.entropy));
}

TEST(RoutingParity, PaddingIsLeftOutOfTopPsBalanceAndEntropy) {
  Config config = routing::default_config(Kind::top_p);
  config.experts = config.experts_per_token = 8;
  config.losses.balance_coefficient = config.losses.entropy_coefficient = 1.0F;
  const auto logits = as_tensor(routing::testing::random_logits(20, 8, 2, 3.0F), 8);
  const auto short_one = twin(config, logits.narrow(0, 0, 12), 12);
  const auto padded = twin(config, logits, 20, {}, {.mask = torch::arange(20) < 12});
  EXPECT_TRUE(torch::allclose(padded.losses.balance, short_one.losses.balance));
  EXPECT_TRUE(torch::allclose(padded.losses.entropy, short_one.losses.entropy));
  EXPECT_TRUE(torch::equal(padded.counts, short_one.counts));
}

TEST(RoutingParity, LossesCountTheChoiceBeforeCapacity) {
  Config config{.experts = 4,
                .experts_per_token = 2,
                .losses = {.balance_coefficient = 1.0F, .importance_coefficient = 1.0F}};
  const auto logits = as_tensor(routing::testing::random_logits(20, 4, 2, 3.0F), 4);
  const auto free = twin(config, logits, 20);
  config.capacity_factor = 0.5F;
  const auto tight = twin(config, logits, 20);
  EXPECT_GT(tight.dropped, 0);
  EXPECT_TRUE(torch::equal(free.losses.balance, tight.losses.balance));
  EXPECT_TRUE(torch::equal(free.losses.importance, tight.losses.importance));
}

TEST(RoutingParity, PaddingIsLeftOutOfLossesAndCounts) {
  const Config config{
      .experts = 4,
      .experts_per_token = 2,
      .losses = {
          .balance_coefficient = 1.0F, .z_coefficient = 1.0F, .importance_coefficient = 1.0F}};
  const auto logits = as_tensor(routing::testing::random_logits(20, 4, 2, 3.0F), 4);
  const auto short_one = twin(config, logits.narrow(0, 0, 12), 12);
  const auto padded = twin(config, logits, 20, {}, {.mask = torch::arange(20) < 12});
  EXPECT_TRUE(torch::equal(padded.counts, short_one.counts));
  EXPECT_TRUE(torch::allclose(padded.losses.balance, short_one.losses.balance));
  EXPECT_TRUE(torch::allclose(padded.losses.z, short_one.losses.z));
  EXPECT_TRUE(torch::allclose(padded.losses.importance, short_one.losses.importance));
  EXPECT_EQ(padded.indices.size(0), 20);  // padding is routed like any item

  const auto nothing = twin(config, logits, 20, {}, {.mask = torch::zeros(20, torch::kBool)});
  EXPECT_EQ(nothing.losses.total(config.losses).item<double>(), 0.0);
}

TEST(RoutingParity, ForcedRoutesTakeTheRoutersWeightsOrTheGivenOnes) {
  const Config config{.experts = 4, .experts_per_token = 2};
  const auto logits = torch::tensor({{0.0F, 1.0F, 2.0F, 3.0F}, {0.0F, 0.0F, 0.0F, 0.0F}});
  const auto forced = torch::tensor({{0L, 1L, -1L}, {-1L, -1L, -1L}});
  const auto out = twin(config, logits, 2, {}, {.forced = forced});
  const float p = 1.0F / (1.0F + std::exp(1.0F));
  EXPECT_TRUE(torch::equal(out.indices, forced));
  EXPECT_TRUE(torch::allclose(out.weights, torch::tensor({{p, 1 - p, 0.0F}, {0.0F, 0.0F, 0.0F}})));

  const auto weights = torch::full({2, 3}, 0.25F);
  const auto given = twin(config, logits, 2, {}, {.forced = forced, .forced_weights = weights});
  EXPECT_TRUE(torch::equal(given.weights, weights * (forced >= 0)));
}

TEST(RoutingParity, NonFiniteLogitsNameLayerItemAndExpert) {
  const Config config{.experts = 4, .experts_per_token = 2};
  auto logits = torch::zeros({3, 4});
  logits[2][1] = NAN;
  try {
    twin(config, logits, 3, {}, {}, {.layer = 7});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.parts().where, "layer 7, item 2, expert 1");
    EXPECT_THAT(error.what(), ::testing::HasSubstr("nan"));
  }
  try {
    choose_on_device(config, {.logits = logits, .items = 3}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.parts().where, "item 2, expert 1");
  }
}

}  // namespace
}  // namespace switchyard::models
