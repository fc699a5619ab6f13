#include "models/adapt_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <torch/torch.h>

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
