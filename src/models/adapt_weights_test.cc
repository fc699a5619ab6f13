#include "models/adapt_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "models/checkpoint_io.h"
#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/tiny_model.h"

namespace switchyard::models {
namespace {

using namespace testing_support;
using ::testing::HasSubstr;

ModelConfig with_nulls(ModelConfig config, int nulls, int k) {
  config.family = Family::switchyard;
  config.moe->router.null_experts = nulls;
  config.moe->router.experts_per_token = k;
  return config;
}

torch::Tensor logits_of(Decoder& model, std::vector<LayerRoute>* routes = nullptr) {
  const torch::NoGradGuard no_grad;
  ForwardContext context;
  const auto logits = model.forward(torch::arange(40).remainder(96).unsqueeze(0), context);
  if (routes != nullptr) *routes = context.routes;
  return logits;
}

TEST(AdaptWeights, TheSameShapeIsACopy) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "base", tiny_mixtral());
  const auto base = load_model(fs, "base");
  Decoder model(tiny_mixtral(), 9);
  EXPECT_TRUE(adapt_weights(fs, "base", model).empty());
  EXPECT_TRUE(logits_of(model).equal(logits_of(*base)));
}

// c copies of each row and K from c + 2 to 2 c + 2: the same two experts with the same weights.
TEST(AdaptWeights, NullRowsThatAreCopiesLeaveTheLogitsAsTheyWere) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "base", tiny_mixtral());
  const auto base = load_model(fs, "base");
  const auto expected = logits_of(*base);
  for (const int copies : {1, 2, 3}) {
    for (int k = copies + 2; k <= 2 * copies + 2; ++k) {
      Decoder model(with_nulls(tiny_mixtral(), 8 * copies, k), 9);
      const auto lines = adapt_weights(fs, "base", model);
      EXPECT_THAT(lines, ::testing::ElementsAre("router gets rows for null experts: 2 weights"));
      std::vector<LayerRoute> routes;
      EXPECT_LT((logits_of(model, &routes) - expected).abs().max().item<float>(), 1e-5F)
          << copies << " copies, K = " << k;
      EXPECT_EQ(routes[0].counts.sum().item<std::int64_t>(), 2 * 40);
      EXPECT_EQ(routes[0].null_count, (k - 2) * 40);
    }
  }
  // One more choice is a third expert.
  Decoder more(with_nulls(tiny_mixtral(), 8, 5), 9);
  adapt_weights(fs, "base", more);
  EXPECT_GT((logits_of(more) - expected).abs().max().item<float>(), 1e-4F);
}

TEST(AdaptWeights, NormalNullRowsAreAsTheModelWasMade) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "base", tiny_mixtral());
  const auto config = with_nulls(tiny_mixtral(), 3, 3);
  const Decoder made(config, 9);
  Decoder model(config, 9);
  adapt_weights(fs, "base", model, {.copy_null_rows = false});
  const auto& router = model.layers[1]->moe->router->weight;
  EXPECT_TRUE(router.narrow(0, 8, 3).equal(made.layers[1]->moe->router->weight.narrow(0, 8, 3)));
  const auto base = load_model(fs, "base");
  EXPECT_TRUE(router.narrow(0, 0, 8).equal(base->layers[1]->moe->router->weight));
}

TEST(AdaptWeights, CopiesNeedAMultipleOfTheExperts) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "base", tiny_mixtral());
  Decoder model(with_nulls(tiny_mixtral(), 3, 3), 9);
  const auto parts = error_of([&] { adapt_weights(fs, "base", model); });
  EXPECT_EQ(parts.what, "3 null experts cannot be copies of 8 experts");
  EXPECT_THAT(parts.fix, HasSubstr("train.null_init"));
}

// tiny_llama's dense network of width 48 as this many experts.
ModelConfig split_llama(int experts, int k, routing::Gate gate = routing::Gate::uniform) {
  auto config = tiny_llama();
  config.family = Family::switchyard;
  config.dense.hidden = 0;
  config.layer_is_moe = {true, true};
  config.moe.emplace();
  config.moe->expert.hidden = 48 / experts;
  config.moe->router.experts = experts;
  config.moe->router.experts_per_token = k;
  config.moe->router.frozen = true;
  config.moe->router.softmax_after_selection = gate == routing::Gate::probability;
  config.moe->router.gate = gate;
  return config;
}

TEST(AdaptWeights, ADenseNetworkSplitIntoExpertsIsTheSameWhereAllWorkAndAnotherWhereFewDo) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "base", tiny_llama());
  const auto base = load_model(fs, "base");
  const auto expected = logits_of(*base);
  for (const int experts : {1, 4, 16}) {
    Decoder model(split_llama(experts, experts), 9);
    const auto lines = adapt_weights(fs, "base", model);
    EXPECT_THAT(lines, ::testing::Contains("router of a layer that had none: 2 weights"));
    EXPECT_THAT(lines, ::testing::Contains("expert cut from a dense network: " +
                                           std::to_string(2 * 3 * experts) + " weights"));
    EXPECT_LT((logits_of(model) - expected).abs().max().item<float>(), 1e-5F) << experts;
  }
  Decoder half(split_llama(4, 2), 9);
  adapt_weights(fs, "base", half);
  EXPECT_GT((logits_of(half) - expected).abs().max().item<float>(), 1e-3F);
  // A random router of small logits weighs experts almost alike, but not quite.
  Decoder weighed(split_llama(4, 4, routing::Gate::probability), 9);
  adapt_weights(fs, "base", weighed);
  const float off = (logits_of(weighed) - expected).abs().max().item<float>();
  EXPECT_GT(off, 1e-5F);
  EXPECT_LT(off, 0.2F * expected.abs().max().item<float>());
}

TEST(AdaptWeights, ExpertsThatAllWorkAreJoinedIntoTheDenseNetworkAgain) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "experts", split_llama(4, 4));
  const auto split = load_model(fs, "experts");
  Decoder dense(tiny_llama(), 9);
  EXPECT_THAT(adapt_weights(fs, "experts", dense),
              ::testing::ElementsAre("dense network joined from experts: 6 weights"));
  EXPECT_LT((logits_of(dense) - logits_of(*split)).abs().max().item<float>(), 1e-5F);
  // Of experts that take turns there is no dense network.
  write_tiny_model(fs, "turns", split_llama(4, 2));
  EXPECT_THAT(error_of([&] { adapt_weights(fs, "turns", dense); }).where,
              HasSubstr("mlp.gate_proj"));
}

TEST(AdaptWeights, ExpertsMustAddUpToTheDenseNetwork) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "base", tiny_llama());
  auto config = split_llama(4, 4);
  config.moe->expert.hidden = 16;
  Decoder wide(config, 9);
  const auto parts = error_of([&] { adapt_weights(fs, "base", wide); });
  EXPECT_EQ(parts.what, "a dense network of width 48 is not 4 experts of width 16");
  EXPECT_THAT(parts.fix, HasSubstr("model.hidden"));
  // Gate weights that do not sum to 1 would make another network.
  config = split_llama(4, 4, routing::Gate::none);
  Decoder sums(config, 9);
  EXPECT_THAT(error_of([&] { adapt_weights(fs, "base", sums); }).where, HasSubstr("experts.0"));
}

// Duo-LLM on a trained decoder: the FFN stays as the big option, a small one comes beside it.
TEST(AdaptWeights, AnFfnBecomesTheFirstOfExpertsOfSeveralWidths) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "base", tiny_llama());
  const auto base = load_model(fs, "base");
  auto config = base->config();
  config.family = Family::switchyard;
  config.moe = tiny_duo().moe;
  config.moe->expert = config.dense;
  config.moe->expert_hidden = {config.dense.hidden, 3};
  config.layer_is_moe.assign(config.layer_is_moe.size(), true);
  const auto expect_base_where_big = [&](Decoder& model) {
    const torch::NoGradGuard no_grad;
    const auto layers = static_cast<std::int64_t>(config.layers);
    const auto tokens = torch::arange(40).remainder(96).unsqueeze(0);
    const auto with = [&](std::int64_t expert) {
      ForwardContext context;
      context.forced = ForcedRoutes{.experts = torch::full({layers}, expert, torch::kInt64)};
      return model.forward(tokens, context);
    };
    const auto expected = logits_of(*base);
    EXPECT_LT((with(0) - expected).abs().max().item<float>(), 1e-5F);
    EXPECT_GT((with(1) - expected).abs().max().item<float>(), 1e-5F);
  };
  Decoder routed_at_random(config, 9);
  EXPECT_THAT(adapt_weights(fs, "base", routed_at_random),
              ::testing::UnorderedElementsAre("dense network as the first expert: 6 weights",
                                              "new expert beside a dense network: 6 weights"));
  expect_base_where_big(routed_at_random);
  const Decoder made(config, 9);
  EXPECT_TRUE(routed_at_random.layers[1]->moe->experts->down(1).equal(
      made.layers[1]->moe->experts->down(1)));

  // The third stage: the same experts get a router.
  save_model(fs, routed_at_random, "duo");
  config.moe->router = tiny_duo_router().moe->router;
  Decoder routed(config, 4);
  EXPECT_THAT(adapt_weights(fs, "duo", routed),
              ::testing::ElementsAre("router of a layer that had none: 2 weights"));
  expect_base_where_big(routed);
  EXPECT_TRUE(
      routed.layers[0]->moe->experts->up(1).equal(routed_at_random.layers[0]->moe->experts->up(1)));

  // Another width has no FFN to come from.
  config.moe->expert.hidden = 40;
  config.moe->expert_hidden = {40, 3};
  Decoder wider(config, 9);
  EXPECT_THAT(error_of([&] { adapt_weights(fs, "base", wider); }).where, HasSubstr("experts.0."));
}

TEST(AdaptWeights, WhatNoAdapterExplainsIsNamed) {
  MemoryFileSystem fs;
  write_tiny_model(fs, "base", tiny_mixtral());
  const auto parts_of = [&](const std::function<void(ModelConfig&)>& change) {
    auto config = tiny_mixtral();
    config.family = Family::switchyard;
    change(config);
    Decoder model(config, 9);
    return error_of([&] { adapt_weights(fs, "base", model); });
  };
  const auto wider = parts_of([](ModelConfig& c) { c.moe->expert.hidden = 32; });
  EXPECT_THAT(wider.what, HasSubstr("the shape is [24, 32]"));
  EXPECT_THAT(wider.where, HasSubstr("model.layers.0.block_sparse_moe.experts.0.w1.weight"));
  EXPECT_THAT(wider.expected, HasSubstr("[32, 32]"));
  const auto more = parts_of([](ModelConfig& c) { c.moe->router.experts = 9; });
  EXPECT_THAT(more.where, HasSubstr("gate.weight"));
  // Weights of the source that would be lost.
  const auto tied = parts_of([](ModelConfig& c) { c.tied_embeddings = true; });
  EXPECT_THAT(tied.where, HasSubstr("lm_head.weight"));
  // The same weights under another function.
  EXPECT_THAT(parts_of([](ModelConfig& c) { c.rope_theta = 5e5F; }).what, HasSubstr("rope_theta"));
  EXPECT_THAT(parts_of([](ModelConfig& c) {
                c.layers = 1;
                c.layer_is_moe = {true};
              }).what,
              HasSubstr("layers is 2"));
}

}  // namespace
}  // namespace switchyard::models
